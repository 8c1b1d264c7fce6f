"""How the residuals of a network in the kernel limit decay, and the sums over their path: the matrices A, B and C.

While the tangent kernel K (n, n) is constant, the residuals obey r(s + 1) = (I − ηK/n) r(s), and gates depend on

    A = Σ_{s<t} (η/n) R^s,      B = Σ_{s<t} (η/n) R^s S A(s),      C = A S A,      R = I − ηK/n,

S the second moment of r(0) (theory/derivations.md, section 2.2). In the eigenbasis K = U diag(κ) Uᵀ, A is diagonal and
B is UᵀSU times, entry by entry, the table H_ab = Σ_{s<t} (η/n) ϱ_a^s A_b(s). Closed forms of H divide by κ_b, which may
be zero or nearly zero. Here ϱ^t, A and H of two consecutive stretches of training are combined,

    ϱ^{p+q} = ϱ^p ϱ^q,   A(p + q) = A(p) + ϱ^p A(q),   H_ab(p + q) = H_ab(p) + ϱ_a^p [A_a(q) A_b(p) + ϱ_b^p H_ab(q)],

so that t steps take log2 t of these sums, without divisions, and without cancellation for ηκ ≤ n.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theory.errors import InvalidInput, NoClosedForm

# The largest κT/n of the first stretch of a flow: what its series neglects is of the order of the square.
FINEST = 2.0**-27


@dataclass(frozen=True, eq=False)
class Stretch:
    """A stretch of training, in the eigenbasis of K.

    Attributes
    ----------
    decay : ndarray, shape (n,)
        ϱ_a^t, the remaining share of the residual in mode a.
    sum : ndarray, shape (n,)
        The eigenvalues of A: (1 − ϱ_a^t)/κ_a, ηt/n where κ_a = 0.
    double_sum : ndarray, shape (n, n)
        H_ab.
    """

    decay: np.ndarray
    sum: np.ndarray
    double_sum: np.ndarray

    def then(self, later: Stretch) -> Stretch:
        """The stretch followed by another one."""
        inner = np.outer(later.sum, self.sum)
        inner += self.decay * later.double_sum
        inner *= self.decay[:, None]
        inner += self.double_sum
        return Stretch(self.decay * later.decay, self.sum + self.decay * later.sum, inner)

    def repeated(self, times: int) -> Stretch:
        """The stretch `times` >= 0 times over, by repeated doubling."""
        result, doubled = None, self
        while times:
            if times % 2:
                result = doubled if result is None else result.then(doubled)
            times //= 2
            if times:
                doubled = doubled.then(doubled)
        return standstill(len(self.sum)) if result is None else result


def standstill(n: int) -> Stretch:
    """No training at all."""
    return Stretch(np.ones(n), np.zeros(n), np.zeros((n, n)))


def descent_step(kappa: np.ndarray, rate: float) -> Stretch:
    """One step of gradient descent, κ (n,) the eigenvalues of K and `rate` = η/n: ϱ = 1 − ηκ/n, A = η/n, H = 0.

    Raises
    ------
    NoClosedForm
        If ηκ_max/n >= 2: gradient descent is then unstable, and K is not constant.
    """
    require_eigenvalues(kappa)
    n = len(kappa)
    if not rate * kappa.max(initial=0.0) < 2:
        rule = f"ηκ_max/n = {rate * kappa.max():.4g} >= 2: gradient descent on the tangent kernel is not stable"
        raise NoClosedForm("training.learning_rate", rate * n, rule)
    return Stretch(1 - rate * kappa, np.full(n, rate), np.zeros((n, n)))


def flow(kappa: np.ndarray, time: float) -> Stretch:
    """Gradient flow, `time` = T/n: ϱ^t → e^{−κT/n}, A_a = (1 − e^{−κ_aT/n})/κ_a and

        H_ab = [(1 − e^{−κ_aT/n})/κ_a − (1 − e^{−(κ_a+κ_b)T/n})/(κ_a + κ_b)]/κ_b,

    combined from stretches so short that H_ab = (τ²/2) [1 − (2κ_a + κ_b)τ/3] to rounding.

    Raises
    ------
    InvalidInput
        If `time` is negative or not finite.
    """
    require_eigenvalues(kappa)
    if not (np.isfinite(time) and time >= 0):
        raise InvalidInput("time", time, "must be finite and not negative")
    largest = float(kappa.max(initial=0.0)) * time
    halvings = max(0, int(np.ceil(np.log2(largest / FINEST)))) if largest > 0 else 0
    tau = time / 2.0**halvings
    stretch = _flow(kappa, tau, tau**2 / 2 * (1 - tau / 3 * (2 * kappa[:, None] + kappa)))
    for doubling in range(1, halvings + 1):
        # powers of a decay next to 1 would lose its digits: only the double sum is doubled
        stretch = _flow(kappa, tau * 2.0**doubling, stretch.then(stretch).double_sum)
    return stretch


def _flow(kappa: np.ndarray, time: float, double_sum: np.ndarray) -> Stretch:
    faded = -np.expm1(-kappa * time)
    total = np.divide(faded, kappa, out=np.full(len(kappa), time), where=kappa > 0)
    return Stretch(np.exp(-kappa * time), total, double_sum)


@dataclass(frozen=True, eq=False)
class Propagators:
    """A, B and C of the module's first lines, (n, n) each, on the rows themselves."""

    a: np.ndarray
    b: np.ndarray
    c: np.ndarray


def kernel_propagators(stretch: Stretch, basis: np.ndarray, start: np.ndarray) -> Propagators:
    """A = U diag(A_a) Uᵀ, B = U (S̃ ∘ H) Uᵀ and C = A S A; `basis` U (n, n), `start` S̃ = Uᵀ S U (n, n).

    B is not symmetric: its first index is the residual's, its second the sum's.
    """
    right = basis.T
    return Propagators(
        a=(basis * stretch.sum) @ right,
        b=basis @ (start * stretch.double_sum) @ right,
        c=basis @ (start * np.outer(stretch.sum, stretch.sum)) @ right,
    )


def require_eigenvalues(kappa: np.ndarray) -> None:
    """Raise InvalidInput unless κ are finite eigenvalues (n,), none of them negative."""
    if kappa.ndim != 1 or not np.isfinite(kappa).all() or np.any(kappa < 0):
        raise InvalidInput("kappa", kappa.tolist(), "must be finite eigenvalues (n,), none of them negative")
