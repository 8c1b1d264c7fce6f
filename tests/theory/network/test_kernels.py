"""Kernels of wide networks against published closed forms, and against random features."""

from __future__ import annotations

import textwrap
import time

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reports.testing.strategies import seeds
from tests.oracles.network import published_erf, published_relu
from tests.pretending import needs_pretend_device
from tests.processes import python
from theory.errors import InvalidInput
from theory.network.duals import ACTIVATIONS
from theory.network.kernels import arc_cosine, arcsine, nngp, ntk

ROWS = np.random.default_rng(3).standard_normal((7, 4))
PUBLISHED = {"relu": published_relu, "erf": published_erf}


@pytest.mark.parametrize("activation", PUBLISHED)
def test_published_kernels_of_one_hidden_layer(activation: str) -> None:
    """neural-tangents' stax with W_std² = 1.7 and 0.6: x/√d, Σ_w = 1.7, s_a² = 0.6."""
    scaled = ROWS / 2
    covariance, tangent = PUBLISHED[activation](ROWS, 1.7, 0.6)
    np.testing.assert_allclose(
        nngp(activation, scaled, covariance=1.7, variances=(0.6,)), covariance, rtol=0, atol=1e-12
    )
    # there the first layer's weights are N(0, 1) times W_std, so their gradients carry W_std
    first = 1.7 * ntk(activation, scaled, covariance=1.7, variances=(0.6,), trained="first")
    last = 0.6 * ntk(activation, scaled, covariance=1.7, variances=(0.6,), trained="last")
    np.testing.assert_allclose(first + last, tangent, rtol=0, atol=2e-8)  # their angle of a row with itself is 1e-8
    apart = ~np.eye(7, dtype=bool)
    np.testing.assert_allclose((first + last)[apart], tangent[apart], rtol=0, atol=1e-12)


def test_deeper_relu_networks_by_the_published_recursion() -> None:
    """Three hidden layers with s² = 2 keep the variances; cos θ' = (sin θ + (π − θ) cos θ)/π, entry by entry."""
    found = nngp("relu", ROWS, variances=(2.0, 2.0, 2.0))
    tangent = ntk("relu", ROWS, variances=(2.0, 2.0, 2.0))
    for i in range(7):
        for k in range(7):
            size = float(np.linalg.norm(ROWS[i]) * np.linalg.norm(ROWS[k]))
            cosine = 1.0 if i == k else float(ROWS[i] @ ROWS[k]) / size
            kernel = cosine
            for _ in range(3):
                theta = np.arccos(cosine)
                cosine = (np.sin(theta) + (np.pi - theta) * np.cos(theta)) / np.pi
                kernel = cosine / 2 + kernel * (np.pi - theta) / np.pi
            assert found[i, k] == pytest.approx(size * cosine, abs=1e-12 * size)
            assert tangent[i, k] == pytest.approx(size * kernel, abs=1e-12 * size)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("trained", ["first", "last", "all"])
def test_rows_against_others_are_a_block(activation: str, trained) -> None:
    for variances in ((0.7,), (0.7, 1.3)):
        square = ntk(activation, ROWS, covariance=0.5, variances=variances, trained=trained)
        block = ntk(activation, ROWS[:3], ROWS[3:], covariance=0.5, variances=variances, trained=trained)
        np.testing.assert_allclose(block, square[:3, 3:], atol=1e-12)
        covariance = nngp(activation, ROWS, covariance=0.5, variances=variances)
        block = nngp(activation, ROWS[:3], ROWS[3:], covariance=0.5, variances=variances)
        np.testing.assert_allclose(block, covariance[:3, 3:], atol=1e-12)


def test_parts_add_up() -> None:
    parts = [ntk("erf", ROWS, covariance=0.5, trained=part) for part in ("first", "last")]
    np.testing.assert_allclose(sum(parts), ntk("erf", ROWS, covariance=0.5), rtol=1e-14)
    np.testing.assert_allclose(nngp("erf", ROWS, variances=(0.3,)), 0.3 * arcsine(ROWS), rtol=1e-14)
    np.testing.assert_allclose(nngp("relu", ROWS), arc_cosine(1, ROWS) / 2, rtol=1e-14)
    np.testing.assert_allclose(ntk("relu", ROWS, trained="first"), ROWS @ ROWS.T * arc_cosine(0, ROWS) / 2, rtol=1e-13)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_random_features(activation: str) -> None:
    """E f f' over 100,000 neurons with w ~ N(0, Σ_w), two hidden layers by drawing the second layer's Gaussians."""
    generator = np.random.default_rng(8)
    phi = {"relu": lambda z: np.maximum(z, 0), "erf": lambda z: torch.erf(torch.as_tensor(z)).numpy(), "tanh": np.tanh}
    covariance = np.diag([0.2, 1.0, 0.5, 2.0])
    first = generator.standard_normal((100_000, 4)) @ np.sqrt(covariance)
    features = phi[activation](first @ ROWS.T)
    products = features[:, :, None] * features[:, None, :]
    error = products.std(axis=0) / 100_000**0.5
    found = nngp(activation, ROWS, covariance=covariance)
    assert np.all(np.abs(products.mean(axis=0) - found) <= 7 * error)  # 28 entries at 2.6e-12 each
    root = np.linalg.cholesky(1.5 * found + 1e-12 * np.eye(7))
    deeper = phi[activation](generator.standard_normal((100_000, 7)) @ root.T)
    products = deeper[:, :, None] * deeper[:, None, :]
    error = products.std(axis=0) / 100_000**0.5
    found = nngp(activation, ROWS, covariance=covariance, variances=(1.5, 0.8))
    assert np.all(np.abs(0.8 * products.mean(axis=0) - found) <= 7 * 0.8 * error)


@given(seed=seeds, activation=st.sampled_from(ACTIVATIONS), depth=st.integers(1, 3))
def test_kernels_are_positive(seed: int, activation: str, depth: int) -> None:
    rows = np.random.default_rng(seed).standard_normal((5, 3))
    rows[4] = rows[0]
    for kernel in (nngp(activation, rows, variances=(1.2,) * depth), ntk(activation, rows, variances=(1.2,) * depth)):
        np.testing.assert_allclose(kernel, kernel.T, atol=1e-12)
        np.testing.assert_allclose(kernel[0], kernel[4], atol=1e-7)
        assert np.linalg.eigvalsh(kernel)[0] >= -1e-7


@pytest.mark.parametrize("angle", [1e-6, 1e-5, 1e-3])
def test_small_angles_of_deep_networks_are_told_from_none(angle: float) -> None:
    """The recursion above on unit rows, in forty digits; what a float keeps of a small angle is ε/θ."""
    rows = np.array([[1.0, 0.0], [np.cos(angle), np.sin(angle)]])
    with mpmath.workdps(40):
        cosine = kernel = mpmath.cos(mpmath.mpf(angle))
        for _ in range(3):
            theta = mpmath.acos(cosine)
            cosine = (mpmath.sin(theta) + (mpmath.pi - theta) * cosine) / mpmath.pi
            kernel = cosine / 2 + kernel * (1 - theta / mpmath.pi)
    tolerance = 1e-14 / angle
    assert nngp("relu", rows, variances=(2.0,) * 3)[0, 1] == pytest.approx(float(cosine), abs=1e-14)
    assert ntk("relu", rows, variances=(2.0,) * 3)[0, 1] == pytest.approx(float(kernel), abs=tolerance)


def test_rows_along_one_line_have_no_angle() -> None:
    """K(x, c x) = c K(x, x) of ReLU networks of any depth, to rounding: no angle is made of rounding errors."""
    row = np.random.default_rng(5).standard_normal(7)
    rows = np.stack([row, 3 * row, row / 7])
    for depth in (1, 2, 4):
        kernel = ntk("relu", rows, variances=(1.7,) * depth)
        np.testing.assert_allclose(kernel, kernel[0, 0] * np.outer([1, 3, 1 / 7], [1, 3, 1 / 7]), rtol=1e-13)


def test_torch_is_numpy() -> None:
    for activation in ACTIVATIONS:
        found = ntk(activation, torch.tensor(ROWS), torch.tensor(ROWS[:2]), variances=(1.0, 0.5))
        np.testing.assert_allclose(found.numpy(), ntk(activation, ROWS, ROWS[:2], variances=(1.0, 0.5)), atol=1e-12)


PLACED = """
    import numpy as np, torch
    from tests.pretend_device import DEVICE, Pretend
    from theory.network.duals import ORDERS, dual, dual_quartic, gram
    from theory.network.empirical import empirical_ntk
    from theory.network.kernels import ntk

    rows, weights = np.random.default_rng(0).standard_normal((6, 3)), np.random.default_rng(1).standard_normal((8, 3))
    rows[4], rows[5] = rows[0], 0
    sigma = np.diag([1.0, 0.5, 2.0])

    def kernels(x, s, w):
        for activation in ("relu", "erf"):
            yield ntk(activation, x, x[:2], covariance=2.0, variances=(1.0, 1.5))
            yield dual_quartic(activation, gram(x))
            for orders in ORDERS:
                yield dual(activation, gram(x, x[:3], s), orders)
        yield dual("tanh", gram(x, covariance=s))
        yield empirical_ntk(lambda parameters, z: torch.relu(z @ parameters[0].T).sum(dim=1), (w,), x)

    for dtype in (torch.float32, torch.float64):
        here = [torch.tensor(part, dtype=dtype) for part in (rows, sigma, weights)]
        expected = list(kernels(*here))
        with Pretend():
            found = list(kernels(*(part.to(DEVICE) for part in here)))
            for a, b in zip(found, expected, strict=True):
                assert a.device == DEVICE and a.dtype == dtype
                assert torch.equal(a.cpu(), b)
    print(len(found), "kernels stay on their device")
"""


@needs_pretend_device
def test_kernels_stay_on_a_device_that_refuses_what_cuda_refuses() -> None:
    """The kernels run in a process of their own, because torch cannot forget a device."""
    done = python('import warnings\nwarnings.simplefilter("error")\n' + textwrap.dedent(PLACED))
    assert "20 kernels stay on their device" in done.stdout, done.stderr


def test_two_thousand_rows_are_quick() -> None:
    """The kernel takes under 5 s of the process's own time, which other programs do not affect."""
    rows = np.random.default_rng(1).standard_normal((2000, 30)) / 30**0.5
    started = time.process_time()
    ntk("relu", rows)
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: arc_cosine(2, ROWS), "order"),
        (lambda: nngp("relu", ROWS, variances=()), "variances"),
        (lambda: nngp("relu", ROWS, variances=(1.0, -1.0)), "variances"),
        (lambda: ntk("relu", ROWS, trained="second"), "trained"),
        (lambda: ntk("relu", ROWS, ROWS[0], variances=(1.0, 1.0)), r"others\.shape"),
        (lambda: ntk("sine", ROWS), "activation"),
    ],
)
def test_bad_calls(call, match: str) -> None:
    with pytest.raises(InvalidInput, match=match):
        call()
