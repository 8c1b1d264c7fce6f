"""The trace law of ReLU networks: against the trace of the four terms, mode by mode, and where it ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracles.lazy import terms_after
from theory.errors import InvalidInput
from theory.network.lazy import kernel_limit
from theory.network.propagators import descent_step, flow
from theory.network.trace_law import recovery_times, trace_law


def rows(seed: int, n: int, d: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d)) * np.linspace(0.5, 1.5, d)


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 9),
    d=st.integers(1, 5),
    labels=st.floats(0.0, 5.0),
    s0=st.floats(0.01, 2.0),
    sa=st.floats(0.1, 3.0),
    steps=st.integers(0, 50),
    top=st.floats(0.05, 1.95),
)
def test_law_of_the_first_layer(
    seed: int, n: int, d: int, labels: float, s0: float, sa: float, steps: int, top: float
) -> None:
    """Exact for descent, up to the edge of stability, and for flow."""
    limit = kernel_limit(rows(seed, n, d), "relu", s0, sa, both=False)
    rate = top / limit.kappa[-1]
    for stretch in (descent_step(limit.kappa, rate).repeated(steps), flow(limit.kappa, rate * steps)):
        found = terms_after(limit, stretch, labels)
        scale = np.trace(found.motion) + abs(np.trace(found.own_output))
        assert abs(np.trace(found.total) - trace_law(limit, stretch, labels).sum()) <= 1e-10 * scale + 1e-300
        assert abs(np.trace(found.gates)) <= 1e-10 * max(scale, np.abs(found.gates).max()) + 1e-300


@given(seed=st.integers(0, 2**32 - 1), labels=st.floats(0.0, 5.0), time=st.floats(0.0, 20.0))
def test_law_of_both_layers(seed: int, labels: float, time: float) -> None:
    """Exact for flow."""
    limit = kernel_limit(rows(seed, 7, 3), "relu", 0.4, 1.2, both=True)
    stretch = flow(limit.kappa, time)
    found = terms_after(limit, stretch, labels)
    scale = np.trace(found.motion) + abs(np.trace(found.own_output))
    assert abs(np.trace(found.total) - trace_law(limit, stretch, labels).sum()) <= 1e-10 * scale + 1e-300


def test_descent_of_both_layers_misses_the_law_by_order_eta() -> None:
    limit = kernel_limit(rows(1, 7, 3), "relu", 0.4, 1.2, both=True)
    gaps = []
    for steps in (400, 800):
        stretch = descent_step(limit.kappa, 2.0 / steps).repeated(steps)
        gaps.append(np.trace(terms_after(limit, stretch, 1.0).total) - trace_law(limit, stretch, 1.0).sum())
    assert abs(gaps[0]) > 1e-4
    assert gaps[0] / gaps[1] == pytest.approx(2, rel=0.02)


def test_the_law_as_it_is_written() -> None:
    """Σ_a (1/κ_a) [s_y² (1 − r_a)² − (1 − r_a²) N_aa], for five outputs five times as much."""
    limit = kernel_limit(rows(2, 5, 8), "relu", 0.4, 1.2, both=False)
    stretch = flow(limit.kappa, 1.3)
    r = np.exp(-limit.kappa * 1.3)
    written = (0.7 * (1 - r) ** 2 - (1 - r**2) * np.diagonal(limit.start)) / limit.kappa
    np.testing.assert_allclose(trace_law(limit, stretch, 0.7), written, rtol=1e-10)
    np.testing.assert_allclose(trace_law(limit, stretch, 0.7, outputs=5), 5 * written, rtol=1e-10)


def test_a_mode_grows_from_its_recovery_time_on() -> None:
    limit = kernel_limit(rows(3, 6, 9), "relu", 0.4, 1.0, both=False)
    labels = float(np.median(np.diagonal(limit.start)))
    times = recovery_times(limit, labels)
    finite = np.isfinite(times)
    assert finite.any()
    assert not finite.all()
    for a, time in enumerate(times):
        if finite[a]:
            assert trace_law(limit, flow(limit.kappa, 0.999 * time), labels)[a] < 0
            assert trace_law(limit, flow(limit.kappa, 1.001 * time), labels)[a] > 0
        else:
            assert trace_law(limit, flow(limit.kappa, 1e3 / limit.kappa[a]), labels)[a] < 0


def test_modes_that_are_never_taught() -> None:
    """A row twice: a mode with κ = 0, which adds nothing."""
    x = rows(4, 4, 3)
    limit = kernel_limit(np.vstack([x, x[0]]), "relu", 0.4, 1.0, both=False)
    stretch = flow(limit.kappa, 1.0)
    assert abs(trace_law(limit, stretch, 1.0)[0]) <= 1e-14
    assert np.trace(terms_after(limit, stretch, 1.0).total) == pytest.approx(trace_law(limit, stretch, 1.0).sum())


@pytest.mark.parametrize("activation", ["erf", "tanh"])
def test_other_activations_are_not_homogeneous(activation: str) -> None:
    limit = kernel_limit(rows(5, 4, 3), activation, 0.4, 1.0, both=False)
    for ask in (lambda: trace_law(limit, flow(limit.kappa, 1.0), 1.0), lambda: recovery_times(limit, 1.0)):
        with pytest.raises(InvalidInput, match="homogeneous"):
            ask()
