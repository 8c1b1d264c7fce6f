"""The hypotheses that forms share, one broken at a time; and the constants of a model."""

from __future__ import annotations

import numpy as np
import pytest

from theory.errors import InvalidInput
from theory.linear import hypotheses
from theory.setting import Data, Labels, Network, Setting, Training


def setting_of(**changes: object) -> Setting:
    return Setting(**{"data": Data(kind="gaussian", spectrum=(1.0, 2.0), fixed=True), **changes})


BROKEN = {
    "network.kind = 'mlp'": {"network": Network(kind="mlp")},
    "network.bias = true": {"network": Network(bias=True)},
    "training.loss = 'cross-entropy'": {
        "training": Training(loss="cross-entropy"),
        "labels": Labels(kind="classes", classes=2),
    },
    "training.optimizer = 'adam'": {"training": Training(optimizer="adam")},
    "training.l1 = 0.1": {"training": Training(l1=0.1)},
    "labels.kind = 'teacher'": {"labels": Labels(kind="teacher")},
}


@pytest.mark.parametrize("reason", BROKEN)
def test_no_linear_model_on_random_labels(reason: str) -> None:
    """The network's kind is the one thing that random labels do not ask for."""
    broken = setting_of(**BROKEN[reason])
    assert str(hypotheses.not_linear(broken)).startswith(reason)
    other = hypotheses.not_random_label_descent(broken)
    assert other is None if "kind = 'mlp'" in reason else str(other).startswith(reason)


def test_real_labels_are_not_random() -> None:
    data = Data(kind="array", path="x.npy", labels_path="y.npy", fixed=True)
    reason = hypotheses.not_linear(Setting(data=data, labels=Labels(kind="real")))
    assert str(reason).startswith("labels.kind = 'real'")


@pytest.mark.parametrize("kind", ["gaussian", "rademacher", "classes"])
def test_nothing_is_broken(kind: str) -> None:
    setting = setting_of(labels=Labels(kind=kind), training=Training(momentum=0.5, weight_decay=0.1, drops=((3, 0.5),)))
    assert hypotheses.not_linear(setting) is None
    assert hypotheses.not_random_label_descent(setting) is None
    assert hypotheses.rows_not_fixed(setting) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"training": Training(momentum=0.5)}, "training.momentum = 0.5: derived for plain"),
        ({"training": Training(weight_decay=0.25)}, "training.weight_decay = 0.25: derived for plain"),
        ({"training": Training(drops=((1, 0.5),))}, "training.drops: derived for one learning rate"),
        ({"network": Network(init_spectrum=(1.0, 2.0))}, "network.init_spectrum: derived for an isotropic init"),
        ({"network": Network(init_spectrum=(2.0, 2.0))}, None),
        ({}, None),
    ],
)
def test_plain_descent_from_an_isotropic_init(changes: dict, reason: str | None) -> None:
    answer = hypotheses.not_plain_descent(setting_of(**changes))
    assert answer is None if reason is None else str(answer).startswith(reason)


def test_rows_that_are_not_fixed() -> None:
    fresh = setting_of(data=Data(kind="gaussian", spectrum=(1.0, 2.0)))
    assert str(hypotheses.rows_not_fixed(fresh)).startswith("data.fixed = false")


def test_variances_of_labels_are_enumerated() -> None:
    """One-hot labels less 1/C: each output is 1 − 1/C once in C, and −1/C otherwise."""
    for classes in (2, 3, 10):
        values = np.full(classes, -1 / classes)
        values[0] += 1
        found = hypotheses.label_variance(Labels(kind="classes", classes=classes))
        assert found == pytest.approx(np.mean(values**2), rel=1e-14)
    assert hypotheses.label_variance(Labels(variance=1.7)) == 1.7
    assert hypotheses.label_variance(Labels(kind="rademacher", variance=0.3)) == 0.3


@pytest.mark.parametrize(("parametrization", "factor", "initial"), [("standard", 1.0, 0.2), ("ntk", 0.25, 0.8)])
def test_constants_of_both_parametrizations(parametrization: str, factor: float, initial: float) -> None:
    setting = setting_of(network=Network(parametrization=parametrization, init_variance=0.8))
    assert hypotheses.data_factor(setting, 4) == factor
    np.testing.assert_allclose(hypotheses.init_variances(setting, 4), np.full(4, initial), rtol=1e-15)
    given = setting_of(network=Network(parametrization=parametrization, init_spectrum=(1.0, 3.0)))
    np.testing.assert_array_equal(hypotheses.init_variances(given, 2), [1.0, 3.0])
    with pytest.raises(InvalidInput, match=r"network.init_spectrum = .*: must have one entry per dimension \(3\)"):
        hypotheses.init_variances(given, 3)


def test_no_less_than_two_percent_is_claimed() -> None:
    assert hypotheses.LEAST_BUDGET == 0.02
