"""`eigenalign transfer`: each treatment compared with scratch, the layers, and one sentence per treatment."""

from __future__ import annotations

from collections.abc import Sequence

from reports.counted import counted
from reports.record import to_builtins
from reports.transfer.answer import Answer
from reports.transfer.study import Estimated, TransferStudy
from reports.views.view import Grid, Section, View, wrapped
from theory.testing import MeanRatio, PairedMean

NO_INTERVAL = "not estimable"  # what stands for the interval of a difference that is the same in all replicas


def view(study: TransferStudy, answers: Sequence[Answer]) -> View:
    """The view of a transfer study and its answers."""
    result = study.result
    end = result.upstream
    value = {
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
        "answers": answers,
    }
    head = (
        f"{counted(result.replicas, 'replica')}, {result.diverged} diverged, seed {result.experiment.ensemble.seed}, "
        f"{result.device}; upstream {end.fitted.sum()} of {len(end.fitted)} fitted, "
        f"{end.steps.mean():.4g} steps on average"
    )
    measures: list[Section] = [
        [measure.name, _comparison(study, measure.name)] for measure in study.treatments[0].measures
    ]
    return View(to_builtins(value), [[head], *measures, _layers(study, 0), _layers(study, -1), *_closing(answers)])


def _comparison(study: TransferStudy, measure: str) -> Grid:
    """One measure for each treatment: its mean, its difference to scratch, its share of the reference's gain."""
    rows: list[tuple[object, ...]] = []
    for treatment in study.treatments:
        found = treatment[measure]
        mean, gain, part = found.estimate, found.difference, found.share
        compared: tuple[object, ...] = (None,) * 4
        if gain is not None:
            spread = (
                (gain.standard_error, _interval(gain), gain.pvalue) if gain.estimable else (None, NO_INTERVAL, None)
            )
            compared = (gain.mean, *spread)
        share = None if part is None else f"{part.ratio:.4g} {_interval(part)}"
        rows.append((treatment.name, mean.mean, mean.standard_error, *compared, share))
    last = f"share of {study.gain_of}" if study.gain_of else "share"
    return Grid(("treatment", "mean", "SE", "minus scratch", "SE", "95 % interval", "p", last), tuple(rows))


def _layers(study: TransferStudy, k: int) -> Section:
    """Every layer after every treatment, at the k-th reading."""
    rows = tuple(
        (
            treatment.name,
            number + 1,
            *(_mean(value) for value in (layer.norm, layer.active, layer.alive, layer.effective_rank)),
            treatment.readings[k].misalignment if number == 0 else None,
        )
        for treatment in study.treatments
        for number, layer in enumerate(treatment.readings[k].layers)
    )
    head = ("treatment", "layer", "norm", "active", "alive", "effective rank", "misalignment M")
    return [f"layers at downstream step {study.treatments[0].readings[k].step}", Grid(head, rows)]


def _closing(answers: Sequence[Answer]) -> list[Section]:
    """The answers, one section per treatment."""
    return [[*wrapped(answer.text)] for answer in answers] or [["no treatment is compared with scratch"]]


def _mean(value: Estimated | None) -> float | None:
    return None if value is None else value.mean


def _interval(found: PairedMean | MeanRatio) -> str:
    return f"[{found.low:.4g}, {found.high:.4g}]"
