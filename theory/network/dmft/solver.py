"""The limit of many rows and directions at a fixed width, update by update, for given output weights.

One forward pass without iteration: the law of a row at update t follows from the law of the weights at t, and the
weights at t + 1 follow from averages over rows up to t. Its steps are those of gradient descent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theory.errors import NoClosedForm
from theory.network.dmft import closure
from theory.network.dmft.batches import Batches
from theory.network.dmft.biases import Biases, with_constant
from theory.network.dmft.directions import Directions
from theory.network.dmft.explicit import Explicit
from theory.network.dmft.multipliers import Multipliers
from theory.network.dmft.output_layer import OutputLayer
from theory.network.dmft.problem import Problem
from theory.network.dmft.row import mean_jacobian, passed
from theory.network.dmft.samples import Samples
from theory.network.dmft.tangents import Tangents

# The largest growth of the variance of pre-activations, as a factor: beyond it training has diverged.
LARGEST_GROWTH = 1e4
TRACED, TRACED_OF_BATCHES = 128, 512  # rows whose tangents are followed; more where few of them are used at a time


@dataclass(frozen=True, eq=False)
class Solution:
    """The law of the weights for given output weights.

    Attributes
    ----------
    remembered, written : ndarray, shape (T + 1, k)
        τ along every distinct eigenvalue is their sum: the remaining part of the initial weights, s_0² tr P Pᵀ/m, and
        the part written by labels; means over neurons.
    stein : ndarray, shape (T,)
        |E[g ξᵀ] − R C_h| / |E[g ξᵀ]| at every update: the violation of Stein's identity.
    amplitude : ndarray, shape (T + 1, k)
        tr P/m: the factor of a unit's own initial weight, averaged over units; along explicit directions
        V^0 · P V^0/(m s_0²).
    stepping : ndarray, shape (T + 1, k), optional
        If several updates were computed as one, the change of τ by extrapolation to single ones.
    """

    remembered: np.ndarray
    written: np.ndarray
    stein: np.ndarray
    amplitude: np.ndarray
    stepping: np.ndarray | None = None

    @property
    def tau(self) -> np.ndarray:
        """The variances τ after every update, (T + 1, k)."""
        return self.remembered + self.written


def solve(
    problem: Problem,
    output_weights: np.ndarray,
    updates: int,
    *,
    count: int,
    seed: int,
    start: np.ndarray | None = None,
    ridge: float = closure.RIDGE,
) -> Solution:
    """τ after 0 … T = `updates` updates, in the limit n, d → ∞ at fixed n/d, m and C.

    With C_k = s_0² P P ᵀ + (λ_k/n) Γ C_g Γᵀ of `theory.network.dmft.directions`,

        a row        h^t = ξ^t + (1/n) Σ_{s<t} M(t, s) g^s,   ξ ~ GP(0, C_h),  C_h = Σ_k λ_k C_k,  M = Σ_k λ_k Γ_k
        its force    g^t = s^t c_2 φ'(h^t) ∘ a ∂ℓ(f^t, y),    f^t = c_2 φ(h^t)ᵀ a
        the closure  C_g(t, s) = E g^t (g^s)ᵀ,                R(t, s) = E ∂g^t/∂ξ^s .

    Along explicit directions e, V_e of `theory.network.dmft.explicit` takes the place of the average over W_e:
    λ_e V_e^t (V_e^s)ᵀ in C_h, and ξ ∋ Σ_e √λ_e z_e V_e^t. Biases are added to h: `theory.network.dmft.biases`.

    Time O(N T² m² + k T³ m³), memory 16 N T m + 4 N' T² m + 8 k T² m² bytes, N' = `traced`; and 8 N m C for trained
    output layers. T = 40, m = 16, N = 4096, k = 16: 0.2 GB and some 2 seconds on one core.

    Parameters
    ----------
    output_weights : ndarray, shape (m, C)
        The output weights at the start.
    count : int
        N, the number of rows of the Monte Carlo, a power of two, above T m + C.
    start : ndarray, shape (K, m), optional
        V^0 of the last K = `problem.explicit` eigenvalues, each of one direction; needed if K > 0.
    ridge : float
        δ over tr C_h(t, t)/m.
    """
    m, n = problem.width, problem.samples
    generator = np.random.default_rng([seed, 1])
    samples = Samples(problem, updates, count, seed)
    batches, directions = Batches(problem, count, generator), Directions(with_constant(problem), updates)
    output = OutputLayer(problem, np.asarray(output_weights, dtype=float), count)
    multipliers = Multipliers(problem, count, generator)
    tangents = Tangents(min(count, traced(problem)), 0 if problem.fresh else updates, m, generator)
    given = np.zeros((0, m)) if start is None else start
    explicit = Explicit(problem, updates, given)
    of_explicit = Multipliers(problem, count, np.random.default_rng([seed, 2]))
    biases, k = Biases(problem), len(problem.eigenvalues)
    bulk = k - problem.explicit
    forces = np.zeros((count, updates * m))  # g as rows remember it
    force = np.zeros((updates * m,) * 2)  # C_g
    parts, stein = np.zeros((2, updates + 1, k)), np.zeros(updates)
    for t in range(updates + 1):
        past, upto = slice(0, t * m), slice(0, (t + 1) * m)
        now = slice(t * m, (t + 1) * m)
        both = directions.remembered(), directions.written(force[past, past])
        parts[:, t] = [np.einsum("kjj->k", part[:k, :, t]) / m for part in both]
        weights = both[0] + both[1]
        weights[bulk:k], weights[k:] = explicit.covariance(), 0  # what biases add to h does not vary over rows
        parts[0, t, bulk:] = explicit.remembered(directions.propagator[t, bulk:k])
        parts[1, t, bulk:] = np.einsum("kjj->k", weights[bulk:k, :, t]) / m - parts[0, t, bulk:]
        if t == updates:
            break
        variance = directions.of_rows(weights)
        _refuse_divergence(problem, t, variance, biases.values)
        h = samples.draw(variance.reshape(m, (t + 1) * m), explicit.weights) + biases.values
        memory = np.zeros((m, 0))
        if t and not problem.fresh:
            memory = directions.memory().reshape(m, t * m) / n
            h += forces[:, past] @ memory.T
        use = batches.use(t)
        rows = passed(problem.activation, problem.training.loss, h, samples.targets, output.weights, problem.scale)
        expected = use.expected[:, None] * rows.force
        forces[:, now] = use.drawn[:, None] * rows.force
        seen = now if problem.fresh else upto
        # drawn with drawn, or it would be no covariance matrix
        force[now, seen] = forces[:, now].T @ forces[:, seen] / count
        force[seen, now] = force[now, seen].T
        guess = mean_jacobian(rows, use.expected)
        if not problem.fresh:  # rows that are seen once answer to what is new alone
            guess = np.concatenate([tangents.advance(t, memory, rows, use), guess], axis=1)
        correlation, factor = samples.correlation(expected), samples.known()
        response = np.zeros((m, (t + 1) * m))
        response[:, seen] = closure.corrected(correlation, guess, factor, ridge)
        left = closure.stein_residual(correlation, response[:, seen], factor)
        stein[t] = _share(left, correlation @ factor.T)
        answers = response.reshape(m, t + 1, m)
        directions.advance(answers)
        explicit.advance(answers, samples.coordinates, forces[:, now], of_explicit.next())
        common = multipliers.next()
        biases.advance(t, expected, forces[:, now], common)
        output.advance(t, rows, use, common)
    amplitude = np.trace(directions.propagator[:, :k], axis1=2, axis2=3) / m
    amplitude[:, bulk:] = explicit.amplitude(directions.propagator[:, bulk:k])
    return Solution(parts[0], parts[1], stein, amplitude)


def traced(problem: Problem) -> int:
    """N', how many rows' tangents are followed."""
    drawn = problem.batch < 1 or problem.training.sampling == "replacement"
    return TRACED_OF_BATCHES if drawn else TRACED


def _refuse_divergence(problem: Problem, step: int, covariance: np.ndarray, mean: np.ndarray) -> None:
    """Raise where pre-activations, of a mean (m,) and a covariance (m, t + 1, m) with the past, grow without bound."""
    start = problem.s0 * float(problem.multiplicity @ problem.eigenvalues)
    variance = float(np.mean(np.diagonal(covariance[:, -1]) + mean**2))
    if not variance <= LARGEST_GROWTH * start:
        rate = problem.training.learning_rate
        rule = f"is too large: by update {step} training has diverged for some output weights of their law"
        raise NoClosedForm("training.learning_rate", rate, rule)


def _share(part: np.ndarray, whole: np.ndarray) -> float:
    """|part| / |whole|, 0 where both vanish."""
    size = float(np.linalg.norm(whole))
    return float(np.linalg.norm(part)) / size if size else 0.0
