"""Where the transfer function of full-batch gradient descent rises and falls (theory/derivations.md, section 1.7).

With x = ηs, u = tx and c = σ_0² n/(σ_y² η t), the initial weights relative to what the labels have written,

    flow        τ = (σ_y² η t/n) F_c(u),  F_c(u) = (1 − e^{−u})²/u + c e^{−2u},
                sign F_c' = sign[1 − (ℰ − 1)² − 2c],       ℰ(u) = (e^u − 1)/u;
    descent     sign dτ/dx = sign D(x),   D(x) = 1 − (E − 1)² − 2c(1 − x),   E(x) = (1/t) Σ_{j<t} (1 − x)^{−j}.

ℰ increases from 1, so flow has one peak at most. E − 1 is convex and not negative, so D is concave for t >= 2 and
τ rises on one interval at most.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import exprel, lambertw

from theory.eigenspaces import eigenspaces
from theory.errors import InvalidInput, NoClosedForm
from theory.linear import full_batch
from theory.linear.hypotheses import data_factor, init_variances, label_variance, not_plain_descent
from theory.rows import checked_rows, required_rows
from theory.setting import Setting
from theory.shape import FALLS, FLAT, RISES, RISES_THEN_FALLS


def flow_peak(c: float) -> float | None:
    """u*(c), where F_c is largest: (e^u − 1)/u = k := 1 + sqrt(1 − 2c), u* = −1/k − W_{−1}(−e^{−1/k}/k).

    None for c >= ½, where F_c only falls. Exact for gradient flow.

    >>> round(flow_peak(0.0), 7), flow_peak(0.5)
    (1.2564312, None)
    """
    if not c >= 0:
        raise InvalidInput("c", c, "must not be negative")
    if c >= 0.5:
        return None
    excess = np.sqrt(1 - 2 * c)
    k = 1 + excess
    u = max(-1 / k - lambertw(-np.exp(-1 / k) / k, -1).real, excess)
    # Newton's method on (e^u − 1)/u = k: as c → ½ two branches of W meet, and W alone loses most of its digits
    for _ in range(4):
        u -= (exprel(u) - k) * u / (np.exp(u) - exprel(u))
    return float(u)


def flow_shape(c: float, lowest: float, highest: float) -> str:
    """The shape of F_c on [lowest, highest] = ηt·[s_min, s_max]: the three panels. Exact for gradient flow.

    Falls iff c >= ½ or lowest >= u*(c); rises iff c < ½ and highest <= u*(c); otherwise rises, then falls.

    >>> flow_shape(0.6, 0.0, 9.0), flow_shape(0.1, 0.0, 9.0), flow_shape(0.1, 0.0, 1.0)
    ('falls', 'rises, then falls', 'rises')
    """
    if not 0 <= lowest < highest:
        raise InvalidInput("lowest, highest", (lowest, highest), "must satisfy 0 <= lowest < highest")
    peak = flow_peak(c)
    if peak is None or lowest >= peak:
        return FALLS
    return RISES if highest <= peak else RISES_THEN_FALLS


def slope(x: np.ndarray | float, c: float, steps: int) -> np.ndarray:
    """D(x), which has the sign of dτ/dx for gradient descent, 0 <= x < 1; −∞ where E overflows.

    >>> slope(0.0, 0.25, 10).tolist()
    0.5
    """
    x = np.asarray(x, dtype=float)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        # Σ_{j<t} (1−x)^{−j} = (1 − x)((1 − x)^{−t} − 1)/x
        average = np.where(x == 0, 1.0, (1 - x) * np.expm1(-steps * np.log1p(-x)) / (steps * x))
        return np.asarray(1 - (average - 1) ** 2 - 2 * c * (1 - x))


def descent_peak(steps: int) -> float | None:
    """t·x at the peak of τ when σ_0 = 0: Σ_{j<t} (1 − x)^{−j} = 2t; None for t = 1, where τ rises. → 1.2564312.

    >>> round(descent_peak(2), 4), round(descent_peak(10), 4), round(descent_peak(100), 4)
    (1.3333, 1.2809, 1.259)
    """
    if steps < 1:
        raise InvalidInput("steps", steps, "must be at least 1")
    return None if steps == 1 else steps * _end_of_rise(0.0, steps, 0.0, 1 - 1e-12)


def descent_shape(c: float, steps: int, lowest: float, highest: float) -> str:
    """The shape of τ on [lowest, highest] = η·[s_min, s_max] after t steps of gradient descent.

    Read from D at both ends and at its maximum, which is exact since D is concave. With c above ½ by less than about
    1/(2(t − 1)²) there is a window where τ falls, rises and falls again, or ends rising; gradient flow has no such
    window. `c` may be infinite (no labels).

    Raises
    ------
    InvalidInput
        Unless 0 <= lowest < highest < 1, steps >= 1, c >= 0.

    Examples
    --------
    >>> descent_shape(0.1, 30, 0.001, 0.5), descent_shape(0.6, 2, 0.0, 0.9)
    ('rises, then falls', 'falls, then rises, then falls')
    """
    if not 0 <= lowest < highest < 1:
        raise InvalidInput("lowest, highest", (lowest, highest), "must satisfy 0 <= lowest < highest < 1")
    if steps < 1:
        raise InvalidInput("steps", steps, "must be at least 1")
    if not c >= 0:
        raise InvalidInput("c", c, "must not be negative")
    if np.isinf(c):
        return FALLS
    first, last = (float(slope(x, c, steps)) for x in (lowest, highest))
    if max(first, last, _largest(c, steps, lowest, highest)[1]) <= 0:
        return FALLS
    # D > 0 somewhere: τ rises on one interval, before which and after which it may fall
    return ", then ".join([FALLS] * (first < 0) + [RISES] + [FALLS] * (last < 0))


def descent_turns(c: float, steps: int, lowest: float, highest: float) -> tuple[float, ...]:
    """The x = ηs in (lowest, highest) where τ turns, ascending: the roots of D, none to two. Exact.

    Arguments and rules are those of `descent_shape`; there is one turn fewer than runs.

    >>> [round(x, 4) for x in descent_turns(0.0, 2, 0.0, 0.9)], descent_turns(0.6, 9, 0.0, 0.9)
    ([0.6667], ())
    """
    shape = descent_shape(c, steps, lowest, highest)
    if RISES not in shape:
        return ()
    turns = []
    first, last = (float(slope(x, c, steps)) for x in (lowest, highest))
    # a point of the rise; an end where D vanishes may be no such point
    inside = lowest if first > 0 else highest if last > 0 else _largest(c, steps, lowest, highest)[0]
    if first < 0:
        turns.append(float(brentq(lambda x: float(slope(x, c, steps)), lowest, inside, xtol=1e-15)))
    if last < 0:
        turns.append(_end_of_rise(c, steps, inside, highest))
    return tuple(turns)


def predicted_shape(setting: Setting, rows: np.ndarray | None) -> tuple[str, ...]:
    """The shape of f on [σ_min, σ_max] of X'X/n, one for each step of the setting.

    Exact, conditional on the rows X (n, d): by `descent_shape`. It describes the whole interval; the eigenvalues are a
    sample of it, and may miss a run (`theory.shape.shape_of` reads a sample).

    Raises
    ------
    NoClosedForm
        If the setting lies outside the regime: the full-batch form must apply, without momentum, weight decay and
        drops, from an isotropic init, and η s_max < 1 (s/d in place of s in the ntk parametrization).
    InvalidInput
        If the rows do not fit the setting.
    """
    if (reason := full_batch.refusal(setting) or not_plain_descent(setting)) is not None:
        raise NoClosedForm("setting", setting.network.kind, f"no closed form of the shape: {reason}")
    rows = required_rows(checked_rows(setting, rows))
    samples, dimension = rows.shape
    spaces = eigenspaces(rows.T @ rows / samples)
    eta, factor = setting.training.learning_rate, data_factor(setting, dimension)
    lowest, highest = (eta * factor * max(float(s), 0.0) for s in (spaces.eigenvalues[0], spaces.eigenvalues[-1]))
    if highest >= 1:
        raise NoClosedForm("training.learning_rate", eta, f"no closed form of the shape: η s_max = {highest:.4g} >= 1")
    initial = float(init_variances(setting, dimension)[0])
    taught = label_variance(setting.labels) * eta / samples
    return tuple(_shape(initial, taught, t, lowest, highest) for t in setting.training.readings)


def _shape(initial: float, taught: float, steps: int, lowest: float, highest: float) -> str:
    if steps == 0 or lowest == highest or initial == taught == 0:
        return FLAT
    c = initial / (taught * steps) if taught > 0 else np.inf
    return descent_shape(c, steps, lowest, highest)


def _end_of_rise(c: float, steps: int, start: float, stop: float) -> float:
    """The root of D in (start, stop), where D goes from positive to negative."""
    return float(brentq(lambda x: max(float(slope(x, c, steps)), -1e300), start, stop, xtol=1e-15))


def _largest(c: float, steps: int, lowest: float, highest: float) -> tuple[float, float]:
    """The position and value of the maximum of the concave D on [lowest, highest]."""
    # beyond the root of 1 − (E − 1)², D is negative, and E may overflow
    bound = _end_of_rise(0.0, steps, 0.0, highest) if float(slope(highest, 0.0, steps)) < 0 else highest
    if bound <= lowest:
        return lowest, -np.inf
    options = {"xatol": 1e-12 * bound}
    found = minimize_scalar(
        lambda x: -float(slope(x, c, steps)), bounds=(lowest, bound), method="bounded", options=options
    )
    return float(found.x), -float(found.fun)
