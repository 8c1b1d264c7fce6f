"""Fits of the shape laws: what they solve, their errors, their verdicts, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from theory.decomposition import fit_law, fit_shape, law_tau
from theory.decomposition.shape_laws import LAWS, LawName
from theory.errors import InvalidInput

SIGMA = np.linspace(0.1, 3.0, 20)
TRUE = {"rate": 0.5, "written": 0.3, "initial": 0.04}


def noisy(law: LawName, seed: int = 0, scatter: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """τ, and the covariance of its errors: of independent ones, larger at larger σ."""
    tau = law_tau(law, SIGMA, **TRUE)
    deviation = scatter * tau * np.linspace(0.5, 1.5, len(SIGMA))
    return tau + deviation * np.random.default_rng(seed).standard_normal(len(SIGMA)), np.diag(deviation**2)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("initial", [TRUE["initial"], None])
def test_without_noise_the_parameters_are_found(law: LawName, initial: float | None) -> None:
    tau = law_tau(law, SIGMA, **TRUE)
    fit = fit_law(law, SIGMA, tau, np.zeros((20, 20)), groups=5, initial=initial)
    assert (fit.rate, fit.written, fit.initial) == pytest.approx(tuple(TRUE.values()), rel=1e-6)
    assert fit.rate_interval == pytest.approx((0.5, 0.5), rel=1e-6)
    assert abs(fit.residual).max() < 1e-7
    assert (fit.pvalue, fit.verdict) == (1.0, "describes")


@pytest.mark.parametrize("law", LAWS)
def test_a_curve_on_which_parameters_cannot_be_told_apart_is_fitted(law: LawName) -> None:
    """The curve rises and falls as no law does, and the fit ends where U and c move τ alike."""
    tau = np.array([0.272, 0.705, 27.867, 3.737])
    fit = fit_law(law, np.linspace(1, 2, 4), tau, 1e-4 * np.eye(4), groups=9, initial=1.0)
    assert np.all(np.isfinite(fit.residual))
    assert fit.verdict == "rejected"


@pytest.mark.parametrize("law", LAWS)
def test_the_equation_that_is_solved(law: LawName) -> None:
    """Σ p (τ̂ − τ)/τ² ∂τ = 0, derivatives by differences; repeated directions count by their number."""
    tau, covariance = noisy(law)
    sizes = np.arange(20) % 3 + 1
    fit = fit_law(law, SIGMA, tau, covariance, groups=9, initial=0.04, multiplicity=sizes.tolist())
    keys = {"rate": fit.rate, "written": fit.written, "initial": 0.04}
    found = law_tau(law, SIGMA, **keys)
    for key in ("rate", "written"):
        slope = (law_tau(law, SIGMA, **keys | {key: keys[key] * 1.0001}) - found) / 1e-4
        assert abs(np.sum(sizes * (tau - found) / found**2 * slope)) < 1e-3 * np.sum(sizes * abs(slope) / found)
    np.testing.assert_allclose(fit.residual, np.sqrt(tau / found) - 1, rtol=1e-9)
    split = [np.repeat(each, sizes) for each in (SIGMA, tau)]
    again = fit_law(law, *split, np.zeros((sizes.sum(),) * 2), groups=9, initial=0.04)
    assert (again.rate, again.written) == pytest.approx((fit.rate, fit.written), rel=1e-6)


@pytest.mark.parametrize("law", LAWS)
def test_intervals_are_linear_in_the_errors(law: LawName) -> None:
    """Half the logarithm of their ratio is Student's quantile times the error that differences give."""
    tau = law_tau(law, SIGMA, **TRUE)
    covariance = np.diag((1e-3 * tau) ** 2) + 1e-7 * np.outer(tau, tau)
    fit = fit_law(law, SIGMA, tau, covariance, groups=6, initial=0.04)
    jacobian = []
    for k in range(20):
        moved = tau.copy()
        moved[k] *= 1 + 1e-5
        other = fit_law(law, SIGMA, moved, covariance, groups=6, initial=0.04)
        jacobian.append([np.log(other.rate / fit.rate), np.log(other.written / fit.written)])
    answers = np.array(jacobian).T / (1e-5 * tau)
    errors = np.sqrt(np.diag(answers @ covariance @ answers.T))
    intervals = (fit.rate_interval, fit.written_interval)
    for interval, error in zip(intervals, errors, strict=True):
        assert interval is not None
        assert np.log(interval[1] / interval[0]) / 2 == pytest.approx(2.5705818 * error, rel=1e-3)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("initial", [0.2, None])
def test_a_curve_that_bends_upwards_determines_a_product_alone(law: LawName, initial: float | None) -> None:
    """As U → 0 both laws tend to the line f_0² + c U σ² - 2 f_0² U σ²; the likeliest line is found by another route."""
    tau = 0.2 + 0.05 * SIGMA**2.5
    fit = fit_law(law, SIGMA, tau, np.diag((0.05 * tau) ** 2), groups=9, initial=initial)
    assert (fit.rate_interval, fit.written_interval) == (None, None)
    assert fit.rate * SIGMA[-1] ** 2 == pytest.approx(1e-4)

    def deviance(line: np.ndarray) -> float:
        ratio = tau / (line[0] + line[1] * SIGMA**2)
        return float(np.sum(ratio - np.log(ratio)))

    start = np.array([0.2, 0.05])
    if initial is None:
        level, slope = optimize.minimize(deviance, start, method="Nelder-Mead", options={"xatol": 1e-9}).x
        assert fit.initial == pytest.approx(level, rel=2e-3)
    else:
        level = initial
        slope = optimize.minimize_scalar(lambda s: deviance(np.array([level, s])), bounds=(1e-3, 1.0)).x
    assert (fit.written - 2 * level) * fit.rate == pytest.approx(slope, rel=2e-3)
    other = fit_law(law, SIGMA, tau + 1e-9, np.diag((0.05 * tau) ** 2), groups=9, initial=initial)
    assert other.written == pytest.approx(fit.written, rel=1e-5)


@pytest.mark.parametrize("law", LAWS)
def test_a_curve_that_falls_too_fast_determines_a_ratio_alone(law: LawName) -> None:
    """As U → ∞ both laws tend to c/(U σ²), and the likeliest c/U is the mean of τ σ²."""
    sigma = np.linspace(1.0, 3.0, 20)
    tau = 0.3 * sigma**-2.5
    fit = fit_law(law, sigma, tau, np.diag((0.05 * tau) ** 2), groups=9, initial=0.04)
    assert (fit.rate_interval, fit.written_interval) == (None, None)
    assert fit.rate * sigma[0] ** 2 > 20
    assert fit.written / fit.rate == pytest.approx(np.mean(tau * sigma**2), rel=2e-3)


@pytest.mark.parametrize("law", LAWS)
def test_no_interval_excludes_the_truth_because_its_fit_has_run_away(law: LawName) -> None:
    """Intervals of log U for a nearly straight, noisy curve fail to contain it in at most 10 % of 200 draws."""
    tau = law_tau(law, SIGMA, rate=0.02, written=6.0, initial=0.1)
    rng, missed = np.random.default_rng(5), 0
    for _ in range(200):
        values = tau * (1 + 0.1 * rng.standard_normal((9, 20)))
        fit = fit_law(law, SIGMA, values.mean(axis=0), np.cov(values.T) / 9, groups=9)
        if fit.rate_interval is not None:
            missed += not fit.rate_interval[0] <= 0.02 <= fit.rate_interval[1]
    assert missed <= 20


def test_the_better_law_is_the_true_one() -> None:
    for law in LAWS:
        tau, covariance = noisy(law, scatter=0.01)
        fit = fit_shape(SIGMA, tau, covariance, groups=30, initial=0.04)
        assert fit.better.law == law
        assert fit.better.verdict == "describes"


def test_a_curve_of_another_kind_is_rejected() -> None:
    """A bump of 40 % at four directions; and where noise is as large, nothing is decided."""
    tau = law_tau("ridge", SIGMA, **TRUE) * np.where(np.isin(np.arange(20), (3, 8, 12, 17)), 1.96, 1.0)
    small, large = (np.diag((scatter * tau) ** 2) for scatter in (0.05, 0.6))
    rejected = fit_law("ridge", SIGMA, tau, small, groups=20, initial=0.04)
    assert rejected.verdict == "rejected"
    assert rejected.pvalue < 1e-6
    assert 0.05 < rejected.misfit_interval[0] < rejected.misfit < rejected.misfit_interval[1]
    assert fit_law("ridge", SIGMA, tau, large, groups=20, initial=0.04).verdict == "undecided"


def test_nothing_written_has_no_interval() -> None:
    """Initial weights that are damped alone: c = 0."""
    tau = 0.04 / (1 + 0.5 * SIGMA**2) ** 2.2
    fit = fit_law("ridge", SIGMA, tau, np.diag(1e-6 * tau**2), groups=20, initial=0.04)
    assert fit.written == 0
    assert fit.written_interval is None
    assert fit.rate_interval is not None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"tau": np.ones(5)}, "one entry for each of 20"),
        ({"tau": np.zeros(20)}, "tau = 0.0: must be positive"),
        ({"sigma": -SIGMA}, "sigma .*: must not be negative"),
        ({"covariance": np.full((20, 20), np.nan)}, "covariance .*: must be finite"),
        ({"covariance": np.eye(20) + np.eye(20, k=1)}, "covariance .*: must be symmetric"),
        ({"covariance": np.diag([1.0] * 19 + [-1e-9])}, "covariance = -1e-09: must have no negative variance"),
        ({"initial": 0.0}, "initial = 0.0: must be positive"),
        ({"groups": 3}, "groups = 3: must be at least 4"),
        ({"sigma": np.repeat([1.0, 2.0], 10)}, "sigma = 2: must have at least 3 values"),
        ({"sigma": np.repeat([1.0, 2.0, 3.0, 3.0], 5), "initial": None}, "sigma = 3: must have at least 4 values"),
        ({"multiplicity": (1, 2)}, "one entry for each of 20"),
    ],
)
def test_what_is_refused(changes: dict, why: str) -> None:
    tau, covariance = noisy("ridge")
    given = {"sigma": SIGMA, "tau": tau, "covariance": covariance, "groups": 9, "initial": 0.04} | changes
    with pytest.raises(InvalidInput, match=why):
        fit_law("ridge", **given)


@pytest.mark.parametrize("law", LAWS)
def test_the_goodness_of_fit_is_boxes(law: LawName) -> None:
    """The residual's covariance M Σ Mᵀ literally, with derivatives by differences; correlated errors, repeated σ."""
    tau, _ = noisy(law, 3)
    sizes = np.arange(20) % 3 + 1
    root = np.random.default_rng(1).standard_normal((20, 20)) * 0.01 * tau
    covariance = root.T @ root
    fit = fit_law(law, SIGMA, tau, covariance, groups=40, initial=0.04, multiplicity=sizes.tolist())
    keys = {"rate": fit.rate, "written": fit.written, "initial": 0.04}
    found = law_tau(law, SIGMA, **keys)
    slopes = np.stack(
        [
            law_tau(law, SIGMA, **keys | {key: keys[key] * (1 + 1e-6)})
            - law_tau(law, SIGMA, **keys | {key: keys[key] * (1 - 1e-6)})
            for key in ("rate", "written")
        ],
        axis=1,
    )
    weights = np.diag(sizes / found**2)
    left = np.eye(20) - slopes @ np.linalg.solve(slopes.T @ weights @ slopes, slopes.T @ weights)
    half = np.diag(np.sqrt(sizes / sizes.sum()) / (2 * found))
    noise = half @ left @ covariance @ left.T @ half
    first, square = np.trace(noise), np.trace(noise @ noise)
    effective = first**2 / (39**2 / (38 * 41) * (square - first**2 / 39))
    assert 1 < effective < 18
    observed = np.sum((half @ (tau - found)) ** 2)
    assert fit.pvalue == pytest.approx(stats.f.sf(observed / first, effective, 39 * effective), rel=1e-4)
    assert fit.misfit == pytest.approx(np.sqrt(max(observed - first, 0)), rel=1e-4, abs=1e-6)
    low, high = fit.misfit_interval
    assert low <= fit.misfit <= high
    if low > 0:
        extra = low**2 * effective / first
        spread = (effective + extra) ** 2 / (effective + 2 * extra)
        reached = stats.f.cdf(observed / first * effective / (effective + extra), spread, 39 * effective)
        assert reached == pytest.approx(0.975, abs=1e-4)
