"""The weights along the eigendirections: their propagation, and their response to a force.

Along a direction of eigenvalue λ the m weights W^t ∈ R^m obey the optimizer's update with the gradient

    λ Σ_{s<=t} R(t, s) W^s + √(λ/n) u^t,      u ~ GP(0, C_g),      W^0 ~ N(0, s_0² I),

which is linear, so that W^t = P(t) W^0 + √(λ/n) Σ_{s<t} Γ(t, s) u^s. P and Γ obey the same update without u.
"""

from __future__ import annotations

import numpy as np

from theory.network.dmft.problem import Problem, moved


class Directions:
    """P and Γ of every distinct eigenvalue up to the present update.

    Attributes
    ----------
    reached : int
        t.
    propagator : ndarray, shape (T + 1, k, m, m)
        P(t).
    response : ndarray, shape (k, T + 1, m, T, m)
        Γ(t, s) = ∂W^t/∂(gradient at s); 8 k T² m² bytes, the largest array of the solver.
    """

    def __init__(self, problem: Problem, updates: int) -> None:
        k, m = len(problem.eigenvalues), problem.width
        self.problem = problem
        self.reached = 0
        self.propagator = np.zeros((updates + 1, k, m, m))
        self.propagator[0] = np.eye(m)
        self.response = np.zeros((k, updates + 1, m, updates, m))
        self._velocity = np.zeros((k, m, m))
        self._response_velocity = np.zeros((k, m, updates, m))

    def written(self, force: np.ndarray) -> np.ndarray:
        """(λ/n) Σ_ab Γ(t, a) C_g(a, b) Γ(s, b)ᵀ for s = 0 … t: what labels have written; (k, m, t + 1, m).

        `force` is C_g, (t m, t m) with the update before the neuron.
        """
        t, m, k = self.reached, self.problem.width, len(self.problem.eigenvalues)
        if t == 0:
            return np.zeros((k, m, 1, m))
        now = self.response[:, t, :, :t].reshape(k, m, t * m)
        before = self.response[:, : t + 1, :, :t].reshape(k, (t + 1) * m, t * m)
        product = (now.reshape(k * m, t * m) @ force).reshape(k, m, t * m) @ before.transpose(0, 2, 1)
        share = self.problem.eigenvalues / self.problem.samples
        return share[:, None, None, None] * product.reshape(k, m, t + 1, m)

    def remembered(self) -> np.ndarray:
        """s_0² P(t) P(s)ᵀ for s = 0 … t: the remaining part of the initial weights; (k, m, t + 1, m)."""
        t = self.reached
        return self.problem.s0 * np.einsum("kij,skqj->kisq", self.propagator[t], self.propagator[: t + 1])

    def of_rows(self, covariance: np.ndarray) -> np.ndarray:
        """Σ λ · (k, …) over all directions: the covariance of pre-activations from that of weights, M from Γ."""
        return np.tensordot(self.problem.multiplicity * self.problem.eigenvalues, covariance, 1)

    def memory(self) -> np.ndarray:
        """M(t, s) = Σ λ Γ(t, s) over all directions, for s < t: (m, t, m)."""
        return self.of_rows(self.response[:, self.reached, :, : self.reached])

    def advance(self, response: np.ndarray) -> None:
        """One update, R(t, s) = `response` (m, t + 1, m)."""
        t, m, k = self.reached, self.problem.width, len(self.problem.eigenvalues)
        training, levels = self.problem.training, self.problem.eigenvalues[:, None, None]
        r = response.reshape(m, (t + 1) * m)
        past = self.propagator[: t + 1].transpose(1, 0, 2, 3).reshape(k, (t + 1) * m, m)
        self.propagator[t + 1], self._velocity = moved(
            training, t, self.propagator[t], self._velocity, levels * (r @ past)
        )
        # the gradient at t itself is a unit force, which later ones answer to
        gradient = np.zeros((k, m, t + 1, m))
        if t:
            past = self.response[:, : t + 1, :, :t].reshape(k, (t + 1) * m, t * m)
            gradient[:, :, :t] = (levels * (r @ past)).reshape(k, m, t, m)
        gradient[:, :, t] = np.eye(m)
        self.response[:, t + 1, :, : t + 1], self._response_velocity[:, :, : t + 1] = moved(
            training, t, self.response[:, t, :, : t + 1], self._response_velocity[:, :, : t + 1], gradient
        )
        self.reached += 1
