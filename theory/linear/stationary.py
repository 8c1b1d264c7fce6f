"""Where training with mini-batches of fixed rows settles, and how far it is (theory/derivations.md, section 1.2).

As t → ∞ the covariance Z of (weights, buffer) about full-batch training converges to the solution of a linear equation.
In the notation of `theory.linear.mean_square`

    Z = 𝓚(Z) + Γ C Γᵀ,     C the noise of the residuals with which full-batch training ends.

The remaining effect of the start evolves under 𝓚, so that matrices V > 0 with 𝓚(V) < V bound it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theory.errors import InvalidInput, NoClosedForm
from theory.linear import mini_batch
from theory.linear.eigenbasis import Eigenbasis, in_eigenbasis
from theory.linear.hypotheses import LEAST_BUDGET, label_variance
from theory.linear.mean_square import Resolvent, contracting_matrices, growth, mean_growth, mean_square_map, size_in
from theory.linear.mini_batch import not_independent_batches, residual_moment
from theory.linear.propagators import constant_stretches, stability_limit
from theory.prediction import Form, Prediction
from theory.rows import checked_rows, required_rows
from theory.setting import Setting

ASSUMPTIONS = (*mini_batch.ASSUMPTIONS, "training has settled along the directions that the rows reach")
LARGEST = 100  # the most directions that the rows may reach: 5,050 unknowns, a matrix of 200 MB
LARGEST_BUDGET = 0.5  # the largest error budget of τ: beyond it training has not settled
BOUNDS = 4  # how many matrices V are tried, each of which gives a bound


def refusal(setting: Setting) -> str | None:
    """Why the form does not apply: the first hypothesis that fails; None if all hold."""
    if (reason := not_independent_batches(setting)) is not None:
        return reason
    if label_variance(setting.labels) == 0:
        return "labels.variance = 0: the weights tend to zero, so that no relative error is small"
    return None


@dataclass(frozen=True, eq=False)
class StationaryState:
    """The state to which training tends.

    Attributes
    ----------
    basis : Eigenbasis
    labels : ndarray, shape (d,)
        The variances with which full-batch training ends along the eigendirections, without the remaining effect of the
        start.
    covariance : ndarray, shape (b, b, r, r)
        Z, the covariance that batches add along the r reached directions: of the weights, and with momentum, b = 2, of
        the buffer.
    contracting : tuple of ndarray, shape (b, b, r, r)
        Matrices V > 0 with 𝓚(V) < V.
    """

    basis: Eigenbasis
    labels: np.ndarray
    covariance: np.ndarray
    contracting: tuple[np.ndarray, ...]

    def moment(self, kept: np.ndarray) -> np.ndarray:
        """Σ_w (d, d) in the eigenbasis, if a share `kept` (d,) of the initial weights is left."""
        moment = kept[:, None] * self.basis.initial * kept + np.diag(self.labels)
        moment[self.basis.reached, self.basis.reached] += self.covariance[0, 0]
        return moment

    @property
    def second_moment(self) -> np.ndarray:
        """The limit of Σ_w of one output, (d, d), in the coordinates of the data."""
        return self._turned(self.moment(np.where(self.basis.h > 0, 0.0, 1.0)))

    @property
    def noise(self) -> np.ndarray:
        """U, the part of the limit that batches add to full-batch training, (d, d), in the coordinates of the data."""
        noise = np.zeros_like(self.basis.initial)
        noise[self.basis.reached, self.basis.reached] = self.covariance[0, 0]
        return self._turned(noise)

    def _turned(self, matrix: np.ndarray) -> np.ndarray:
        turned = self.basis.spaces.basis @ matrix @ self.basis.spaces.basis.T
        return np.asarray((turned + turned.T) / 2)


def stationary_state(setting: Setting, rows: np.ndarray) -> StationaryState:
    """Where training settles at the last learning rate of the schedule, for batches drawn anew; rows X (n, d).

    Z comes from one linear system for the r(r + 1)/2 pairs of directions that the rows reach. The other directions keep
    their initial weights without weight decay, and lose them with it. Exact.

    Raises
    ------
    InvalidInput
        If the batches are not independent from step to step, or the rows do not fit the setting.
    NoClosedForm
        If the rows reach more than 100 directions, or training is unstable in mean square.

    Examples
    --------
    >>> from theory.setting import Data, Training
    >>> setting = Setting(
    ...     data=Data(kind="gaussian", spectrum=(1.0,), samples=2, fixed=True),
    ...     training=Training(learning_rate=0.5, batch_size=1, sampling="fresh"),
    ... )
    >>> stationary_state(setting, np.array([[1.0], [1.0]])).noise.round(6).tolist()  # η²/(1 − a²) · σ_y²/2
    [[0.166667]]
    """
    if (reason := not_independent_batches(setting)) is not None:
        raise InvalidInput("setting", setting.training.sampling, f"has no such stationary state: {reason}")
    basis = in_eigenbasis(setting, required_rows(checked_rows(setting, rows)))
    last = max((start for start, _ in setting.training.drops), default=0)
    step, r = mean_square_map(basis, last), basis.rows.shape[1]
    rate = setting.training.learning_rate_at(last)
    if r > LARGEST:
        raise NoClosedForm("rows.shape", np.shape(rows), f"reach more than {LARGEST} directions: too many to solve for")
    if np.any(rate * basis.h[basis.reached] >= stability_limit(setting.training)):
        raise _unstable(rate)
    resolvent = Resolvent(step)
    contracting = contracting_matrices(resolvent, BOUNDS)
    if r and not contracting:
        raise _unstable(rate)
    labels, residuals = _end_of_full_batch(basis)
    return StationaryState(basis, labels, resolvent(step.kicked(residuals, basis.sigma_y2)), contracting)


def _unstable(rate: float) -> NoClosedForm:
    return NoClosedForm("training.learning_rate", rate, "is unstable in mean square: there is no stationary state")


def _end_of_full_batch(basis: Eigenbasis) -> tuple[np.ndarray, np.ndarray]:
    """(σ_y²/n) s q² (d,) and the T of its residuals (r, r) at p = 0, q = 1/h, where full-batch training ends."""
    settled = basis.h > 0
    p = np.where(settled, 0.0, 1.0)
    q = np.divide(1, basis.h, out=np.zeros_like(basis.h), where=settled)
    labels = basis.sigma_y2 / basis.samples * basis.s * q**2
    return labels, residual_moment(basis, p, q, labels)


def remainder(state: StationaryState) -> np.ndarray:
    """A bound on |v_iᵀ Σ_w v_i − its limit| along the reached directions, (t, r), at every reading of the setting.

    Let w_* be where full-batch training ends. The second moment of (w − w_*, buffer) starts from Σ_0 + (σ_y²/n) s/h²
    and tends to Z. Its distance D from Z obeys

        D' = 𝓚(D) + κ_B Γ B((2σ_y²λ/n) p_k/h²) Γᵀ + [𝓚(Z) + Γ C Γᵀ − Z],

    where the bracket vanishes at the last learning rate. On the diagonal Σ_w differs from its limit by
    D − 2p_t (σ_y²/n) s/h². The smallest of the bounds from different V is used.
    """
    basis, readings = state.basis, state.basis.setting.training.readings
    reached = basis.reached
    found = np.full((len(readings), basis.rows.shape[1]), np.inf)
    for v in state.contracting:
        with np.errstate(over="ignore", invalid="ignore"):
            found = np.fmin(found, np.outer(_distances(state, v), v[0, 0].diagonal()))
    cross = 2 * np.abs(basis.full_batch(readings)[0]) * state.labels
    return found + cross[:, reached]


def _distances(state: StationaryState, v: np.ndarray) -> np.ndarray:
    """The a with −a V <= D <= a V at every reading, (t,)."""
    basis, training = state.basis, state.basis.setting.training
    reached, h = basis.reached, basis.h[basis.reached]
    residuals = _end_of_full_batch(basis)[1]
    fed = np.diag(2 * basis.sigma_y2 * training.weight_decay / basis.samples / h**2)
    start = -state.covariance
    start[0, 0] += basis.initial[reached, reached] + np.diag(state.labels[reached])
    # a, and the square root of what V says is left of the mean
    a, mean, found, done = np.float64(size_in(v, start)), np.float64(mean_growth(v)), [], 0
    for reading in training.readings:
        for first, stop in constant_stretches(training, done, reading):
            step = mean_square_map(basis, first)
            rho, count = growth(step, v), stop - first
            moved = size_in(v, step(state.covariance) + step.kicked(residuals, basis.sigma_y2) - state.covariance)
            a = rho**count * a + moved * _geometric(rho, count)
            if training.weight_decay:
                # Σ_{k<count} ρ^{count−1−k} ρ^{k/2}
                a += size_in(v, step.kicked(fed)) * mean * rho ** ((count - 1) / 2) * _geometric(rho**0.5, count)
            mean *= rho ** (count / 2)
        found.append(a)
        done = reading
    return np.array(found)


def _geometric(ratio: np.float64, count: int) -> np.float64:
    """Σ_{k<count} ratio^k."""
    return np.float64(count) if ratio == 1 else (1 - ratio**count) / (1 - ratio)


def predict(setting: Setting, rows: np.ndarray | None) -> Prediction:
    """E[w wᵀ] of each output's weights once training has settled, for given rows X (n, d): `stationary_state`.

    Batches do not affect directions that the rows do not reach: these have p_t Σ_0 p_t exactly, at every step. Along
    the others, the remaining effect of the start is neglected. The budget is a proven bound for it (`remainder`), the
    largest over steps and τ, and at least 2 %. It falls as ρ^{t/2}, ρ the spectral radius of 𝓚. One linear system of
    r(r + 1)/2 unknowns takes the place of t steps. E[w] = 0. Normalisation as in the full-batch form.

    Raises
    ------
    NoClosedForm
        If training is unstable in mean square, the rows reach more than 100 directions, or the budget exceeds one half:
        at some step training has not settled.
    """
    state = stationary_state(setting, required_rows(rows))
    basis, steps = state.basis, setting.training.readings
    kept = np.where(basis.s > 0, 0.0, basis.full_batch(steps)[0])
    readings, bounds = [], np.zeros((len(steps), len(basis.s)))
    bounds[:, basis.reached] = remainder(state)
    budget = LEAST_BUDGET
    for step, share, bound in zip(steps, kept, bounds, strict=True):
        readings.append(basis.reading(step, state.moment(share)))
        left = _relative(basis.averaged(bound), readings[-1].tau)
        if not left <= LARGEST_BUDGET:
            rule = f"no closed form of the settled state: by step {step} up to {left:.2g} of τ may be left of the start"
            raise NoClosedForm("training.steps", step, f"{rule}, more than {LARGEST_BUDGET:g}")
        budget = max(budget, left)
    neglected = (f"what is left of the initial weights: at most {budget:.2g} of τ",)
    return FORM.asymptotic(readings, order="ρ^(t/2)", error_budget=budget, neglected=neglected)


def _relative(bound: np.ndarray, tau: np.ndarray) -> float:
    """The largest |τ'/τ − 1| and |τ/τ' − 1| with |τ' − τ| <= bound, both (k,)."""
    least = np.maximum(tau - bound, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.max(np.where(bound == 0, 0.0, bound / least)))


FORM = Form(
    name="linear-stationary",
    title="linear model, a new batch at every step, conditional on X: the state in which training settles",
    status="asymptotic",
    assumptions=ASSUMPTIONS,
    refusal=refusal,
    predict=predict,
)
