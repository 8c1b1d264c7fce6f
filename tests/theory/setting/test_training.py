"""What a training knows: its learning rates and its readings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.setting import (
    Training,
)


@given(
    drops=st.lists(st.tuples(st.integers(0, 40), st.floats(0.1, 2)), max_size=4, unique_by=lambda drop: drop[0]),
    step=st.integers(0, 50),
)
def test_learning_rate_at(drops: list[tuple[int, float]], step: int) -> None:
    """Each drop multiplies from its own step on."""
    training = Training(learning_rate=0.3, drops=tuple(sorted(drops)))
    rate = 0.3
    for start, factor in sorted(drops):
        if start <= step:
            rate *= factor
    assert training.learning_rate_at(step) == pytest.approx(rate, rel=1e-15)


def test_readings() -> None:
    assert Training(steps=0).readings == (0,)
    assert Training(steps=(0, 3)).readings == (0, 3)
