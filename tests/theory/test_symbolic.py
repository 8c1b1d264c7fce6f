from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.eigenspaces import eigenspaces
from theory.errors import InvalidInput
from theory.misalignment import misalignment_squared
from theory.symbolic import (
    exact_aligned,
    exact_containment,
    exact_eigenspaces,
    exact_misalignment_squared,
    exact_twirl,
)
from theory.symmetry import symmetry_group, twirl

ROOT = sympy.sqrt(2)
MATRICES = {
    "rational eigenvalues, repeated": sympy.Matrix(4, 4, lambda i, j: 1 if i == j else sympy.Rational(1, 3)),
    "golden ratio": sympy.Matrix([[0, 1], [1, 1]]),
    "golden ratio, twice": sympy.diag(sympy.Matrix([[0, 1], [1, 1]]), sympy.Matrix([[0, 1], [1, 1]])),
    "an irreducible cubic": sympy.Matrix([[2, 1, 0], [1, 3, 1], [0, 1, 5]]),
    "a cubic and a rational": sympy.diag(sympy.Matrix([[2, 1, 0], [1, 3, 1], [0, 1, 5]]), 3),
    "entries with a square root": sympy.Matrix([[ROOT, 1], [1, 3]]),
    "two square roots": sympy.Matrix([[ROOT, 1, 0], [1, sympy.sqrt(3), 0], [0, 0, 1]]),
    "rational after all": sympy.Matrix([[1, ROOT], [ROOT, 2]]),
    "a square with a double zero": sympy.Matrix([[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]]),
    "a multiple of the identity": 3 * sympy.eye(3),
}


def _numbers(matrix: sympy.Matrix) -> np.ndarray:
    return np.array(matrix.evalf(30).tolist(), dtype=float)


def _positive(d: int) -> sympy.Matrix:
    root = sympy.Matrix(d, d, lambda i, j: (3 * i + 5 * j) % 7 - 2)
    return root * root.T + sympy.eye(d)


@pytest.mark.parametrize("a", MATRICES.values(), ids=MATRICES.keys())
def test_exact_and_numerical_agree(a: sympy.Matrix) -> None:
    b = _positive(a.shape[0])
    exact, numerical = exact_eigenspaces(a), eigenspaces(_numbers(a))
    assert tuple(space.multiplicity for space in exact) == numerical.multiplicity
    np.testing.assert_allclose([float(s.eigenvalue) for s in exact], numerical.eigenvalues, atol=1e-12)
    for space, projector in zip(exact, numerical.projectors, strict=True):
        np.testing.assert_allclose(_numbers(space.projector), projector, atol=1e-12)
    np.testing.assert_allclose(
        _numbers(exact_twirl(a, b)), twirl(symmetry_group(numerical), _numbers(b)), atol=1e-10 * float(b.trace())
    )
    expected = misalignment_squared(numerical, _numbers(b))
    assert float(exact_misalignment_squared(a, b)) == pytest.approx(float(expected), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("a", MATRICES.values(), ids=MATRICES.keys())
def test_functions_of_a_are_aligned_with_it_and_nothing_nearby_is(a: sympy.Matrix) -> None:
    d = a.shape[0]
    k = len(exact_eigenspaces(a))
    b = (a**3 - 7 * a + 20 * sympy.eye(d)).expand()
    assert exact_aligned(a, b)
    assert exact_containment(a, b) == (True,) * k
    nudge = sympy.zeros(d, d)
    nudge[0, d - 1] = nudge[d - 1, 0] = sympy.Rational(1, 10**30)  # invisible to floating point
    assert not exact_aligned(a, b + nudge)
    projected = exact_twirl(a, _positive(d))
    assert exact_aligned(a, projected)
    assert exact_misalignment_squared(a, projected) == 0
    assert sympy.simplify(exact_twirl(a, projected) - projected) == sympy.zeros(d, d)
    assert sympy.simplify(a * projected - projected * a) == sympy.zeros(d, d)


@pytest.mark.parametrize(
    "name", ["rational eigenvalues, repeated", "golden ratio, twice", "entries with a square root"]
)
def test_projectors_are_projectors(name: str) -> None:
    a = MATRICES[name]
    spaces = exact_eigenspaces(a)
    d = a.shape[0]
    simplify = sympy.simplify
    assert simplify(sum((s.projector for s in spaces), sympy.zeros(d, d))) == sympy.eye(d)
    for space in spaces:
        p = space.projector
        assert simplify(p * p - p) == sympy.zeros(d, d)
        assert simplify(a * p - space.eigenvalue * p) == sympy.zeros(d, d)
        assert simplify(p.trace()) == space.multiplicity


def test_the_projectors_of_a_cubic_to_fifty_digits() -> None:
    a = MATRICES["an irreducible cubic"]
    for space in exact_eigenspaces(a):
        assert space.eigenvalue.has(sympy.CRootOf)
        residual = (a * space.projector - space.eigenvalue * space.projector).evalf(60)
        assert max(abs(x) for x in residual) < 1e-50


@given(st.lists(st.integers(-2, 2), min_size=6, max_size=6), st.lists(st.integers(-2, 2), min_size=6, max_size=6))
@settings(max_examples=25)
def test_containment_is_the_commutator_with_every_projector(first: list[int], second: list[int]) -> None:
    def symmetric(entries: list[int]) -> sympy.Matrix:
        a, b, c, d, e, f = entries
        return sympy.Matrix([[a, b, c], [b, d, e], [c, e, f]])

    a, b = symmetric(first), symmetric(second)
    numerical, weights = eigenspaces(_numbers(a)), _numbers(b)
    held = exact_containment(a, b)
    assert exact_aligned(a, b) == all(held)
    for projector, m, verdict in zip(numerical.projectors, numerical.multiplicity, held, strict=True):
        residual = weights @ projector - np.trace(projector @ weights) / m * projector
        assert (np.abs(residual).max() < 1e-9) == verdict


def test_the_twirl_is_the_average_over_sign_flips() -> None:
    a, b = sympy.diag(1, 2, 3), sympy.Matrix(3, 3, lambda i, j: sympy.Rational(1, 1 + i + j))
    flips = [sympy.diag(*signs) for signs in product([-1, 1], repeat=3)]
    assert exact_twirl(a, b) == sum((g * b * g for g in flips), sympy.zeros(3, 3)) / 8


def test_misalignment_by_hand() -> None:
    rho = sympy.Rational(3, 5)
    b = sympy.Matrix([[4, 2 * rho], [2 * rho, 1]])
    assert exact_misalignment_squared(sympy.diag(1, 2), b) == sympy.Rational(1, 2)  # 2 / sqrt(1 − ρ²) − 2
    assert exact_misalignment_squared(sympy.eye(2), b) == sympy.sqrt(5 * 5 / sympy.Rational(64, 25)) - 2


@pytest.mark.parametrize(
    ("first", "second", "key"),
    [
        (np.eye(2), sympy.eye(2), "first"),
        ([[1, 0], [0, 1]], sympy.eye(2), "first"),
        (sympy.eye(2), [[1, 0], [0, 1]], "second"),
        (sympy.eye(2), sympy.eye(3), "second.shape"),
        (sympy.zeros(0, 0), sympy.zeros(0, 0), "first.shape"),
        (sympy.ones(2, 3), sympy.ones(2, 3), "first.shape"),
        (sympy.Matrix([[1, 2], [0, 1]]), sympy.eye(2), "first"),
        (sympy.eye(2), sympy.Matrix([[1, 0.5], [0.5, 1]]), "second"),
        (sympy.eye(2), sympy.pi * sympy.eye(2), "second"),
        (sympy.eye(2), sympy.I * sympy.eye(2), "second"),
        (sympy.eye(2), sympy.Symbol("x") * sympy.eye(2), "second"),
        (sympy.eye(2), sympy.Matrix([[1, sympy.nan], [sympy.nan, 1]]), "second"),
    ],
)
def test_bad_input(first: object, second: object, key: str) -> None:
    for function in (exact_aligned, exact_containment, exact_twirl, exact_misalignment_squared):
        with pytest.raises(InvalidInput) as caught:
            function(first, second)
        assert caught.value.key == key


def test_only_positive_definite_matrices_have_a_misalignment() -> None:
    with pytest.raises(InvalidInput, match="rank 1 in dimension 2"):
        exact_misalignment_squared(sympy.eye(2), sympy.ones(2, 2))
    with pytest.raises(InvalidInput, match="negative eigenvalue"):
        exact_misalignment_squared(sympy.eye(2), sympy.diag(1, -1))


def test_what_sympy_cannot_name() -> None:
    a = sympy.Matrix([[ROOT, 1, 0], [1, 3, 1], [0, 1, 5]])
    assert exact_aligned(a, a * a)  # needs no eigenvalue
    with pytest.raises(InvalidInput, match="degree at most 2"):
        exact_eigenspaces(a)
