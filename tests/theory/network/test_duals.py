"""Gaussian expectations of activations against quadrature, their symmetries, and what they do at degenerate angles."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given
from hypothesis import strategies as st

from reports.testing.strategies import orthogonal, seeds
from tests.oracles.network import DERIVATIVES, plane_expectation, relu_expectation
from theory.errors import InvalidInput
from theory.network.duals import ACTIVATIONS, ORDERS, Gram, dual, dual_quartic, gram

COVARIANCE = np.array([[0.8, 0.3, 0.0], [0.3, 0.5, 0.1], [0.0, 0.1, 1.4]])
ROWS = np.array([[1.0, 0.2, -0.5], [0.3, -1.1, 0.4], [-0.9, -0.3, 0.6], [2.0, 0.4, -1.0]])
OTHERS = np.array([[0.5, 0.5, 0.5], [-1.0, -0.2, 0.5], [0.1, 2.0, -0.3]])  # the second is opposite to a row


def entries(found: Gram) -> list[tuple[int, int, float, float, float]]:
    """(i, k, E u², E v², E uv) of all pairs."""
    n, p = found.cross.shape
    return [(i, k, found.left[i], found.right[k], found.cross[i, k]) for i in range(n) for k in range(p)]


def test_moments_are_those_of_the_weights() -> None:
    found = gram(ROWS, OTHERS, COVARIANCE)
    np.testing.assert_allclose(found.cross, ROWS @ COVARIANCE @ OTHERS.T, atol=1e-14)
    np.testing.assert_allclose(found.left, np.einsum("id,de,ie->i", ROWS, COVARIANCE, ROWS), rtol=1e-14)
    np.testing.assert_allclose(found.right, np.einsum("id,de,ie->i", OTHERS, COVARIANCE, OTHERS), rtol=1e-14)
    square = np.outer(found.left, found.right) - found.cross**2
    np.testing.assert_allclose(found.area**2, square, atol=1e-14)
    np.testing.assert_array_equal(gram(ROWS, covariance=4.0).cross, gram(2 * ROWS).cross)


@pytest.mark.parametrize("orders", ORDERS)
@pytest.mark.parametrize("activation", ["erf", "tanh"])
def test_smooth_activations_against_quadrature(activation: str, orders: tuple[int, int]) -> None:
    moments = gram(ROWS, OTHERS, COVARIANCE)
    f, g = (DERIVATIVES[activation][order] for order in orders)
    found = dual(activation, moments, orders)
    expected = [plane_expectation(f, g, left, right, cross) for _, _, left, right, cross in entries(moments)]
    np.testing.assert_allclose(found.ravel(), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("activation", ["erf", "tanh"])
def test_quartic_against_quadrature(activation: str) -> None:
    moments = gram(ROWS, OTHERS, COVARIANCE)

    def product(z: np.ndarray) -> np.ndarray:
        return DERIVATIVES[activation][0](z) * DERIVATIVES[activation][1](z)

    expected = [plane_expectation(product, product, *moment[2:]) for moment in entries(moments)]
    np.testing.assert_allclose(dual_quartic(activation, moments).ravel(), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("variance", [0.01, 1.0, 9.0])
@pytest.mark.parametrize("orders", [(0, 0), (1, 1), (2, 0), (3, 1), (2, 2)])
def test_tanh_at_all_correlations_and_variances(variance: float, orders: tuple[int, int]) -> None:
    """3e-11 of the root of the energies, on both sides of the change of rules, |ρ| near and at 1, large E u²."""
    rho = np.array([[-1.0, -0.99, -0.3, 0.0, 0.6, 0.949, 0.951, 0.99999, 1.0]])
    f, g = (DERIVATIVES["tanh"][order] for order in orders)
    for ratio in (1.0, 1.3):  # equal variances are the worst: singularities of both functions meet
        left, right, scale = variance, ratio * variance, ratio**0.5 * variance
        moments = Gram(scale * rho, np.array([left]), np.full(9, right), scale * np.sqrt(1 - rho**2))
        found = dual("tanh", moments, orders)[0]
        energies = plane_expectation(f, f, left, left, left) * plane_expectation(g, g, right, right, right)
        expected = [plane_expectation(f, g, left, right, scale * r) for r in rho[0]]
        np.testing.assert_allclose(found, expected, rtol=0, atol=3e-11 * energies**0.5)


@pytest.mark.parametrize("orders", [(0, 0), (1, 1), (2, 0), (2, 2)])
def test_relu_against_its_definition(orders: tuple[int, int]) -> None:
    moments = gram(ROWS, OTHERS[[0, 2]], COVARIANCE)
    expected = [relu_expectation(orders, *moment[2:]) for moment in entries(moments)]
    np.testing.assert_allclose(dual("relu", moments, orders).ravel(), expected, rtol=1e-10)
    if orders == (0, 0):
        np.testing.assert_array_equal(dual_quartic("relu", moments), dual("relu", moments))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_price(activation: str) -> None:
    """∂/∂E uv raises both orders by one, ∂/∂E u² is half of the first order raised by two; by complex steps or SymPy.

    It reaches ReLU's distribution of order (3, 1), which no integral of functions gives.
    """
    c, left, right = sp.symbols("c l r", positive=True)
    point = {c: sp.Rational(1, 3), left: sp.Rational(3, 4), right: sp.Rational(7, 5)}
    numbers = [np.array([[1 / 3]]), np.array([0.75]), np.array([1.4])]

    def value(orders: tuple[int, int], cross: float = 0.0, first: float = 0.0) -> float:
        moments = [numbers[0] + cross, numbers[1] + first, numbers[2]]
        area = np.sqrt(np.outer(moments[1], moments[2]) - moments[0] ** 2)
        return float(dual(activation, Gram(*moments, area), orders)[0, 0])

    if activation == "relu":
        symbolic = (sp.sqrt(left * right - c**2) + (sp.pi - sp.acos(c / sp.sqrt(left * right))) * c) / (2 * sp.pi)
        for orders, derivative in {
            (1, 1): symbolic.diff(c),
            (2, 2): symbolic.diff(c, 2),
            (2, 0): 2 * symbolic.diff(left),
            (0, 2): 2 * symbolic.diff(right),
            (3, 1): 2 * symbolic.diff(c, left),
            (1, 3): 2 * symbolic.diff(c, right),
        }.items():
            assert value(orders) == pytest.approx(float(derivative.subs(point)), rel=1e-12)
    h = 1e-4
    for orders, raised in (((0, 0), (1, 1)), ((1, 1), (2, 2)), ((2, 0), (3, 1)), ((0, 2), (1, 3))):
        slope = (value(orders, cross=h) - value(orders, cross=-h)) / (2 * h)
        assert slope == pytest.approx(value(raised), rel=1e-5, abs=1e-7)
    for orders, raised in (((0, 0), (2, 0)), ((1, 1), (3, 1)), ((0, 2), (2, 2))):
        slope = (value(orders, first=h) - value(orders, first=-h)) / h
        assert slope == pytest.approx(value(raised), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("angle", [1e-2, 1e-5, 1e-9])
@pytest.mark.parametrize("side", [1, -1])
def test_small_angles_keep_their_digits(angle: float, side: int) -> None:
    """An arccosine would be off by 1e-8: all of the smallest angle here."""
    rows, others = np.array([[3.0, 0.0]]), side * np.array([[2 * np.cos(angle), 2 * np.sin(angle)]])
    moments = gram(rows, others)
    assert moments.area[0, 0] == pytest.approx(6 * np.sin(angle), rel=1e-15 / angle)
    gate = 0.5 - angle / (2 * np.pi) if side == 1 else angle / (2 * np.pi)
    assert dual("relu", moments, (1, 1))[0, 0] == pytest.approx(gate, rel=1e-15 / angle)
    assert dual("relu", moments, (2, 2))[0, 0] == pytest.approx(1 / (12 * np.pi * np.sin(angle)), rel=1e-15 / angle)
    assert dual("relu", moments, (2, 0))[0, 0] == pytest.approx(np.sin(angle) / (3 * np.pi), rel=1e-15 / angle)


def test_equal_opposite_parallel_and_zero_rows() -> None:
    row = np.array([0.3, -1.7, 0.9])
    moments = gram(np.stack([row, row, 3 * row, -row / 7, 0 * row]), covariance=COVARIANCE)
    np.testing.assert_array_equal(moments.area, 0.0)
    sign = np.array([1, 1, 1, -1])
    same = np.equal.outer(sign, sign)
    gates = dual("relu", moments, (1, 1))
    np.testing.assert_array_equal(gates[:4, :4], same / 2)
    np.testing.assert_allclose(dual("relu", moments)[:4, :4], same * moments.cross[:4, :4] / 2, atol=1e-16)
    for orders in ((2, 0), (3, 1), (2, 2)):
        np.testing.assert_array_equal(dual("relu", moments, orders), 0.0)
    for orders in ORDERS:
        assert np.all(dual("relu", moments, orders)[4] == 0)
        for activation in ACTIVATIONS:
            assert np.isfinite(dual(activation, moments, orders)).all()
    assert np.all(dual("erf", moments, (0, 0))[4] == 0)
    assert dual("tanh", moments, (1, 1))[4, 4] == pytest.approx(1, abs=1e-11)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_torch_is_numpy(activation: str, dtype: torch.dtype) -> None:
    rows, others, covariance = (torch.tensor(a, dtype=dtype) for a in (ROWS, OTHERS, COVARIANCE))
    moments, expected = gram(rows, others, covariance), gram(ROWS, OTHERS, COVARIANCE)
    single = dtype == torch.float32
    for orders in ORDERS:
        found = dual(activation, moments, orders)
        assert found.dtype == dtype
        opposite = single and orders in ((3, 1), (1, 3), (2, 2))  # a float32 pair may or may not be parallel
        reference = dual(activation, expected, orders)
        where = np.abs(expected.area) > 1e-12 if opposite else np.ones_like(reference, dtype=bool)
        np.testing.assert_allclose(found.numpy()[where], reference[where], rtol=1e-4 if single else 1e-12, atol=1e-6)
    np.testing.assert_allclose(
        dual_quartic(activation, moments).numpy(), dual_quartic(activation, expected), rtol=1e-4, atol=1e-6
    )


@pytest.mark.gpu
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_device_stays(activation: str) -> None:
    rows = torch.tensor(ROWS, device="cuda")
    found = dual(activation, gram(rows))
    assert found.device == rows.device
    np.testing.assert_allclose(found.cpu().numpy(), dual(activation, gram(ROWS)), rtol=1e-12)


@given(
    seed=seeds,
    n=st.integers(1, 6),
    d=st.integers(1, 4),
    activation=st.sampled_from(ACTIVATIONS),
    orders=st.sampled_from(ORDERS),
)
def test_symmetric_positive_and_invariant(seed: int, n: int, d: int, activation: str, orders: tuple[int, int]) -> None:
    """Duals of Gram matrices are symmetric, positive semi-definite, unchanged by turning the rows and Σ_w together."""
    generator = np.random.default_rng(seed)
    rows, root = generator.standard_normal((n, d)), generator.standard_normal((d, d)) / d
    rows[-1] = rows[0]
    turn = orthogonal(seed, d)
    moments, turned = (
        gram(rows, covariance=root @ root.T),
        gram(rows @ turn.T, covariance=turn @ root @ root.T @ turn.T),
    )
    found = dual(activation, moments, orders)
    scale = np.abs(found).max()
    np.testing.assert_allclose(dual(activation, moments, orders[::-1]), found.T, atol=1e-12 * scale)
    if activation != "relu" or orders in ((0, 0), (1, 1), (2, 0), (0, 2)):  # its distributions are infinite at angle 0
        np.testing.assert_allclose(dual(activation, turned, orders), found, atol=1e-9 * scale)
        if orders[0] == orders[1]:
            assert np.linalg.eigvalsh(found)[0] >= -1e-10 * scale
    if orders == (0, 0):
        quartic = dual_quartic(activation, moments)
        np.testing.assert_allclose(quartic, quartic.T, atol=1e-14)
        assert np.linalg.eigvalsh(quartic)[0] >= -1e-10 * np.abs(quartic).max()


@given(
    seed=seeds,
    scale=st.floats(0.1, 3.0),
    activation=st.sampled_from(ACTIVATIONS),
    orders=st.sampled_from(ORDERS),
)
def test_scales(seed: int, scale: float, activation: str, orders: tuple[int, int]) -> None:
    """Rows c·x under Σ_w are rows x under c²Σ_w; ReLU's duals of orders (a, b) are homogeneous of degree 2 − a − b."""
    rows = np.random.default_rng(seed).standard_normal((3, 4))
    large = dual(activation, gram(scale * rows), orders)
    np.testing.assert_allclose(large, dual(activation, gram(rows, covariance=scale**2), orders), rtol=1e-9, atol=1e-11)
    if activation == "relu":
        expected = scale ** (2 - sum(orders)) * dual("relu", gram(rows), orders)
        np.testing.assert_allclose(large, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: gram(np.ones(3)), r"rows\.shape"),
        (lambda: gram(np.ones((0, 3))), r"rows\.shape"),
        (lambda: gram(np.ones((2, 3), dtype=complex)), r"rows\.dtype"),
        (lambda: gram(np.array([[np.nan]])), "rows = 'nan or inf'"),
        (lambda: gram(np.ones((2, 3)), np.ones((2, 4))), "same number of columns"),
        (lambda: gram(np.ones((2, 3)), torch.ones((2, 3))), "all be torch"),
        (lambda: gram([[1.0]]), "NumPy"),
        (lambda: gram(np.ones((2, 3)), covariance=-1.0), "covariance"),
        (lambda: gram(np.ones((2, 3)), covariance=np.eye(2)), r"covariance\.shape"),
        (lambda: gram(np.ones((2, 2)), covariance=np.diag([1.0, -0.1])), "positive semi-definite"),
        (lambda: dual("gelu", gram(np.eye(2))), "activation = 'gelu'"),
        (lambda: dual_quartic("gelu", gram(np.eye(2))), "activation = 'gelu'"),
        (lambda: dual("erf", gram(np.eye(2)), (4, 0)), "orders"),
        (lambda: dual("tanh", gram(np.eye(2), covariance=1e6)), "too large for tanh"),
    ],
)
def test_bad_calls(call, match: str) -> None:
    with pytest.raises(InvalidInput, match=match):
        call()


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_rounding_makes_no_covariance_indefinite(scale: float) -> None:
    """Eigenvalues down to −16 d = −32 units of rounding of the largest count as zero, whatever the scale."""
    eps = np.finfo(float).eps
    almost = gram(np.eye(2), covariance=scale * np.diag([1.0, -24 * eps]))
    np.testing.assert_allclose(almost.left, scale * np.array([1.0, 0.0]), rtol=1e-14)
    with pytest.raises(InvalidInput, match="positive semi-definite"):
        gram(np.eye(2), covariance=scale * np.diag([1.0, -48 * eps]))


def test_integers_and_singular_covariances() -> None:
    np.testing.assert_array_equal(gram(np.eye(2, dtype=int)).cross, np.eye(2))
    moments = gram(np.eye(2), covariance=np.ones((2, 2)))  # both rows are the same Gaussian
    np.testing.assert_array_equal(moments.area, 0.0)
    np.testing.assert_allclose(dual("relu", moments, (1, 1)), 0.5)
