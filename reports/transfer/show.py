"""A transfer study as the JSON value of the public contract, and as text for a terminal."""

from __future__ import annotations

from typing import Any

from reports.console import columns
from reports.record import to_builtins
from reports.transfer.study import Estimated, TransferStudy
from theory.testing import MeanRatio, PairedMean


def contract(study: TransferStudy) -> dict[str, Any]:
    """The JSON value of `eigenalign transfer`."""
    result = study.result
    end = result.upstream
    return to_builtins(
        {
            "replicas": result.replicas,
            "diverged": result.diverged,
            "device": result.device,
            "seed": result.experiment.ensemble.seed,
            "upstream": {
                "fitted": int(end.fitted.sum()),
                "steps": end.steps,
                "loss": end.loss,
                "accuracy": end.accuracy,
            },
            "gain_of": study.gain_of,
            "treatments": study.treatments,
        }
    )


def describe(study: TransferStudy) -> str:
    """Every measure after every treatment beside scratch, then the layers before and after downstream training."""
    result = study.result
    end = result.upstream
    lines = [
        f"{result.replicas} replicas, {result.diverged} diverged, seed {result.experiment.ensemble.seed}, "
        f"{result.device}; upstream {end.fitted.sum()} of {len(end.fitted)} fitted, "
        f"{end.steps.mean():.4g} steps on average"
    ]
    share = f"share of {study.gain_of}" if study.gain_of else "share"
    head = ("treatment", "mean", "SE", "minus scratch", "SE", "95 % interval", "p", share)
    for measure in study.treatments[0].measures:
        rows: list[list[object]] = []
        for treatment in study.treatments:
            found = treatment[measure.name]
            estimate, gain, part = found.estimate, found.difference, found.share
            row: list[object] = [treatment.name, estimate.mean, estimate.standard_error]
            row += [None] * 4 if gain is None else [gain.mean, gain.standard_error, _interval(gain), gain.pvalue]
            rows.append([*row, None if part is None else f"{part.ratio:.4g} {_interval(part)}"])
        lines += ["", measure.name, columns(head, rows)]
    for k in (0, -1):
        lines += ["", f"layers at downstream step {study.treatments[0].readings[k].step}"]
        rows = [
            [
                treatment.name,
                number + 1,
                *(_mean(value) for value in (layer.norm, layer.active, layer.alive, layer.effective_rank)),
                treatment.readings[k].misalignment if number == 0 else None,
            ]
            for treatment in study.treatments
            for number, layer in enumerate(treatment.readings[k].layers)
        ]
        lines.append(
            columns(("treatment", "layer", "norm", "active", "alive", "effective rank", "misalignment M"), rows)
        )
    return "\n".join(lines)


def _mean(value: Estimated | None) -> float | None:
    return None if value is None else value.mean


def _interval(found: PairedMean | MeanRatio) -> str:
    return f"[{found.low:.4g}, {found.high:.4g}]"
