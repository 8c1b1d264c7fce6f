"""`eigenalign fresh`: what tangent kernels say of a fresh task, and how often that was right."""

from __future__ import annotations

from reports.record import to_builtins
from reports.transfer.fresh_task import FreshTask
from reports.views.view import Notes, View, shown, wrapped

SCORED_ON = (
    "counted on the drawn settings of claim C5, where networks have one to four hidden layers of 8 to 192 units; "
    "elsewhere it is a guess. Linearised training of the task itself, theory.transfer.training_transfer, is right more "
    "often"
)


def view(found: FreshTask) -> View:
    """The view of the condition on one pair of networks or several."""
    score = found.score
    low, high = score.interval
    value = {
        "faster": found.faster if found.mean else None,
        "mean": found.mean,
        "each": found.each,
        "condition": score.words,
        "score": {"right": score.right, "decided": score.decided, "epochs": score.epochs, "low": low, "high": high},
    }
    pairs = [f"{found.each.size} pairs: {', '.join(shown(each) for each in found.each)}"] * (found.each.size > 1)
    return View(to_builtins(value), [[*wrapped(str(found)), *pairs, Notes((SCORED_ON,) if found.mean else ())]])
