"""What is said of a setting's shape, and where it stands in the phase diagram."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from tests.oracles.linear import fixed_setting
from theory.catalogue import predict
from theory.errors import InvalidInput, NoClosedForm
from theory.linear.description import describe
from theory.linear.phase_diagram import decay_peak
from theory.linear.shape import predicted_shape
from theory.setting import Data, Labels, Network, Setting, Training
from theory.shape import FALLS, FLAT, RISES_THEN_FALLS, shape_of

ROWS = np.sqrt(30) * np.diag(np.sqrt(np.linspace(0.05, 3.0, 30)))


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
@pytest.mark.parametrize("init", [0.0, 0.003, 3.0])
def test_describe_says_what_the_criterion_says_and_where(parametrization: str, init: float) -> None:
    training = Training(learning_rate=9.0 if parametrization == "ntk" else 0.3, steps=(0, 1, 4, 40))
    setting = fixed_setting(
        ROWS, training, network=Network(init_variance=init, parametrization=parametrization), labels=Labels()
    )
    found = describe(setting, ROWS)
    assert tuple(entry.shape for entry in found) == predicted_shape(setting, ROWS)
    assert {entry.method for entry in found} == {"criterion"}
    for entry, reading in zip(found, predict(setting, rows=ROWS).readings, strict=True):
        assert entry.step == reading.step
        if entry.shape == RISES_THEN_FALLS:
            top = int(reading.tau.argmax())
            assert reading.sigma[max(top - 1, 0)] <= entry.turns[0] <= reading.sigma[min(top + 1, 29)]
            assert entry.words == f"rises up to σ = {entry.turns[0]:.4g}, then falls"
    assert found[0].shape == FLAT
    assert found[-1].highest == pytest.approx(0.3 * 40 * 3.0)
    assert found[-1].c == pytest.approx(init * (30 if parametrization == "ntk" else 1) / (training.learning_rate * 40))


@pytest.mark.parametrize(
    "keys",
    [
        {"momentum": 0.6},
        {"momentum": 0.6, "nesterov": True},
        {"weight_decay": 0.3},
        {"drops": ((3, 0.5),)},
        {"learning_rate": 0.6},
    ],
)
@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
def test_describe_of_other_variants_by_dense_spectra(keys: dict, parametrization: str) -> None:
    """The full-batch form itself, on rows whose 150 eigenvalues lie densely between the same ends."""
    size, ntk = 150, parametrization == "ntk"
    rows = np.sqrt(size) * np.diag(np.linspace(0.2, 1.7, size))
    rate = keys.get("learning_rate", 0.2) * (size if ntk else 1)
    decay = keys.get("weight_decay", 0.0) / (size if ntk else 1)
    training = Training(**{**keys, "learning_rate": rate, "weight_decay": decay, "steps": 12})
    init = 1e-3 * (1 if ntk else size)
    setting = fixed_setting(
        rows, training, network=Network(init_variance=init, parametrization=parametrization), labels=Labels()
    )
    (found,), (reading,) = describe(setting, rows), predict(setting, rows=rows).readings
    assert found.method == "grid"
    assert found.shape == shape_of(reading.tau)
    changes = np.flatnonzero(np.diff(np.sign(np.diff(reading.tau)))) + 1
    np.testing.assert_allclose(found.turns, reading.sigma[changes], atol=2 * 1.5 / size)
    assert len(found.turns) >= 1


def test_weight_decay_in_flow_is_the_limit_of_descent() -> None:
    """σ_0 = 0: the σ* of the setting tends to that of `decay_peak`, at half the distance with half the rate."""
    distances = []
    for rate in (0.02, 0.01):
        training = Training(learning_rate=rate, weight_decay=0.5, steps=round(2 / rate))
        setting = fixed_setting(ROWS, training, network=Network(init_variance=0.0), labels=Labels())
        (turn,) = describe(setting, ROWS)[0].turns
        distances.append(turn**2 * 2 - decay_peak(1.0))
    assert abs(distances[0]) < 0.05
    assert distances[0] / distances[1] == pytest.approx(2, abs=0.1)


def test_describe_refuses() -> None:
    base = fixed_setting(ROWS, Training())
    for setting in (
        msgspec.structs.replace(base, training=Training(optimizer="adam")),
        msgspec.structs.replace(base, network=Network(init_spectrum=tuple(range(30)))),
        Setting(data=Data(kind="gaussian", spectrum=(1.0, 2.0))),
    ):
        with pytest.raises(NoClosedForm, match="no closed form of the shape"):
            describe(setting, ROWS)
    with pytest.raises(InvalidInput, match="overflow"):
        describe(fixed_setting(ROWS, Training(learning_rate=5.0, steps=2000)), ROWS)
    with pytest.raises(InvalidInput, match="rows"):
        describe(base, None)


def test_describe_without_labels_and_without_spread() -> None:
    silent = fixed_setting(ROWS, Training(steps=3), labels=Labels(variance=0.0))
    assert describe(silent, ROWS)[0].shape == FALLS
    assert np.isinf(describe(silent, ROWS)[0].c)
    assert describe(fixed_setting(np.eye(3), Training()), np.eye(3))[0].words == FLAT


@pytest.mark.parametrize("drops", [(), ((3, 0.5),), ((3, 0.5), (6, 0.1))])
def test_time_is_the_sum_of_learning_rates(drops: tuple) -> None:
    """Step by step: readings before, at and after a drop."""
    training = Training(learning_rate=0.3, drops=drops, steps=(2, 3, 5, 8))
    setting = fixed_setting(ROWS, training, network=Network(init_variance=3.0), labels=Labels())
    for entry in describe(setting, ROWS):
        time = sum(training.learning_rate_at(step) for step in range(entry.step))
        assert (entry.lowest, entry.highest) == pytest.approx((0.05 * time, 3.0 * time))
        assert entry.c == pytest.approx(3.0 / time)
