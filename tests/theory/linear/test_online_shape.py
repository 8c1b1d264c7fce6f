"""Online there is no peak: monotone to leading order, and exactly rising at the end."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.errors import NoClosedForm
from theory.linear.diffusion import diffusion_variances
from theory.linear.online_shape import leading_shape, predicted_online_shapes
from theory.setting import Data, Labels, Network, Setting, Training
from theory.shape import shape_of

BASE = Setting(
    data=Data(kind="gaussian", spectrum=tuple(np.linspace(0.1, 3, 12)), samples="online"),
    training=Training(learning_rate=0.02, batch_size=4, sampling="fresh", steps=(0, 2, 12, 125, 5_000)),
)


@given(initial=st.floats(1e-6, 1), rate=st.floats(1e-4, 0.1), size=st.integers(1, 32), steps=st.integers(1, 60))
def test_leading_order_is_the_shape_of_the_additive_diffusion(
    initial: float, rate: float, size: int, steps: int
) -> None:
    s = np.linspace(0.1, 2, 9)
    training = Training(learning_rate=rate, steps=steps)
    tau = diffusion_variances(training, s, np.full(9, initial), batch_size=size, sigma_y2=1.5, state_dependent=False)[0]
    if abs(rate * 1.5 / (2 * size) / initial - 1) > 1e-6 and np.abs(np.diff(tau)).min() > 1e-13 * tau.max():
        assert shape_of(tau) == leading_shape(initial, rate, 1.5, size)


@pytest.mark.parametrize("initial", [0.0, 1e-4])
@pytest.mark.slow
def test_from_small_weights_it_rises_at_every_step(initial: float) -> None:
    setting = msgspec.structs.replace(BASE, network=Network(init_variance=initial * 12))
    shapes = predicted_online_shapes(setting)
    assert shapes[0] == ("flat", "flat")
    assert shapes[1:] == (("rises", "rises"),) * 4


def test_from_large_weights_it_falls_and_rises_in_the_end() -> None:
    """The shape falls for ever to leading order; the terms of order η take over when the start is forgotten."""
    shapes = predicted_online_shapes(BASE)
    assert [shape for shape, _ in shapes] == ["flat"] + ["falls"] * 4
    exact = [shape for _, shape in shapes]
    assert exact[1:3] == ["falls", "falls"]
    assert exact[3] == "falls, then rises"
    assert exact[4] == "rises"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"training": Training(momentum=0.5, batch_size=4, sampling="fresh")}, "training.momentum = 0.5"),
        ({"training": Training(weight_decay=0.5, batch_size=4, sampling="fresh")}, "training.weight_decay = 0.5"),
        ({"training": Training(drops=((1, 0.5),), batch_size=4, sampling="fresh")}, "training.drops"),
        ({"labels": Labels(kind="teacher")}, "labels.kind"),
        (
            {
                "network": Network(init_spectrum=tuple(range(12))),
                "data": msgspec.structs.replace(BASE.data, rotate=False),
            },
            "network.init_spectrum",
        ),
    ],
)
def test_outside_the_regime_it_refuses(changes: dict, reason: str) -> None:
    with pytest.raises(NoClosedForm, match=f"no closed form of the shape: {reason}"):
        predicted_online_shapes(msgspec.structs.replace(BASE, **changes))
