"""Softmax products against direct quadrature, and the first step on cross-entropy against its limit and networks."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from scipy.stats import norm

from tests.oracles.first_step import controlled_moments, first_step_setting, networks, slope, steps
from tests.oracles.statistics import largest_z
from theory.catalogue import predict
from theory.errors import InvalidInput, NoClosedForm
from theory.network.duals import dual, gram
from theory.network.model import Model
from theory.network.softmax import softmax_products
from theory.network.softmax_first_step import CORRECTION, SoftmaxTerms, softmax_first_step_terms
from theory.setting import Labels, Network, Training

# ---- products


def line(step: float, reach: float = 9.0) -> tuple[np.ndarray, np.ndarray]:
    """The trapezoidal rule for N(0, 1)."""
    nodes = np.arange(-reach, reach + step / 2, step)
    return nodes, step * np.exp(-(nodes**2) / 2) / np.sqrt(2 * np.pi)


def softmax(f: np.ndarray) -> np.ndarray:
    """The softmax over the last axis."""
    e = np.exp(f - f.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def two_classes(first: float, second: float, rho: float) -> float:
    """½ + ½ E tanh(δ_i/2) tanh(δ_k/2), δ the differences of two logits."""
    nodes, weights = line(0.04)
    x, y = np.meshgrid(nodes, nodes, indexing="ij")
    left = np.tanh(np.sqrt(first / 2) * x)
    right = np.tanh(np.sqrt(second / 2) * (rho * x + np.sqrt(1 - rho**2) * y))
    return float(0.5 + 0.5 * weights @ (left * right) @ weights)


@pytest.mark.parametrize(
    ("first", "second", "rho"),
    [(1, 1, 0.3), (2, 0.5, -0.7), (4, 4, 0.95), (9, 9, 1), (1, 1, -1), (0.1, 0.1, 1), (0.01, 1, 0.5), (20, 0.1, 0.5)],
)
def test_products_of_two_classes(first: float, second: float, rho: float) -> None:
    cross = rho * np.sqrt(first * second)
    found = softmax_products(np.array([[first, cross], [cross, second]]), 2)
    expected = [
        [two_classes(first, first, 1.0), two_classes(first, second, rho)],
        [0, two_classes(second, second, 1.0)],
    ]
    np.testing.assert_allclose(np.triu(found), expected, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(found, found.T)


@pytest.mark.parametrize(("variance", "rho"), [(0.7, 0.6), (0.7, -0.4), (1.5, 0.9)])
def test_products_of_three_classes(variance: float, rho: float) -> None:
    """The product is that of quadrature over the two differences of logits of either row, in four dimensions."""
    nodes, weights = line(0.5, 7.0)
    a, b, c, d = np.meshgrid(*[nodes] * 4, indexing="ij")
    root = np.sqrt(variance) * np.linalg.cholesky([[2.0, 1.0], [1.0, 2.0]])

    def probabilities(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        first, second = root[0, 0] * x, root[1, 0] * x + root[1, 1] * y
        return softmax(np.stack([first, second, np.zeros_like(first)], axis=-1))

    rest = np.sqrt(1 - rho**2)
    product = (probabilities(a, b) * probabilities(rho * a + rest * c, rho * b + rest * d)).sum(axis=-1)
    expected = np.einsum("abcd,a,b,c,d->", product, *[weights] * 4)
    found = softmax_products(variance * np.array([[1, rho], [rho, 1]]), 3)
    assert found[0, 1] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("classes", [2, 5, 10, 100])
def test_products_of_small_logits(classes: int) -> None:
    """1/C + (C − 1) N_ik/C² to first order, for any number of classes."""
    n = 1e-4 * np.array([[1.0, 0.4], [0.4, 2.0]])
    found = softmax_products(n, classes) - 1 / classes
    np.testing.assert_allclose(found, (classes - 1) / classes**2 * n, rtol=2e-4, atol=1e-9)


@pytest.mark.parametrize("classes", [3, 10])
def test_products_of_drawn_logits(classes: int) -> None:
    rows = np.random.default_rng(3).standard_normal((4, 2))
    generator, covariance = np.random.default_rng(4), rows @ rows.T
    p = softmax(np.einsum("Ncd,id->Nic", generator.standard_normal((100_000, classes, 2)), rows))
    z, bound = largest_z(np.einsum("Nic,Nkc->Nik", p, p), softmax_products(covariance, classes))
    assert z < bound


def test_products_row_by_row_and_their_order() -> None:
    """Products of all rows are those of pairs; E[p pᵀ] is a covariance, and products grow with the correlation."""
    rows = np.random.default_rng(5).standard_normal((5, 3))
    rows[4] = 0.0
    covariance = rows @ rows.T
    found = softmax_products(covariance, 4)
    for i, k in ((0, 1), (2, 3), (1, 4)):
        pair = softmax_products(covariance[np.ix_([i, k], [i, k])], 4)
        np.testing.assert_allclose(pair, found[np.ix_([i, k], [i, k])], rtol=0, atol=1e-9)
    assert np.linalg.eigvalsh(found).min() > -1e-10
    np.testing.assert_allclose(found[4], 0.25, atol=1e-10)
    alike = [softmax_products(np.array([[1.0, rho], [rho, 1.0]]), 4)[0, 1] for rho in (-0.9, -0.2, 0.0, 0.5, 1.0)]
    assert np.all(np.diff(alike) > 0)
    assert alike[2] == pytest.approx(0.25, abs=1e-10)


@pytest.mark.parametrize(
    ("covariance", "classes", "match"),
    [
        (np.eye(2), 1, "classes"),
        (-np.eye(2), 3, "covariance"),
        (np.full((1, 1), np.nan), 3, "covariance"),
        (26 * np.eye(1), 2, "must not exceed 25"),
    ],
)
def test_what_is_no_covariance_of_logits(covariance: np.ndarray, classes: int, match: str) -> None:
    with pytest.raises(InvalidInput, match=match):
        softmax_products(covariance, classes)


# ---- the limit of the first step

ROWS = np.random.default_rng(999).standard_normal((6, 3)) * np.sqrt([0.4, 1.0, 1.8])
RATE = 12.0


def model_of_width(activation: str, width: int = 1, classes: int = 3) -> Model:
    return Model(activation, width=width, outputs=classes, s0=0.8, sa=1.5, a4=3 * 2.25, sy=0.0)


def limit_samples(seed: int, activation: str, count: int) -> np.ndarray:
    """m (E[w wᵀ] − s_0² I) neuron by neuron, (N, d, d): Gaussian logits, the Jacobian of the softmax, drawn classes."""
    generator, model, n = np.random.default_rng(seed), model_of_width(activation), len(ROWS)
    classes = model.outputs
    root = np.linalg.cholesky(model.sa * dual(activation, gram(ROWS, covariance=model.s0)))
    w = np.sqrt(model.s0) * generator.standard_normal((count, 3))
    a = np.sqrt(model.sa) * generator.standard_normal((count, classes))
    f = np.einsum("ik,Nkc->Nic", root, generator.standard_normal((count, n, classes)))
    p = softmax(f)
    y = np.eye(classes)[generator.integers(classes, size=(count, n))]
    h, slopes = slope(activation, w @ ROWS.T)
    motion = -RATE / n * (np.einsum("Nc,Nic->Ni", a, p - y) * slopes) @ ROWS
    jacobian = np.einsum("Nic,cd->Nicd", p, np.eye(classes)) - np.einsum("Nic,Nid->Nicd", p, p)
    own = -RATE / n * (np.einsum("Nc,Nicd,Nd->Ni", a, jacobian, a) * h * slopes) @ ROWS
    cross = np.einsum("Ni,Nj->Nij", w, own)
    return cross + cross.transpose(0, 2, 1) + np.einsum("Ni,Nj->Nij", motion, motion)


@pytest.mark.parametrize("activation", ["relu", "erf", "tanh"])
def test_first_step_in_the_limit(activation: str) -> None:
    """No width is left: both terms are exact. Either with a wrong sign, or labels forgotten, is seen."""
    terms = softmax_first_step_terms(ROWS, model_of_width(activation))
    samples = limit_samples(7, activation, 60_000)

    def moment(terms: SoftmaxTerms) -> np.ndarray:
        return RATE * terms.own + RATE**2 * terms.squared

    z, bound = largest_z(samples, moment(terms))
    assert z < bound
    assert largest_z(samples, moment(replace(terms, own=-terms.own)))[0] > 8
    assert largest_z(samples, moment(replace(terms, squared=-terms.squared)))[0] > 8
    p = np.diagonal(dual(activation, gram(ROWS, covariance=0.8), (1, 1)))
    labels = 1.5 / len(ROWS) ** 2 * (1 - 1 / 3) * (ROWS.T * p) @ ROWS
    assert largest_z(samples, moment(replace(terms, squared=terms.squared - labels)))[0] > 8


# ---- networks


def gap(
    activation: str, width: int, blocks: int, count: int, rate: float = RATE
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """m times (measured − η T_own − η² T_squared), its standard error, and η² T_reaction, along the axes, (d,) each.

    In units of the size of the first two terms, without their signs.
    """
    model, generator = model_of_width(activation, width, 10), np.random.default_rng([0, width])
    found = []
    for _ in range(blocks):
        w, a, _ = networks(generator, count, ROWS, width, 10, model.s0, model.sa)
        y = np.eye(10)[generator.integers(10, size=(count, len(ROWS)))]
        moved, others = steps(ROWS, activation, (w, a, y), rate, lambda f, y: softmax(f) - y)
        found.append(np.diag(controlled_moments(w, moved, others, model.s0).mean(axis=0)) - model.s0)
    terms = softmax_first_step_terms(ROWS, model)
    unit = np.diag(rate**2 * terms.squared - rate * terms.own)
    measured = width * (width * np.array(found) - np.diag(rate * terms.own + rate**2 * terms.squared)) / unit
    return (
        measured.mean(axis=0),
        measured.std(axis=0, ddof=1) / np.sqrt(blocks),
        rate**2 * np.diag(terms.reaction) / unit,
    )


@pytest.mark.parametrize(("activation", "rate"), [("relu", RATE), ("relu", 0.1), ("tanh", RATE)])
def test_networks_are_within_the_declared_correction(activation: str, rate: float) -> None:
    """At width 8 what is neglected is less than CORRECTION times all terms, by 5.5 standard errors."""
    found, error, reaction = gap(activation, 8, 40, 400, rate)
    assert np.all(np.abs(found - reaction) + 5.5 * error < CORRECTION * (1 + reaction))


def test_the_reaction_is_seen() -> None:
    """The reaction is most of what the terms of order 1/m leave."""
    found, error, reaction = gap("relu", 8, 40, 400)
    assert np.all(found > 8 * error)
    assert np.all(np.abs(found - reaction) + 5.5 * error < reaction / 2)


@pytest.mark.slow
def test_the_gap_falls_as_one_over_the_width() -> None:
    """m times the gap at m = 4, 8, 16, 32 is g_0 + g_1/m within its errors; g_0 is T_reaction, nearly."""
    widths = np.array([4, 8, 16, 32])
    found, errors, reactions = np.transpose([gap("relu", m, 100, max(4000 // m, 50)) for m in widths], (1, 0, 2))
    for values, error, reaction in zip(found.T, errors.T, reactions[0], strict=True):
        design = np.stack([np.ones(4), 1 / widths], axis=1)
        covariance = np.linalg.inv((design.T / error**2) @ design)
        fitted = covariance @ (design.T / error**2) @ values
        assert np.all(np.abs(values - design @ fitted) < norm.isf(1e-7) * error)
        assert fitted[0] > 8 * np.sqrt(covariance[0, 0])
        assert abs(fitted[0] - reaction) < reaction / 2


# ---- what the form says of a setting


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
def test_readings(parametrization: str) -> None:
    """Both parametrizations are the model in their raw weights; the budget is of order 1/m² where that shows."""
    keys: dict = {"learning_rate": 3.0, "momentum": 0.5, "nesterov": True, "weight_decay": 0.02}
    training = Training(loss="cross-entropy", steps=(0, 1), **keys)
    network: dict = {"parametrization": parametrization, "init_variance": (0.8, 1.5)}
    setting = first_step_setting(ROWS, 4, training, Labels(kind="classes", classes=3), **network)
    prediction = predict(setting, rows=ROWS)
    assert (prediction.formula, prediction.status, prediction.order) == ("softmax-first-step", "asymptotic", "1/m^2")
    start, moved = prediction.readings
    s0, rows = (0.8, ROWS / np.sqrt(3)) if parametrization == "ntk" else (0.8 / 3, ROWS)
    terms = softmax_first_step_terms(rows, Model("relu", width=4, outputs=3, s0=s0, sa=1.5, a4=0.0, sy=0.0))
    a = 1 - 4.5 * 0.02
    squared = 4.5**2 * (terms.squared + terms.reaction / 4)
    expected = a**2 * s0 * np.eye(3) + (a * 4.5 * terms.own + squared) / 4
    np.testing.assert_allclose(start.second_moment, s0 * np.eye(3))
    np.testing.assert_allclose(moved.second_moment, expected, rtol=1e-12)
    np.testing.assert_allclose(moved.mean, 4.5 / 4 * terms.mean, rtol=1e-12)
    wide = msgspec.structs.replace(setting, network=Network(kind="mlp", hidden=(4000,), **network))
    assert predict(wide, rows=ROWS).error_budget == 0.02 < prediction.error_budget
    # all terms without their signs, 1.5/m² of the largest of them over τ
    eigenvectors = np.linalg.eigh(ROWS.T @ ROWS)[1]
    sizes = 4.5**2 * (terms.squared + terms.reaction) - a * 4.5 * terms.own
    ratios = np.diag(eigenvectors.T @ sizes @ eigenvectors) / np.diag(eigenvectors.T @ expected @ eigenvectors)
    assert prediction.error_budget == pytest.approx(1.5 / 16 * ratios.max(), rel=1e-9)


@pytest.mark.parametrize(
    ("training", "network", "match"),
    [
        ({"loss": "mse"}, {}, "training.loss"),
        ({"steps": 2}, {}, "training.steps"),
        ({"optimizer": "adam"}, {}, "training.optimizer"),
        ({}, {"bias": True}, "network.bias"),
        ({}, {"init_variance": (100.0, 100.0)}, "network.init_variance"),
        ({"learning_rate": 1e200}, {}, "training.learning_rate"),
    ],
)
def test_hypotheses(training: dict, network: dict, match: str) -> None:
    keys = {"loss": "cross-entropy", "steps": 1} | training
    setting = first_step_setting(ROWS, 4, Training(**keys), Labels(kind="classes", classes=3), **network)
    with pytest.raises(NoClosedForm, match=match.replace(".", r"\.")):
        predict(setting, rows=ROWS, formula="softmax-first-step")


def test_weights_that_are_zero_stay_zero() -> None:
    training = Training(loss="cross-entropy", steps=1)
    setting = first_step_setting(ROWS, 4, training, Labels(kind="classes", classes=3), init_variance=(0.0, 1.0))
    prediction = predict(setting, rows=ROWS)
    assert not prediction.readings[0].tau.any()
    assert prediction.error_budget == 0.02
