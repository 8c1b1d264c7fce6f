"""The averaged first step of ReLU: two rows by quadrature and series, the average over drawn rows, the threshold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from scipy import integrate

from tests.oracles.first_step import controlled_moments, networks, steps
from tests.oracles.statistics import largest_z
from theory.catalogue import predict
from theory.errors import InvalidInput, NoClosedForm
from theory.network.first_step import first_step_moment
from theory.network.first_step_averaged import averaged_terms, first_step_grows, first_step_threshold
from theory.network.model import Model
from theory.network.two_rows import LEADING, two_row_average
from theory.setting import Data, Labels, Network, Setting, Training

MODEL = Model("relu", width=3, outputs=1, s0=0.5, sa=1.0, a4=3.0, sy=1.0)


# ---- two rows


def test_the_series_of_the_odd_part() -> None:
    """P k = even + |x||z| [ρ/16 + 𝒜(ρ)/4π²], and A_k as printed, to the ninth order in SymPy."""
    rho = sp.symbols("rho")
    theta = sp.pi / 2 - sp.asin(rho)
    product = (sp.pi - theta) * (sp.sqrt(1 - rho**2) + (sp.pi - theta) * rho) / (4 * sp.pi**2)
    odd = sp.expand((product - product.subs(rho, -rho)) / 2)
    series = sp.asin(rho) * sp.sqrt(1 - rho**2) + rho * sp.asin(rho) ** 2
    assert sp.simplify(odd - rho / 16 - series / (4 * sp.pi**2)) == 0
    expansion = sp.series(series, rho, 0, 10).removeO()
    assert expansion.coeff(rho, 1) == 1
    for k in range(1, 5):
        expected = sp.Rational(4**k * (k + 1), 2 * sp.binomial(2 * k, k) * k**2 * (2 * k + 1))
        assert expansion.coeff(rho, 2 * k + 1) == expected


@pytest.mark.parametrize("d", [2, 3, 5, 12, 200])
def test_two_rows_of_an_isotropic_law(d: int) -> None:
    """c(d) s², an integral over the angle of two weight vectors; repeated or listed one by one."""

    def inner(v: float) -> float:
        return (np.pi - v) ** 2 + np.sin(v) ** 2 + 2 * (np.pi - v) * np.sin(v) * np.cos(v)

    top, bottom = (
        integrate.quad(lambda v, f=f: f(v) * np.sin(v) ** (d - 2), 0, np.pi, epsabs=1e-13, epsrel=1e-12)[0]
        for f in (inner, lambda v: 1.0)
    )
    average, error = two_row_average(np.array([0.3]), np.array([d]))
    np.testing.assert_allclose(average, 0.09 * top / bottom / (4 * np.pi**2), rtol=3e-12)
    assert error[0] < 1e-12 * average[0]
    if d < 10:
        listed, _ = two_row_average(np.full(d, 0.3), np.ones(d, dtype=int))
        np.testing.assert_allclose(listed, average[0], rtol=1e-12)


def two_weights(first: float, second: float, nodes: int) -> np.ndarray:
    """E q_l², q = E_x[1(w·x > 0) φ(w'·x) x], over directions of the plane: the other order of averaging, (2,).

    With g = Σ^½w, q = Σ^½ [g'(π − ϑ) + g |g'|/|g| sin ϑ]/2π; radii of g and g' are integrated by hand.
    """
    s = np.array([first, second])
    points, weights = np.polynomial.legendre.leggauss(60)
    psi, total = 2 * np.pi * np.arange(nodes) / nodes, np.zeros(2)

    def radial(angle: np.ndarray) -> np.ndarray:
        return np.cos(angle) ** 2 / first + np.sin(angle) ** 2 / second

    for angle, weight in zip(np.pi * (points + 1) / 2, np.pi / 2 * weights, strict=True):
        for other in (psi + angle, psi - angle):
            u, v = (np.stack([np.cos(a), np.sin(a)]) for a in (psi, other))
            q = s[:, None] * (v * (np.pi - angle) + u * np.sin(angle)) ** 2 / (4 * np.pi**2)
            density = 2 / radial(psi) / radial(other) ** 2 / (4 * np.pi**2 * first * second)
            total += weight * 2 * np.pi * (q * density).mean(axis=1)
    return total


@pytest.mark.parametrize(("second", "nodes"), [(1.0, 64), (0.5, 400), (0.1, 1000), (0.01, 4000), (0.001, 12_000)])
def test_two_rows_in_the_plane(second: float, nodes: int) -> None:
    """The average is within its declared error, which is below 1e-9 unless the second variance is small."""
    average, error = two_row_average(np.array([1.0, second]), np.array([1, 1]))
    expected = two_weights(1.0, second, nodes)
    assert np.all(np.abs(average - expected) < error + 1e-12 * expected)
    if second >= 0.1:
        assert np.all(error < 1e-9 * expected)


def test_two_rows_at_the_edges() -> None:
    """One direction; directions without variance; and c_0 s² from below, the last of many eigenvalues last."""
    assert two_row_average(np.array([2.0]), np.array([1]))[0] == pytest.approx(0.5, rel=1e-12)
    with_null, _ = two_row_average(np.array([0.0, 1.0, 2.0]), np.array([3, 1, 1]))
    np.testing.assert_allclose(with_null[1:], two_row_average(np.array([1.0, 2.0]), np.array([1, 1]))[0], rtol=1e-14)
    assert with_null[0] == 0
    s = np.linspace(0.5, 1.5, 60)
    ratio = two_row_average(s, np.ones(60, dtype=int))[0] / (LEADING * s**2)
    assert np.all(ratio > 1)
    assert np.all(ratio < 1.02)
    for bad in ([-1.0, 1.0], [0.0], [np.nan, 1.0]):
        with pytest.raises(InvalidInput, match="s = "):
            two_row_average(np.array(bad), np.ones(len(bad), dtype=int))


# ---- the average over rows

SPECTRUM = (2.0, 0.2, 0.8)


def averaged_setting(samples: int, width: int = 3, **changes: object) -> Setting:
    tables: dict = {
        "data": Data(kind="gaussian", spectrum=SPECTRUM, samples=samples, rotate=False),
        "labels": Labels(variance=1.5),
        "network": Network(kind="mlp", hidden=(width,), parametrization="ntk", init_variance=(0.5, 1.2)),
        "training": Training(learning_rate=2.0, steps=(0, 1)),
    }
    return Setting(**tables | changes)


@pytest.mark.parametrize(("samples", "outputs"), [(1, 1), (2, 3), (7, 1)])
def test_averaged_first_step_is_the_average_over_drawn_rows(samples: int, outputs: int) -> None:
    labels = Labels(variance=1.5, outputs=outputs)
    training = Training(learning_rate=6.0, steps=(0, 1), momentum=0.5, nesterov=True, weight_decay=0.02)
    prediction = predict(averaged_setting(samples, labels=labels, training=training))
    assert (prediction.formula, prediction.status) == ("network-first-step-averaged", "exact")
    start, moved = prediction.readings
    assert start.tau.tolist() == [0.5] * 3
    np.testing.assert_allclose(moved.sigma, np.sqrt([0.2, 0.8, 2.0]))
    np.testing.assert_allclose(np.diag(moved.second_moment)[[1, 2, 0]], moved.tau)
    model = Model("relu", width=3, outputs=outputs, s0=0.5, sa=1.2, a4=3 * 1.44, sy=1.5)
    generator = np.random.default_rng([7, samples, outputs])
    found = [
        first_step_moment(generator.standard_normal((samples, 3)) * np.sqrt(np.array(SPECTRUM) / 3), model, 9.0, 0.02)
        for _ in range(2000)
    ]
    z, bound = largest_z(np.array(found), moved.second_moment)
    assert z < bound
    # a change by the step that is a tenth less would be seen
    wrong = moved.second_moment - 0.1 * (moved.second_moment - 0.5 * np.eye(3))
    assert samples < 7 or largest_z(np.array(found), wrong)[0] > bound


def test_repeated_eigenvalues_and_their_order() -> None:
    """τ is one number per eigenspace, whatever the order of the spectrum."""
    data = Data(kind="gaussian", spectrum=(1.0, 0.3, 1.0, 0.3, 2.0), samples=6)
    (reading,) = predict(averaged_setting(6, data=data, training=Training(steps=1))).readings
    assert reading.multiplicity == (2, 2, 1)
    assert reading.second_moment is None
    ordered = Data(kind="gaussian", spectrum=(0.3, 0.3, 1.0, 1.0, 2.0), samples=6)
    (other,) = predict(averaged_setting(6, data=ordered, training=Training(steps=1))).readings
    np.testing.assert_allclose(reading.tau, other.tau, rtol=1e-14)


def test_spectra_that_quadrature_does_not_reach() -> None:
    uneven = averaged_setting(
        200,
        data=Data(kind="gaussian", spectrum=(1.0, 1e-4), samples=200),
        network=Network(kind="mlp", hidden=(50,), init_variance=1.0),
        training=Training(learning_rate=5.0, steps=1),
    )
    with pytest.raises(NoClosedForm, match=r"data.spectrum = .*: is too uneven"):
        predict(uneven)


def test_weights_that_are_zero_stay_zero() -> None:
    still = averaged_setting(6, network=Network(kind="mlp", hidden=(3,), init_variance=(0.0, 1.0)))
    assert not predict(still).readings[1].tau.any()
    assert first_step_threshold(replace(MODEL, s0=0.0, sy=0.0), 6, 1.0) == np.inf


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"network": Network(kind="mlp", activation="erf")}, "network.activation"),
        ({"data": Data(kind="elliptical", spectrum=SPECTRUM, samples=9)}, "data.kind"),
        ({"data": Data(kind="gaussian", spectrum=SPECTRUM, samples=9, mean=(1.0, 0.0, 0.0))}, "data.mean"),
        ({"training": Training(steps=2)}, "training.steps"),
        ({"training": Training(batch_size=2, steps=1)}, "training.batch_size"),
    ],
)
def test_hypotheses(changes: dict, match: str) -> None:
    with pytest.raises(NoClosedForm, match=match.replace(".", r"\.")):
        predict(averaged_setting(9, **changes), formula="network-first-step-averaged")


# ---- the threshold


@pytest.mark.parametrize("width", [1, 4, 10**9])
@pytest.mark.parametrize("outputs", [1, 3])
def test_threshold_of_growth(width: int, outputs: int) -> None:
    """A direction of nearly no variance shrinks at .9 of the threshold and grows at 1.1 of it.

    For wide networks the threshold is that of the limit.
    """
    model = replace(MODEL, width=width, outputs=outputs, sa=0.8, a4=3 * 0.64)
    s, samples = np.array([1e-9, 0.5, 1.5]), 20
    threshold = first_step_threshold(model, samples, float(s.sum()))
    terms = averaged_terms(s, samples, model)
    for factor, grows in ((0.9, False), (1.1, True)):
        rate = factor * threshold
        change = rate * terms.own + rate**2 * (terms.labels + terms.same + terms.pairs)
        assert (change[0] > 0) == grows == first_step_grows(model, samples, float(s.sum()), rate)
    if width > 10:
        v0 = model.sa * model.s0 * s.sum() / 2
        assert threshold == pytest.approx(2 * samples * model.s0 / (model.sy + v0), rel=1e-8)


@pytest.mark.slow
def test_networks_shrink_below_the_threshold_and_grow_above_it() -> None:
    """100,000 networks with rows of their own, a direction of variance 0.01 beside two of 1."""
    scales, samples = np.sqrt([0.01, 1.0, 1.0]), 20
    model = replace(MODEL, width=8)
    for number, (factor, sign) in enumerate(((0.9, -1), (1.1, 1))):
        rate = factor * first_step_threshold(model, samples, 2.01)
        generator, blocks = np.random.default_rng([0, number]), []
        for _ in range(100):
            total = np.zeros((3, 3))
            for _ in range(100):
                rows = generator.standard_normal((samples, 3)) * scales
                drawn = networks(generator, 10, rows, 8, 1, model.s0, model.sa)
                moved, others = steps(rows, "relu", drawn, rate, np.subtract)
                total += controlled_moments(drawn[0], moved, others, model.s0).mean(axis=0)
            blocks.append(total / 100)
        change = np.array(blocks)[:, 0, 0] - model.s0
        assert sign * change.mean() > 5 * change.std(ddof=1) / np.sqrt(len(change))
        terms = averaged_terms(scales**2, samples, model)
        expected = (rate * terms.own + rate**2 * (terms.labels + terms.same + terms.pairs)) / 8
        z, bound = largest_z(np.array(blocks), np.diag(model.s0 + expected))
        assert z < bound
