"""Settings with fewer rows and directions: all that the limit depends on is kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.judging.fewer_directions import fewer_directions
from tests.theory.network.dmft.problems import setting, spiked
from theory.network.dmft.problem import problem_of

TWO = (0.5,) * 20 + (1.5,) * 20
KEYS = [
    {},
    {"parametrization": "standard", "train": "all"},
    {"batch_size": 20, "momentum": 0.5, "weight_decay": 0.1},
    {"samples": "online", "batch_size": 20, "sampling": "fresh"},
]


@pytest.mark.parametrize("parts", [2, 4])
@pytest.mark.parametrize("keys", KEYS)
def test_the_limit_is_the_same(keys: dict, parts: int) -> None:
    """s_0² tr Σ, which rows feel, (λ/n)/s_0², which labels write, and λ, which sets the pace, are kept."""
    given = setting(40, 80, 3, spectrum=TWO, **keys)
    fewer = fewer_directions(given, parts)
    full, small = problem_of(given), problem_of(fewer.setting)
    assert (fewer.ratio, fewer.explicit) == (parts, 0)
    np.testing.assert_allclose(small.eigenvalues, full.eigenvalues, rtol=1e-12)
    np.testing.assert_array_equal(parts * small.multiplicity, full.multiplicity)
    assert parts * small.samples == full.samples
    assert small.s0 == pytest.approx(parts * full.s0)
    kept = ("batch", "sa", "scale", "width", "both", "activation", "labels", "fresh")
    assert [getattr(small, name) for name in kept] == [getattr(full, name) for name in kept]


def test_neighbours_are_joined() -> None:
    uneven = setting(24, 80, 3, spectrum=tuple(np.arange(24.0, 0.0, -1.0)), parametrization="standard")
    assert fewer_directions(uneven, 2).setting.data.spectrum == tuple(np.arange(1.5, 24.0, 2.0))


@pytest.mark.parametrize("parametrization", ["ntk", "standard"])
def test_numbers_that_do_not_divide(parametrization: str) -> None:
    """30 directions in 8: each stands for 3¾ of them; rows and batches are rounded, sums and variances are not."""
    spectrum = tuple(np.arange(1.0, 31.0))
    given = setting(30, 77, 3, spectrum=spectrum, batch_size=11, parametrization=parametrization)
    fewer = fewer_directions(given, 4)
    full, small = problem_of(given), problem_of(fewer.setting)
    assert fewer.ratio == 3.75
    assert len(fewer.setting.data.spectrum) == 8
    assert (small.samples, fewer.setting.training.batch_size) == (21, 3)
    assert small.s0 == pytest.approx(3.75 * full.s0)
    assert small.eigenvalues.sum() == pytest.approx(full.eigenvalues.sum() / 3.75)
    first, second = small.eigenvalues[:2] / full.eigenvalues[0]
    assert first == pytest.approx((1 + 2 + 3 + 0.75 * 4) / 3.75)
    assert second == pytest.approx((0.25 * 4 + 5 + 6 + 7 + 0.5 * 8) / 3.75)


@pytest.mark.parametrize("parametrization", ["ntk", "standard"])
def test_what_dominates_is_kept(parametrization: str) -> None:
    """The explicit eigenvalue itself, while the others are joined, as if it were not there."""
    spectrum = spiked(41, 0.3)
    given = setting(41, 120, 3, spectrum=spectrum, parametrization=parametrization)
    fewer = fewer_directions(given, 2)
    full, small = problem_of(given), replace(problem_of(fewer.setting), explicit=fewer.explicit)
    assert (fewer.ratio, fewer.explicit, small.samples) == (2, 1, 60)
    assert len(small.eigenvalues) == 21
    assert small.s0 == pytest.approx(2 * full.s0)
    assert small.eigenvalues[-1] == pytest.approx(full.eigenvalues[-1])
    np.testing.assert_allclose(small.eigenvalues[:-1], full.eigenvalues[:-1].reshape(-1, 2).mean(axis=1))
