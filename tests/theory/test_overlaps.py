"""Overlaps of eigenspaces: traces of products of projectors, and which ones were added together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from reports.testing.strategies import Known, known_matrices, spectral
from tests.oracles.matrices import projectors
from theory.eigenspaces import eigenspaces
from theory.errors import InvalidInput
from theory.overlaps import merged, overlaps

# --- overlaps


@given(known_matrices(), st.data())
def test_overlaps_are_traces_of_products_of_projectors(first: Known, data: DataObject) -> None:
    second = data.draw(known_matrices(dimension=first.dimension))
    expected = [
        [operator_trace / m for operator_trace in (np.trace(p @ q) for q in projectors(second.spaces))]
        for p, m in zip(projectors(first.spaces), first.multiplicity, strict=True)
    ]
    found = overlaps(first.spaces, second.spaces)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)


@given(known_matrices(), st.data())
def test_eigenspaces_that_were_added_together_are_named(known: Known, data: DataObject) -> None:
    k = len(known.eigenvalues)
    values = data.draw(st.lists(st.sampled_from([1.0, 2.0, 3.0]), min_size=k, max_size=k))
    b = spectral(np.repeat(values, known.multiplicity), known.basis)
    groups = tuple(tuple(i for i in range(k) if values[i] == v) for v in sorted(set(values)))
    assert merged(eigenspaces(known.matrix), eigenspaces(b), tolerance=1e-9) == groups


def test_what_is_spread_over_several_appears_nowhere() -> None:
    turn = np.eye(3)
    turn[:2, :2] = [[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]]
    data, weights = eigenspaces(np.diag([1.0, 2.0, 3.0])), eigenspaces(spectral(np.array([1.0, 2.0, 3.0]), turn))
    assert merged(data, weights, tolerance=1e-3) == ((), (), (2,))
    assert merged(data, weights, tolerance=np.sin(0.3) ** 2 + 1e-12) == ((0,), (1,), (2,))


# --- kinds of arrays, bad input


def test_bad_overlaps() -> None:
    two, three = eigenspaces(np.eye(2)), eigenspaces(np.eye(3))
    with pytest.raises(InvalidInput, match=r"weights\.dimension = 3"):
        overlaps(two, three)
    with pytest.raises(InvalidInput, match="dtype"):
        overlaps(two, eigenspaces(np.eye(2, dtype=np.float32)))
    for tolerance in (-0.1, 0.5, np.nan):
        with pytest.raises(InvalidInput, match="tolerance"):
            merged(two, two, tolerance=tolerance)
