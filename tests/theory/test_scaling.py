"""Every function is right or refuses at every scale: f(c x) = c^p f(x) for c from 1e-300 to 1e300.

Every public function of `theory` that takes arrays has a law here, or a reason why it needs none.
"""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import theory
from reports.testing.strategies import orthogonal, spectral
from theory import features, shape, symmetry, testing
from theory.arrays import power_of_two, symmetric, unit
from theory.containment import Containment, anisotropy, containment, leakage, turning_angle
from theory.decomposition import estimated_parts, fit_law, fit_shape, law_tau
from theory.eigenspaces import eigenspaces, matching, transfer_function, weight_variances
from theory.errors import Diverged, InvalidInput
from theory.linear import averaged_limits, diffusion, flow, population, two_layer_converged, wishart
from theory.misalignment import closest_aligned, jeffreys, misalignment, misalignment_squared
from theory.network import duals, kernels
from theory.overlaps import overlaps
from theory.setting import Data, Network, Setting, Training
from theory.testing import blocks, null_energy
from theory.transfer import inputs

RNG = np.random.default_rng(0)
A = spectral(np.array([1.0, 2.0, 2.0, 5.0]), orthogonal(1, 4))
B = spectral(np.array([1.0, 3.0, 4.0, 9.0]), orthogonal(2, 4))
SPACES = eigenspaces(A)
GROUP = symmetry.symmetry_group(SPACES)
VECTORS = RNG.standard_normal((8, 4))
MOMENTS = np.stack([w.T @ w for w in RNG.standard_normal((8, 6, 4))])
SPECTRUM = np.array([0.5, 1.0, 2.0, 4.0])

SCALES = [2.0**k for k in (-996, -700, -530, -300, -100, 100, 300, 530, 700, 996)]  # 1e-300 … 1e300


@dataclass(frozen=True)
class Law:
    """`call(c)` is what the function gives for data that are c times those of c = 1; it must be c^degree times that.

    Where c^degree is no double, 0 or infinity may stand for it. `within` is the power of two up to which the law holds,
    where another number is given than 996, and `why`.
    """

    function: Callable[..., Any]
    degree: float
    call: Callable[[float], Any]
    within: int = 996
    why: str = ""


def verdict(found: Containment) -> list[float]:
    return [["contained", "undecided", "not contained"].index(v) for v in found.verdicts]


def shape_number(found: str | None) -> float:
    return ["rises, then falls", "falls", None].index(found)


ERRORS = np.full(4, 0.05)
TAU = np.array([1.0, 2.0, 3.0, 2.0])
PARTS_OF_TAU = VECTORS**2
LAWS = [
    Law(symmetric, 1, lambda c: symmetric("matrix", c * (A + 1e-12 * np.triu(B)))),
    Law(power_of_two, 1, lambda c: power_of_two(1.5 * c)),
    Law(unit, 1, lambda c: unit(c * A)[0] * unit(c * A)[1]),
    Law(eigenspaces, 1, lambda c: eigenspaces(c * A).eigenvalues),
    Law(eigenspaces, 0, lambda c: eigenspaces(c * A).multiplicity),
    Law(eigenspaces, 0, lambda c: eigenspaces(c * A, standard_errors=list(c * ERRORS)).multiplicity),
    Law(weight_variances, 1, lambda c: weight_variances(SPACES, c * B)),
    Law(transfer_function, 0.5, lambda c: transfer_function(SPACES, c * B)),
    Law(matching, 1, lambda c: matching(SPACES, "matrix", c * B)),
    Law(overlaps, 0, lambda c: overlaps(eigenspaces(c * A), eigenspaces(B / c))),
    Law(misalignment_squared, 0, lambda c: misalignment_squared(SPACES, c * B)),
    Law(misalignment_squared, 0, lambda c: misalignment_squared(eigenspaces(c * A), B)),
    Law(misalignment, 0, lambda c: misalignment(SPACES, c * B)),
    Law(closest_aligned, 1, lambda c: closest_aligned(SPACES, c * B)),
    Law(jeffreys, 0, lambda c: jeffreys(c * A, c * B)),
    Law(leakage, 1, lambda c: leakage(SPACES, c * B)),
    Law(anisotropy, 1, lambda c: anisotropy(SPACES, c * B)),
    Law(containment, 0, lambda c: containment(c * A, c * B, error_a=c / 99, error_b=c / 99).leakage),
    Law(containment, 0, lambda c: containment(c * A, c * B, error_a=c / 99).leakage_margin),
    Law(containment, 0, lambda c: verdict(containment(c * A, c * A))),
    Law(containment, 1, lambda c: containment(A, c * B).values),
    Law(turning_angle, 0, lambda c: turning_angle(c * SPECTRUM, c / 9)),
    Law(symmetry.twirl, 1, lambda c: symmetry.twirl(GROUP, c * B)),
    Law(symmetry.symmetry_group, 0, lambda c: symmetry.symmetry_group(SPACES, mean=c * VECTORS[0]).basis),
    Law(shape.shape_of, 0, lambda c: shape_number(shape.shape_of(c * TAU))),
    Law(shape.classify_interval, 0,
        lambda c: shape_number(shape.classify_interval(c * TAU, standard_errors=c * ERRORS))),
    Law(shape.classify_interval, 0,
        lambda c: shape_number(shape.classify_interval(c * TAU, blocks=c * (TAU + 0.01 * VECTORS)))),
    Law(shape.classify_interval, 0,
        lambda c: shape_number(shape.classify_interval(c * TAU, covariance=c * c * np.diag(ERRORS**2))), 500,
        "a covariance has the square of the scale"),
    # what f is made of
    Law(estimated_parts, 1, lambda c: estimated_parts(c * PARTS_OF_TAU, c * PARTS_OF_TAU, 3 * c * PARTS_OF_TAU).carried,
        500, "products of different groups are squares"),
    Law(law_tau, 1, lambda c: law_tau("ridge", SPECTRUM, rate=0.5, written=0.3 * c, initial=0.04 * c)),
    Law(law_tau, 0, lambda c: law_tau("flow", c * SPECTRUM, rate=0.5 / c / c, written=0.3, initial=0.04), 500,
        "the law is one of σ²"),
    Law(fit_law, 1, lambda c: fit_law(
        "ridge", SPECTRUM, c * TAU, c * c * np.diag(ERRORS**2), groups=9, initial=c).written, 300,
        "a covariance has the square of the scale, and Fisher's weights the inverse"),
    Law(fit_shape, 0, lambda c: fit_shape(
        c * SPECTRUM, TAU, np.diag(ERRORS**2), groups=9, initial=1.0).better.misfit, 300, "the laws are of σ²"),
    # feature matrices: degree 2, so that they end where squares of weights and gradients do
    Law(features.feature_matrix, 2, lambda c: features.feature_matrix(c * VECTORS)),
    Law(features.gradient_outer_product, 2, lambda c: features.gradient_outer_product(c * VECTORS[None])),
    Law(features.correlation, 0, lambda c: features.correlation(c * A, c * B)),
    Law(features.correlation, 0, lambda c: features.correlation(c * A, B, traceless=True)),
    Law(features.matrix_power, 0.5, lambda c: features.matrix_power(c * A, 0.5)),
    Law(features.fit_ansatz, 0, lambda c: features.fit_ansatz(c * A, c * B).exponent),
    Law(features.change_correlation, 0,
        lambda c: features.change_correlation(c * VECTORS, c * VECTORS[::-1], np.diag(np.arange(1.0, 9.0))), 490,
        "WᵀW has the square of the scale"),
    Law(features.decay_residual, 0, lambda c: features.decay_residual(c * VECTORS, c * VECTORS, c * VECTORS, 0.5),
        250, "squares of WᵀW"),
    Law(features.mean_correlation, 0,
        lambda c: features.mean_correlation(c * (B + 0.1 * MOMENTS), c * (A + 0.1 * MOMENTS))),
    Law(features.aligned_part, 0, lambda c: features.aligned_part(SPACES, c * (A + 0.1 * MOMENTS))),
    Law(features.axis_part, 0, lambda c: features.axis_part(SPACES, c * (B + 0.1 * MOMENTS))),
    Law(features.jackknife, 1, lambda c: features.jackknife(c * PARTS_OF_TAU)[1], 500, "squares"),
    # tests of alignment
    Law(testing.randomization_test, 0, lambda c: testing.randomization_test(c * MOMENTS, GROUP, draws=99).pvalue),
    Law(testing.randomization_test, 2, lambda c: testing.randomization_test(c * MOMENTS, GROUP, draws=99).statistic),
    Law(testing.randomization_test, 2,
        lambda c: testing.randomization_test(c * MOMENTS, GROUP, draws=99).null_distribution),
    Law(testing.randomization_test, 0,
        lambda c: testing.randomization_test(c * MOMENTS, GROUP, statistic="misalignment", draws=99).statistic),
    Law(testing.escalating_randomization_test, 0,
        lambda c: testing.escalating_randomization_test(c * MOMENTS, GROUP, level=1e-3, screen=0.9).pvalue),
    Law(testing.mean_randomization_test, 0,
        lambda c: testing.mean_randomization_test(c * VECTORS, GROUP, draws=99).pvalue),
    Law(testing.mean_randomization_test, 2,
        lambda c: testing.mean_randomization_test(c * VECTORS, GROUP, draws=99).statistic),
    Law(testing.escalating_mean_randomization_test, 0,
        lambda c: testing.escalating_mean_randomization_test(c * VECTORS, GROUP, level=1e-3, screen=0.9).pvalue),
    Law(testing.random_basis_test, 0, lambda c: testing.random_basis_test(SPACES, c * B, draws=99).pvalue),
    Law(testing.random_basis_test, 0, lambda c: testing.random_basis_test(SPACES, c * B, draws=99).misalignment),
    Law(blocks.misalignment_in_basis, 0, lambda c: blocks.misalignment_in_basis(GROUP, c * MOMENTS)),
    Law(blocks.inside, 1, lambda c: blocks.inside(GROUP, c * MOMENTS)),
    Law(blocks.rotated, 1, lambda c: blocks.rotated(SPACES.basis, c * MOMENTS)),
    Law(blocks.block_moments, 1, lambda c: blocks.block_moments(c * MOMENTS, 4, None, 3)[0]),
    Law(blocks.merge_blocks, 1, lambda c: blocks.merge_blocks(c * VECTORS, np.ones(8), 3)[0]),
    Law(null_energy.energy_critical, 1, lambda c: null_energy.energy_critical(c * VECTORS**2, np.ones(4), 0.01)),
    # spectra
    Law(population.spaces, 0, lambda c: population.spaces(c * SPECTRUM)[2]),
    Law(averaged_limits.effective_decay, 1, lambda c: averaged_limits.effective_decay(c * SPECTRUM, 3, c / 8)),
    Law(averaged_limits.least_squares, -1, lambda c: averaged_limits.least_squares(c * SPECTRUM, 9, 1.5)),
    Law(averaged_limits.least_norm, -1, lambda c: averaged_limits.least_norm(c * SPECTRUM, 3, 1.5, 0.25 / c)),
    Law(averaged_limits.ridge, -1, lambda c: averaged_limits.ridge(c * SPECTRUM, 3, 1.5, c / 8)),
    Law(flow.flow_propagators, 0, lambda c: flow.flow_propagators(0.5 / c, c * SPECTRUM)[0]),
    Law(flow.flow_propagators, -1, lambda c: flow.flow_propagators(0.5 / c, c * SPECTRUM)[1]),
    Law(flow.flow_variances, -1,
        lambda c: flow.flow_variances(0.5 / c, c * SPECTRUM, samples=9, sigma_y2=1.5, initial=0.25 / c, decay=c / 8)),
    Law(diffusion.stationary_additive, -1,
        lambda c: diffusion.stationary_additive(0.1 / c, c * SPECTRUM, batch_size=2, sigma_y2=1.5, decay=c / 8)),
    Law(diffusion.stationary_state_dependent, -1,
        lambda c: diffusion.stationary_state_dependent(
            0.1 / c, c * SPECTRUM, batch_size=2, sigma_y2=1.5, k4=2.0, decay=c / 8)),
    Law(two_layer_converged.converged_moment, 1, lambda c: two_layer_converged.converged_moment(c * VECTORS[:2])),
    Law(two_layer_converged.converged_average, 0.5, lambda c: two_layer_converged.converged_average(c * SPECTRUM)),
    Law(wishart.wishart_powers, 1, lambda c: wishart.wishart_powers(c * SPECTRUM, 5, 1)[1]),
    Law(wishart.vector_powers, 1, lambda c: wishart.vector_powers(c * SPECTRUM, 1)[1]),
    # kernels of rows: degree 2, so that rows end where their squares do
    Law(duals.matrix, 1, lambda c: duals.matrix("rows", c * VECTORS)),
    Law(duals.gram, 2, lambda c: duals.gram(c * VECTORS).cross),
    Law(kernels.arc_cosine, 2, lambda c: kernels.arc_cosine(1, c * VECTORS)),
    Law(kernels.arc_cosine, 0, lambda c: kernels.arc_cosine(0, c * VECTORS)),
    Law(kernels.nngp, 2, lambda c: kernels.nngp("relu", c * VECTORS)),
    Law(kernels.ntk, 2, lambda c: kernels.ntk("relu", c * VECTORS)),
    Law(inputs.nonnegative, 1, lambda c: inputs.nonnegative("tau", c * SPECTRUM)),
]  # fmt: skip


def representable(value: np.ndarray) -> bool:
    largest = np.abs(value).max()
    return bool(largest == 0 or 1e-304 < largest < 1e304)


@pytest.mark.parametrize("law", LAWS, ids=[f"{law.function.__name__}-{n}" for n, law in enumerate(LAWS)])
def test_the_right_number_at_every_scale_or_a_refusal(law: Law):
    base = np.asarray(law.call(1.0), dtype=float)
    assert np.all(np.isfinite(base))
    assert np.any(base != 0) or law.degree == 0
    refused = 0
    for c in SCALES:
        exponent = round(math.log2(c))
        if abs(exponent) > law.within:
            continue
        try:
            found = np.asarray(law.call(c), dtype=float)
        except (InvalidInput, Diverged):
            refused += 1
            continue
        with np.errstate(over="ignore", under="ignore"):
            want = base * 2.0 ** (exponent * law.degree) if abs(exponent * law.degree) < 1020 else None
        if want is not None and representable(want):
            np.testing.assert_allclose(found, want, rtol=1e-9, atol=1e-12 * float(np.abs(want).max()), err_msg=f"{c:g}")
        else:
            large = exponent * law.degree > 0
            assert np.all(np.isinf(found[base != 0]) if large else np.abs(found) < 1e-280)
    assert refused <= len(SCALES) - 2  # a refusal everywhere would be no answer


PREDICTED = "takes what a setting and its rows have been turned into; `predict` is swept with the rows"
PARTS = "a part of the form beside it, of numbers in its own units"
LEARNING = "takes learning rates beside the spectrum; `predict` is swept with the rows"
OWN_RANGE = "variances and ratios by squares: from 1e-60 to 1e60 below"
NOT_SWEPT = {
    "theory.arrays": "kinds and copies of arrays, no arithmetic",
    "theory.decomposition.door": PREDICTED,
    "theory.decomposition.linear": PREDICTED,
    "theory.decomposition.shape_laws": "takes dimensionless numbers: rates times σ²",
    "theory.eigenspaces.check_dimension": "looks at a shape",
    "theory.linear.averaged": LEARNING,
    "theory.linear.averaged_batches": LEARNING,
    "theory.linear.description": PREDICTED,
    "theory.linear.diffusion": LEARNING,
    "theory.linear.eigenbasis": PREDICTED,
    "theory.linear.equivalent": PARTS,
    "theory.linear.full_batch": PREDICTED,
    "theory.linear.mean_square": PARTS,
    "theory.linear.mini_batch": PREDICTED,
    "theory.linear.mini_batch_scalar": PREDICTED,
    "theory.linear.online": LEARNING,
    "theory.linear.online_fourth": LEARNING,
    "theory.linear.phase_diagram": "takes dimensionless numbers",
    "theory.linear.population": PREDICTED,
    "theory.linear.propagators": "takes dimensionless numbers: rates times curvatures",
    "theory.linear.shape": "takes dimensionless numbers: rates times curvatures",
    "theory.linear.shuffled": PREDICTED,
    "theory.linear.shuffled_ends": PREDICTED,
    "theory.linear.stationary": PREDICTED,
    "theory.linear.two_layer": PREDICTED,
    "theory.linear.two_layer_converged": PREDICTED,
    "theory.linear.two_layer_early": LEARNING,
    "theory.network": PREDICTED,
    "theory.rows": "checks rows and leaves them as they are",
    "theory.testing.blocks.block_weights": "takes counts",
    "theory.testing.estimated": "takes dimensionless numbers: measured over predicted variances",
    "theory.testing.interval": OWN_RANGE,
    "theory.testing.mean": OWN_RANGE,
    "theory.testing.null_energy": PARTS,
    "theory.testing.orbits": PARTS,
    "theory.testing.paired": OWN_RANGE,
    "theory.testing.power": OWN_RANGE,
    "theory.testing.randomization": PARTS,
    "theory.testing.variances": OWN_RANGE,
    "theory.testing.whole_matrix": OWN_RANGE,
    "theory.transfer": "takes learning rates beside the spectrum or the rows, and refuses what its kernels refuse",
}


def takes_arrays(function: Callable[..., Any]) -> bool:
    annotations = (str(p.annotation) for p in inspect.signature(function).parameters.values())
    return any(word in annotation for annotation in annotations for word in ("ndarray", "Array", "Numbers"))


def public_functions() -> dict[str, Callable[..., Any]]:
    found = {}
    for module in pkgutil.walk_packages(theory.__path__, "theory."):
        for name, member in vars(importlib.import_module(module.name)).items():
            if inspect.isfunction(member) and member.__module__ == module.name and not name.startswith("_"):
                found[f"{module.name}.{name}"] = member
    return found


def test_every_function_of_arrays_has_a_law_or_a_reason():
    swept = {law.function for law in LAWS} | {theory.predict}
    names = {name: member for name, member in public_functions().items() if takes_arrays(member)}
    assert len(names) > 100
    without = [
        name
        for name, member in names.items()
        if member not in swept and not any(name == known or name.startswith(known + ".") for known in NOT_SWEPT)
    ]
    assert without == []
    unused = [known for known in NOT_SWEPT if not any(n == known or n.startswith(known + ".") for n in names)]
    assert unused == []


OWN = {
    "variances_test": (0, lambda c: testing.variances_test(c * np.ones(4), c * (1 + 0.1 * VECTORS)).pvalue),
    "paired_mean": (1, lambda c: testing.paired_mean(c * VECTORS[:, 0]).high),
    "mean_ratio": (0, lambda c: testing.mean_ratio(c * VECTORS[:, 0], c * (5 + VECTORS[:, 1])).ratio),
    "misalignment_interval": (0, lambda c: testing.misalignment_interval(SPACES, c * MOMENTS, resamples=99).high),
    "misalignment_interval of vectors": (
        0, lambda c: testing.misalignment_interval(SPACES, vectors=c * VECTORS, resamples=99).low),
    "detectable_mean": (1, lambda c: testing.detectable_mean(c * VECTORS, GROUP, level=0.01)),
    "whole_matrix_test": (
        0, lambda c: testing.whole_matrix_test(c * A, c * (A + 0.01 * MOMENTS), 800, gaussian=False).pvalue),
}  # fmt: skip


@pytest.mark.parametrize(("degree", "call"), OWN.values(), ids=OWN.keys())
def test_statistics_of_squares_hold_from_1e_60_to_1e60(degree: float, call: Callable[[float], Any]):
    base = np.asarray(call(1.0), dtype=float)
    for exponent in (-200, -100, -30, 30, 100, 200):
        want = base * 2.0 ** (degree * exponent)
        np.testing.assert_allclose(np.asarray(call(2.0**exponent), dtype=float), want, rtol=1e-8)


@pytest.mark.parametrize("exponent", [-500, -300, -40, 40, 300, 500])
def test_predictions_on_scaled_rows_are_the_right_number_or_a_refusal(exponent: int):
    """Rows c X at the rate η/c², from initial weights of variance σ_0²/c², are fitted by weights over c."""
    rows = RNG.standard_normal((6, 3))

    def tau(c: float) -> np.ndarray:
        setting = Setting(
            data=Data(kind="gaussian", spectrum=(1.0, 2.0, 4.0), samples=6, fixed=True),
            network=Network(kind="linear", init_variance=0.5 / c**2),
            training=Training(learning_rate=0.05 / c**2, steps=3),
        )
        return np.asarray(theory.predict(setting, rows=c * rows).readings[-1].tau)

    c = 2.0**exponent
    try:
        found = tau(c)
    except (InvalidInput, Diverged):
        assert abs(exponent) > 200
        return
    np.testing.assert_allclose(found * c * c, tau(1.0), rtol=1e-8)
