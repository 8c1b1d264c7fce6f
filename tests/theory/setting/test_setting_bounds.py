"""Every bound of a setting from both sides: what lies on it is taken, and what lies beyond is refused by its key."""

from __future__ import annotations

from typing import Any

import pytest

from theory.errors import InvalidInput
from theory.setting import Data, Ensemble, Labels, Network, PowerLaw, Setting, Training
from theory.setting.experiment import Downstream, Experiment, Treatment, Treatments, Until, Upstream
from theory.setting.laws import Sphere, Student, TwoPoint
from theory.setting.tasks import Remedy, TaskSequence

TABLES: dict[str, tuple[type, dict[str, Any]]] = {
    "data": (Data, {"kind": "gaussian", "spectrum": (1.0, 2.0)}),
    "photographs": (Data, {"kind": "photographs"}),
    "labels": (Labels, {}),
    "mlp": (Network, {"kind": "mlp"}),
    "conv": (Network, {"kind": "conv"}),
    "vgg": (Network, {"kind": "vgg"}),
    "resnet": (Network, {"kind": "resnet"}),
    "training": (Training, {}),
}
BOUNDS = [
    ("data", "samples", 1, 0, "data.samples"),
    ("data", "spectrum", (0.0, 1e-300), (-1e-300, 1.0), "data.spectrum[0]"),
    ("data", "spectrum", (1.0, 0.0), (0.0, 0.0), "data.spectrum"),
    ("data", "spectrum", (1.0,), (), "data.spectrum"),
    ("data", "mean", (0.0, 1.0), (1.0,), "data.mean"),
    ("photographs", "patch", (1, 1), (1, 0), "data.patch"),
    ("photographs", "crop", (1, 1), (0, 1), "data.crop"),
    ("labels", "variance", 0.0, -1e-300, "labels.variance"),
    ("labels", "outputs", 1, 0, "labels.outputs"),
    ("mlp", "hidden", (1, 1), (1, 0), "network.hidden[1]"),
    ("mlp", "hidden", (1,), (), "network.hidden"),
    ("mlp", "init_variance", (0.0, 0.0), (0.0, -1e-300), "network.init_variance[1]"),
    ("mlp", "init_variance", (1.0, 1.0), (1.0,), "network.init_variance"),
    ("mlp", "init_variance", (1.0, 1.0), (1.0, 1.0, 1.0), "network.init_variance"),
    ("mlp", "init_spectrum", (0.0, 1.0), (1.0, -1e-300), "network.init_spectrum[1]"),
    ("conv", "filters", 1, 0, "network.filters"),
    ("conv", "kernel", (1, 1), (1, 0), "network.kernel"),
    ("vgg", "blocks", ((1,), (1, 1)), ((1,), (1, 0)), "network.blocks[1]"),
    ("vgg", "blocks", ((1,),), ((1,), ()), "network.blocks[1]"),
    ("resnet", "blocks", ((1,), (1,)), ((1,),), "network.blocks"),
    ("resnet", "blocks", ((1,), (1,)), ((1, 1), (1,)), "network.blocks"),
    ("resnet", "kernel", (1, 3), (3, 2), "network.kernel"),
    ("training", "learning_rate", 1e-300, 0.0, "training.learning_rate"),
    ("training", "drops", ((0, 1e-300),), ((-1, 0.5),), "training.drops[0]"),
    ("training", "drops", ((0, 0.5), (1, 1e-300)), ((0, 0.5), (1, 0.0)), "training.drops[1]"),
    ("training", "drops", ((0, 0.5), (1, 0.5)), ((1, 0.5), (1, 0.5)), "training.drops"),
    ("training", "momentum", 0.0, -1e-300, "training.momentum"),
    ("training", "momentum", 1 - 1e-15, 1.0, "training.momentum"),
    ("training", "weight_decay", 0.0, -1e-300, "training.weight_decay"),
    ("training", "l1", 0.0, -1e-300, "training.l1"),
    ("training", "batch_size", 1, 0, "training.batch_size"),
    ("training", "steps", (0,), (), "training.steps"),
    ("training", "steps", 0, -1, "training.steps"),
    ("training", "steps", (0, 1), (1, 1), "training.steps"),
]


@pytest.mark.parametrize(("table", "key", "on", "beyond", "named"), BOUNDS)
def test_what_lies_on_a_bound_is_a_setting_and_what_lies_beyond_is_not(
    table: str, key: str, on: Any, beyond: Any, named: str
) -> None:
    kind, keys = TABLES[table]
    assert getattr(kind(**{**keys, key: on}), key) == on
    with pytest.raises(InvalidInput) as refused:
        kind(**{**keys, key: beyond})
    assert refused.value.key == named


def test_two_classes_are_the_fewest_and_noise_is_not_negative() -> None:
    assert Labels(kind="classes", classes=2).classes == 2
    assert Labels(kind="teacher", noise=0.0).noise == 0
    for keys, named in (({"kind": "classes", "classes": 1}, "classes"), ({"kind": "teacher", "noise": -1e-9}, "noise")):
        with pytest.raises(InvalidInput) as refused:
            Labels(**keys)
        assert refused.value.key == f"labels.{named}"


def test_bounds_of_the_second_task() -> None:
    for key, on, beyond in (("samples", 1, 0), ("held_out", 0, -1), ("target", 1e-300, 0.0), ("target", 1.0, 1.1)):
        assert getattr(Downstream(**{key: on}), key) == on
        with pytest.raises(InvalidInput) as refused:
            Downstream(**{key: beyond})
        assert refused.value.key == f"downstream.{key}"


def test_nesterov_needs_some_momentum() -> None:
    assert Training(momentum=1e-300, nesterov=True).nesterov
    with pytest.raises(InvalidInput, match=r"training\.nesterov"):
        Training(nesterov=True)


@pytest.mark.parametrize(
    "kind",
    [
        *(Data, Labels, Network, Training, Ensemble, Setting, PowerLaw, Student, Sphere, TwoPoint),
        *(Downstream, Experiment, Treatment, Treatments, Until, Upstream, Remedy, TaskSequence),
    ],
)
def test_keys_are_named(kind: type) -> None:
    """A table whose keys were given by their place would change its meaning with every new key."""
    with pytest.raises(TypeError):
        kind("gaussian")
