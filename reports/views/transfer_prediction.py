"""`eigenalign transfer --predict`: the prediction for each treatment, before downstream training."""

from __future__ import annotations

from collections.abc import Sequence

from reports.counted import counted
from reports.record import to_builtins
from reports.transfer.answer import PredictedEffect, of_any_task
from reports.views.view import Grid, Section, View, wrapped
from simulate.transfer import Switched


def view(switched: Switched, predictions: Sequence[PredictedEffect]) -> View:
    """The view of predictions and of the upstream training before them."""
    ends, experiment = switched.ends, switched.experiment
    total, finite = len(ends.finite), len(switched.replicas)
    value = {
        "replicas": total,
        "diverged": total - finite,
        "device": str(switched.engine.device),
        "seed": experiment.ensemble.seed,
        "upstream": {
            "fitted": int(ends.fitted.sum()),
            "steps": ends.steps,
            "loss": ends.loss,
            "accuracy": ends.accuracy,
        },
        "predicted": predictions,
    }
    head = (
        f"{counted(total, 'replica')}, {total - finite} diverged, seed {experiment.ensemble.seed}, "
        f"{switched.engine.device}; "
        f"upstream {ends.fitted.sum()} of {total} fitted, {ends.steps.mean():.4g} steps on average; "
        "no downstream training"
    )
    closing: list[Section] = [wrapped(f"{each.treatment}: {each.text}{of_any_task(each)}") for each in predictions]
    return View(to_builtins(value), [[head], [_table(predictions)], *closing])


def _table(predictions: Sequence[PredictedEffect]) -> Grid:
    rows = []
    for each in predictions:
        interval = None
        if each.gain is not None and each.gain.estimable:
            interval = f"[{each.gain.low:.4g}, {each.gain.high:.4g}]"
        rows.append((each.treatment, each.effect, each.mean, interval, each.by_kernels))
    measure = predictions[0].measure
    return Grid(("treatment", "predicted", f"gain in {measure}", "95 % interval", "by kernels alone"), tuple(rows))
