"""Sequences of tasks: defaults, and every rule case by case."""

from __future__ import annotations

from typing import Any

import pytest

from theory.errors import InvalidInput
from theory.setting import Data, Labels, Network, Remedy, Setting, TaskSequence

GAUSSIAN: dict[str, Any] = {"kind": "gaussian", "spectrum": (1.0, 2.0)}


def task(data: dict[str, Any] | None = None, **tables: Any) -> Setting:
    return Setting(**{"data": Data(**GAUSSIAN, **(data or {})), "network": Network(kind="mlp"), **tables})


def test_defaults():
    sequence = TaskSequence(task=task())
    assert (sequence.count, sequence.rows) == (10, "same")
    assert [remedy.name for remedy in sequence.each] == ["none", "anew"]
    decays = ({"kind": "decay", "strength": 0.1}, {"kind": "decay", "strength": 0.2})
    assert [each.name for each in TaskSequence(task=task(), remedies=decays).each] == ["decay 0.1", "decay 0.2"]
    assert hash(sequence) == hash(TaskSequence(task=task(), remedies=({"kind": "none"}, Remedy(kind="anew"))))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"count": 0}, "sequence.count = 0: must be at least 1"),
        ({"rows": "other"}, "sequence.rows = 'other'"),
        ({"remedies": ()}, "sequence.remedies"),
        ({"remedies": ("none", {"kind": "none"})}, "must not repeat a remedy"),
        ({"remedies": ("decay",)}, "remedy.strength = 0.0: must be positive"),
        ({"remedies": ({"kind": "none", "strength": 1.0},)}, "remedy.strength = 1.0: must be positive for 'decay'"),
        ({"remedies": ("cure",)}, "sequence.remedies"),
        ({"task": task(labels=Labels(kind="teacher"))}, "sequence.task.labels.kind = 'teacher': must be drawn"),
        ({"task": task(data={"fixed": True}), "rows": "fresh"}, "must be 'same' where data.fixed is true"),
        ({"task": task(network=Network(kind="linear")), "remedies": ("revived",)}, "'revived' needs dense layers"),
        (
            {"task": task(network=Network(kind="mlp", activation="tanh")), "remedies": ("none", "revived")},
            "'revived' needs dense layers of ReLU units",
        ),
        ({"task": task(network=Network(kind="mlp", train="first")), "remedies": ("revived",)}, "all of them trained"),
        (
            {
                "task": task(
                    data={"samples": "online"}, training={"batch_size": 4, "sampling": "fresh"}, labels=Labels()
                )
            },
            "sequence.task.data.samples = 'online': must be a number",
        ),
    ],
)
def test_every_rule(options, words):
    with pytest.raises(InvalidInput) as error:
        TaskSequence(**{"task": task(), **options})
    assert words in str(error.value)
