"""Propagators of full-batch training of a linear model: w_t = p_t(S) w_0 + q_t(S) b, with b = X'y/n and h = s + λ.

One update is an affine map of the pair (weight, buffer) in each eigendirection, so k updates at one learning rate are
the k-th power of that map. Powers by repeated squaring give p_t and q_t for any schedule; since q_t comes from sums of
powers, not from (1 − p_t)/h, nothing cancels as h → 0, where q_t tends to the number of steps times the rate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from theory.errors import InvalidInput
from theory.setting import Training


def propagators(training: Training, h: np.ndarray, steps: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """p_t(h) and q_t(h) = (1 − p_t(h))/h after each of the ascending `steps`.

    Gradient descent, heavy ball or Nesterov in the conventions of torch.optim.SGD (zero buffer, no dampening), with
    learning-rate drops: with g = h w − b,

        v ← μ v + g,   w ← w − η_k v  (heavy ball)   or   w ← w − η_k (g + μ v)  (Nesterov).

    Exact; derived in theory/derivations.md, section 1.1. Weight decay enters through h = s + λ. Both are polynomials
    in h, so h may be complex (for contour integrals over the spectrum). Beyond `stability_limit` they grow with t and
    become inf or nan, without a warning.

    Parameters
    ----------
    training : Training
        The training, of which learning rate, drops, momentum and nesterov are used.
    h : ndarray, shape (...,), real or complex
    steps : ascending sequence of int, length r

    Returns
    -------
    p, q : ndarray, shape (r, ...)

    Raises
    ------
    InvalidInput
        If the steps are negative or do not ascend.

    Examples
    --------
    >>> p, q = propagators(Training(learning_rate=0.5), np.array([0.0, 1.0]), (0, 2))
    >>> p.tolist(), q.tolist()
    ([[1.0, 1.0], [1.0, 0.25]], [[0.0, 0.0], [1.0, 0.75]])
    """
    h = np.asarray(h)
    if not all(a < b for a, b in pairwise((-1, *steps))):
        raise InvalidInput("steps", tuple(steps), "must ascend and not be negative")
    # columns of the state: (w, v) started from (1, 0) without drive, and from (0, 0) with drive b = 1
    state = np.zeros((*h.shape, 2, 2), np.result_type(h, float))
    state[..., 0, 0] = 1.0
    p, q = np.empty((len(steps), *h.shape), state.dtype), np.empty((len(steps), *h.shape), state.dtype)
    done = 0
    with np.errstate(over="ignore", invalid="ignore"):
        for row, step in enumerate(steps):
            for start, stop in constant_stretches(training, done, step):
                state = _advance(state, *update(training, h, start), stop - start)
            p[row], q[row] = state[..., 0, 0], state[..., 0, 1]
            done = step
    return p, q


def constant_rate_propagator(training: Training, h: np.ndarray, step: int) -> np.ndarray:
    """p_t(h) in closed form, from the roots of r² − tr·r + det = 0, for a training without drops.

    p_t = M_11 U_{t−1} − det U_{t−2} with U_k = (r_+^{k+1} − r_-^{k+1})/(r_+ − r_-), U_{−1} = 0, and

        heavy ball  M_11 = 1 − ηh,        tr = 1 + μ − ηh,       det = μ;
        Nesterov    M_11 = 1 − η(1+μ)h,   tr = (1 + μ)(1 − ηh),  det = μ(1 − ηh);

    gradient descent is the heavy ball with μ = 0: p_t = (1 − ηh)^t. Exact, derived in theory/derivations.md, section
    1.1; equal roots r give U_k = (k+1) r^k, complex ones ρ^k sin((k+1)θ)/sin θ. `propagators` computes the same number
    independently, for any schedule. `h` real, (...,) → (...,).

    Raises
    ------
    InvalidInput
        If the learning rate drops, or `step` is negative.

    Examples
    --------
    >>> p = constant_rate_propagator(Training(learning_rate=1.0, momentum=0.25), np.array([0.25]), 2)  # equal roots ½
    >>> p.tolist()
    [0.5]
    """
    if training.drops:
        raise InvalidInput("training.drops", training.drops, "must be empty: the roots belong to one learning rate")
    if step < 0:
        raise InvalidInput("step", step, "must not be negative")
    if step == 0:
        return np.ones_like(h, dtype=float)
    rate, momentum = training.learning_rate, training.momentum
    a = 1 - rate * np.asarray(h, dtype=float)
    if training.nesterov:
        corner, trace, determinant = a * (1 + momentum) - momentum, (1 + momentum) * a, momentum * a
    else:
        corner, trace, determinant = a, momentum + a, np.full_like(a, momentum)
    if step == 1:
        return corner
    return corner * _chebyshev(trace, determinant, step - 1) - determinant * _chebyshev(trace, determinant, step - 2)


def stability_limit(training: Training) -> float:
    """The bound on ηh below which the weights stay bounded: 2, 2(1 + μ) or 2(1 + μ)/(1 + 2μ).

    Gradient descent, heavy ball, Nesterov; both roots of `constant_rate_propagator` then lie in the unit disc, for
    h > 0. Exact; derived in theory/derivations.md, section 1.1.

    >>> stability_limit(Training()), stability_limit(Training(momentum=0.5)), stability_limit(
    ...     Training(momentum=0.5, nesterov=True)
    ... )
    (2.0, 3.0, 1.5)
    """
    momentum = training.momentum
    return 2 * (1 + momentum) / (1 + 2 * momentum if training.nesterov else 1)


def constant_stretches(training: Training, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """[start, stop), split where the learning rate drops."""
    cuts = [step for step, _ in training.drops if start < step < stop]
    return ((a, b) for a, b in pairwise((start, *cuts, stop)) if b > a)


def update(training: Training, h: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """The affine map (w, v) ↦ M (w, v) + c b of update number `step`: M (..., 2, 2), c (..., 2).

    c is minus the response to an error of the gradient: −c = (−η, 1) heavy ball, (−η(1 + μ), 1) Nesterov.
    """
    rate, momentum = training.learning_rate_at(step), training.momentum
    gain, carry = (rate * (1 + momentum), momentum) if training.nesterov else (rate, 1.0)
    matrix = np.empty((*h.shape, 2, 2), np.result_type(h, float))
    matrix[..., 0, 0] = 1 - gain * h
    matrix[..., 0, 1] = -rate * momentum * carry
    matrix[..., 1, 0] = h
    matrix[..., 1, 1] = momentum
    return matrix, np.broadcast_to(np.array([gain, -1.0]), (*h.shape, 2))


def _advance(state: np.ndarray, matrix: np.ndarray, drive: np.ndarray, count: int) -> np.ndarray:
    """`state` after `count` of the same affine maps; its powers commute, so the bits of `count` come in any order."""
    while True:
        if count & 1:
            state = matrix @ state
            state[..., 1] += drive
        count >>= 1
        if not count:
            return state
        drive = (matrix @ drive[..., None])[..., 0] + drive
        matrix = matrix @ matrix


def _chebyshev(trace: np.ndarray, determinant: np.ndarray, k: int) -> np.ndarray:
    """U_k with U_{−1} = 0, U_0 = 1, U_k = tr U_{k−1} − det U_{k−2}, stable for equal and for complex roots."""
    discriminant = trace * trace - 4 * determinant
    root = np.sqrt(np.abs(discriminant))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        # complex pair ρ e^{±iθ}
        radius, angle = np.sqrt(np.abs(determinant)), np.arctan2(root, trace)
        turning = radius**k * np.sin((k + 1) * angle) / np.sin(angle)
        # real pair: the root of larger modulus, and the ratio of the other to it; 1 − ratio = root/|larger|
        larger = (trace + np.copysign(root, trace)) / 2
        ratio = np.where(larger == 0, 0.0, determinant / larger**2)
        logarithm = np.log1p(-root / np.abs(larger))
        near = np.where(root == 0, k + 1.0, np.expm1((k + 1) * logarithm) / np.expm1(logarithm))
        sums = np.where(ratio > 0.5, near, (1 - ratio ** (k + 1)) / (1 - ratio))
    return np.where(discriminant < 0, turning, larger**k * sums)
