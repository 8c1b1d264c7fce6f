"""Gradient flow: the limit of full-batch training as η → 0 at a fixed time T = Σ_k η_k/(1 − μ).

    dw/dT = b − h w,   p_T(h) = e^{−hT},   q_T(h) = (1 − e^{−hT})/h.

Descent differs by a relative O(η): (1 − ηh)^t = e^{−hT} (1 − ηh·hT/2 + …). Heavy ball and Nesterov move along the flow
with η/(1 − μ) in place of η, once their buffers have filled (1/(1 − μ) steps, an error of the same order).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.special import exprel

from theory.arrays import power_of_two
from theory.errors import InvalidInput
from theory.setting import Training


def flow_time(training: Training, step: int) -> float:
    """T = Σ_{k<step} η_k/(1 − μ): how far the flow has gone after `step` updates.

    >>> flow_time(Training(learning_rate=0.1, momentum=0.5, drops=((10, 0.5),)), 20)
    3.0
    """
    if step < 0:
        raise InvalidInput("step", step, "must not be negative")
    cuts = [0, *(start for start, _ in training.drops if 0 < start < step), step]
    walked = sum((b - a) * training.learning_rate_at(a) for a, b in pairwise(cuts))
    return walked / (1 - training.momentum)


def flow_propagators(time: float, h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """p_T(h) = e^{−hT} and q_T(h) = (1 − e^{−hT})/h, each of the shape of `h`, real or complex; q(0) = T.

    Exact for the flow.

    >>> p, q = flow_propagators(2.0, np.array([0.0, 0.5]))
    >>> p.round(4).tolist(), q.round(4).tolist()
    ([1.0, 0.3679], [2.0, 1.2642])
    """
    x = -np.asarray(h) * time
    if not np.iscomplexobj(x):
        return np.exp(x), time * exprel(x)
    small = np.abs(x) < 1e-5  # where 1 + x/2 + x²/6 is exact to rounding, and the quotient loses digits
    safe = np.where(small, 1.0, x)
    return np.exp(x), time * np.where(small, 1 + x / 2 + x**2 / 6, np.expm1(safe) / safe)


def flow_variances(
    time: float, s: np.ndarray, *, samples: int, sigma_y2: float, initial: float, decay: float = 0.0
) -> np.ndarray:
    """τ(s) at time T given X: σ_0² e^{−2hT} + (σ_y²/n) s (1 − e^{−hT})²/h², h = s + λ; s (…,) → (…,).

    The flow limit of the full-batch form (theory/derivations.md, section 1.1), s the eigenvalues of X'X/n.
    Exact for the flow; relative error O(η) for descent.

    >>> flow_variances(1.0, np.array([0.0, 1.0]), samples=4, sigma_y2=2.0, initial=1.0).round(4).tolist()
    [1.0, 0.3351]
    """
    p, q = flow_propagators(time, np.asarray(s) + decay)
    power = power_of_two(time)  # q is of the order of the time: its square need not be a number
    return np.asarray(initial * p**2 + power * (sigma_y2 / samples * (s * power) * (q / power) ** 2))
