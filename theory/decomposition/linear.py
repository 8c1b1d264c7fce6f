"""The decomposition of f for linear models: w_t is affine in w_0, so that A is the mean of a propagator.

Given rows, labels and batches w_t = Π w_0 + G y, with labels of mean zero that are independent of w_0. Hence, along an
eigendirection v_k of the data and with τ(0) = E[(v_k·w_0)²],

    A_k = E[v_kᵀ Π v_k],    F_k = (E[v_kᵀ Π Σ_0 Πᵀ v_k] − A_k² τ_k(0)) + σ_y² E[v_kᵀ G Gᵀ v_k],

where the bracket comes from initial weights of other directions, and from the variation of the factor between draws of
rows and batches. Derived in theory/derivations.md, section 1.9, with the reason why A only falls.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from theory.decomposition.parts import Parts
from theory.linear.averaged import contour_margin
from theory.linear.eigenbasis import Eigenbasis, in_eigenbasis
from theory.linear.equivalent import deterministic_equivalent, upper_edge
from theory.linear.hypotheses import init_variances, label_variance
from theory.linear.mini_batch import noise_path
from theory.linear.online import variances
from theory.linear.population import fourth_moment_ratio, population_spectrum, spaces
from theory.linear.propagators import propagators
from theory.rows import required_rows
from theory.setting import Setting


def given_rows(setting: Setting, rows: np.ndarray | None) -> tuple[Parts, ...]:
    """Conditional on the rows X (n, d): A = p_t(s), for any batches, if each is drawn anew or holds all rows.

    Π is p_t(S) for full batches: nothing is mixed where Σ_0 is isotropic, and labels give (σ_y²/n) s q_t². Batches that
    are independent of the past have Π = p_t(S) for their mean, and the recursion of their noise is affine in σ_y²:
    at σ_y² = 0 it gives the mixed part. Exact.

    Raises
    ------
    InvalidInput
        If the weights overflow by some step.
    """
    basis = in_eigenbasis(setting, required_rows(rows))
    whole, silent = (_diagonals(each) for each in (basis, replace(basis, sigma_y2=0.0)))
    p = basis.full_batch(setting.training.readings)[0]
    initial = basis.averaged(np.diag(basis.initial))
    found = []
    for step, amplitude, total, left in zip(setting.training.readings, p, whole, silent, strict=True):
        factor = basis.averaged(amplitude)
        mixed = basis.averaged(left) - factor**2 * initial
        labels = basis.averaged(total - left)
        found.append(Parts(step, basis.sigma, basis.spaces.multiplicity, initial, factor, mixed, labels))
    return tuple(found)


def _diagonals(basis: Eigenbasis) -> np.ndarray:
    """The diagonal of Σ_w in the eigenbasis of S, (readings, d)."""
    p, _, labels = basis.full_batch(basis.setting.training.readings)
    found: np.ndarray = p**2 * np.diag(basis.initial) + labels
    if not basis.setting.full_batch:
        found[:, basis.reached] += [np.diag(noise) for noise in noise_path(basis)]
    return found


def online(setting: Setting) -> tuple[Parts, ...]:
    """Fresh rows at every update: A = p_t(s) at the eigenvalues s of Σ, since E[S_B] = Σ for every batch. Exact."""
    s, initial = population_spectrum(setting), init_variances(setting, len(setting.data.eigenvalues))
    sigma_y2, training = label_variance(setting.labels), setting.training
    k4 = fourth_moment_ratio(setting.data)
    whole, silent = (
        variances(training, s, initial, batch_size=setting.batch_rows, sigma_y2=each, k4=k4) for each in (sigma_y2, 0.0)
    )
    amplitude = propagators(training, s + training.weight_decay, training.readings)[0]
    return population_parts(setting, initial, amplitude, silent - amplitude**2 * initial, whole - silent)


def averaged(setting: Setting) -> tuple[Parts, ...]:
    """Full batches, averaged over Gaussian rows: A = E[p_t(S)]_kk, mixed σ_0² (E[p_t(S)²]_kk − A²), with order 1/n.

    Contour integrals of p_t, p_t² and z q_t², see `theory.linear.equivalent`; relative errors are O(1/n²).
    """
    s, training, n = population_spectrum(setting), setting.training, setting.data.sample_count
    initial = init_variances(setting, len(s))
    slope = label_variance(setting.labels) / n

    def functions(z: np.ndarray) -> np.ndarray:
        p, q = propagators(training, z + training.weight_decay, training.readings)
        return np.concatenate([p, p**2, slope * z * q**2])

    margin = contour_margin(training, upper_edge(s, n).position)
    leading, correction = deterministic_equivalent(functions, s, n, margin=margin)
    amplitude, square, labels = np.split(leading + correction, 3)
    return population_parts(setting, initial, amplitude, initial * (square - amplitude**2), labels)


def population_parts(
    setting: Setting, initial: np.ndarray, amplitude: np.ndarray, mixed: np.ndarray, labels: np.ndarray
) -> tuple[Parts, ...]:
    """One reading per step from numbers along the eigendirections of Σ, in the order of data.spectrum, (d,) each."""
    eigenvalues = np.array(setting.data.eigenvalues)
    order, first, multiplicity = spaces(eigenvalues)

    def of_spaces(values: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.add.reduceat(values[order], first) / np.array(multiplicity)
        return found

    start, sigma = of_spaces(initial), np.sqrt(of_spaces(eigenvalues))
    return tuple(
        Parts(step, sigma, multiplicity, start, of_spaces(a), of_spaces(m), of_spaces(y))
        for step, a, m, y in zip(setting.training.readings, amplitude, mixed, labels, strict=True)
    )
