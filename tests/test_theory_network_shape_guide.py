"""The guide formula against the terms of order 1/m: where it is near, and where it fails."""

from __future__ import annotations

import numpy as np
import pytest

from theory.errors import InvalidInput
from theory.network.lazy import kernel_limit, terms_after
from theory.network.propagators import flow
from theory.network.shape_guide import shape_guide


def both(d: int, n: int, ratio: float, u: float) -> tuple[np.ndarray, np.ndarray]:
    """Guide and full formula on Gaussian rows, unit labels, s_y²/V = `ratio`, in the eigenbasis of X'X/n."""
    x = np.random.default_rng(1).standard_normal((n, d)) * np.sqrt(np.linspace(0.5, 1.5, d))
    eigenvalues, basis = np.linalg.eigh(x.T @ x / n)
    trace = eigenvalues.sum()
    s0, time = 2 / (ratio * trace), 4 * n * u / trace
    limit = kernel_limit(x @ basis, "relu", s0, 1.0, both=False)
    full = np.diagonal(terms_after(limit, flow(limit.kappa, time / n), 1.0).total)
    return shape_guide(np.maximum(eigenvalues, 0), n, time, s0=s0, sa=1.0, labels=1.0), full


@pytest.mark.parametrize("u", [0.3, 1.0, 3.0])
def test_it_is_near_for_many_dimensions_and_strong_labels(u: float) -> None:
    guide, full = both(100, 100, 25.0, u)
    assert np.linalg.norm(guide - full) <= 0.1 * np.linalg.norm(full)


def test_it_fails_for_few_dimensions_near_cancellation() -> None:
    """What its status says: no number to rely on."""
    guide, full = both(5, 60, 0.7, 1.0)
    assert np.linalg.norm(guide - full) >= 0.2 * np.linalg.norm(full)


def test_the_formula_as_it_is_written() -> None:
    """Mode by mode with n > d, n < d and a direction without variance."""
    for n, values in ((7, np.array([0.0, 0.4, 1.0, 2.5])), (2, np.array([0.4, 1.0, 2.5]))):
        s0, sa, time = 0.3, 1.4, 2.0
        trace = values.sum()
        gamma, v = sa * trace / 4, sa * s0 * trace / 2
        u = time * gamma / n
        modes = sorted([n * value / trace for value in values] + [0.0] * max(0, n - len(values)))[-n:]
        g = lambda x, u=u: (1 - np.exp(-u * (1 + x))) / (1 + x)  # noqa: E731
        s = lambda x, v=v: 0.8 + v * (0.5 - 1 / np.pi + x / 2)  # noqa: E731
        mean_g = sum(g(x) for x in modes) / n
        mean_s = sum(s(x) * g(x) ** 2 for x in modes) / n
        g_1 = g(2 * n / (np.pi * trace**2 / np.sum(values**2)))
        expected = [
            (n * value / trace)
            / gamma
            * (
                s(n * value / trace) * g(n * value / trace) ** 2
                + mean_s
                - v * (g(n * value / trace) + mean_g + 2 / np.pi * (g_1 - mean_g))
                - 2 / np.pi * mean_s * (value - np.sum(values**2) / trace) / trace
            )
            for value in values
        ]
        np.testing.assert_allclose(shape_guide(values, n, time, s0=s0, sa=sa, labels=0.8), expected, rtol=1e-12)


@pytest.mark.parametrize("wrong", [[-0.1, 1.0], [0.0, 0.0], [np.nan, 1.0]])
def test_eigenvalues(wrong: list[float]) -> None:
    with pytest.raises(InvalidInput, match="eigenvalues"):
        shape_guide(np.array(wrong), 3, 1.0, s0=0.1, sa=1.0, labels=1.0)
