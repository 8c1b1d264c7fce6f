"""Fourth moments of the weights of a linear model in online training: how unequal replicas are, exactly.

The second moment of `theory.linear.online` stays bounded below its mean-square limit; the fourth does so only below a
smaller learning rate. In between, E[w wᵀ] is correct, but dominated by replicas that become rarer with every update,
and no ensemble of practicable size shows it. Derivation and checks: theory/derivations.md, section 1.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from theory.errors import InvalidInput
from theory.setting import Data, Labels, Sphere, Student, Training
from theory.setting.limits import require_updates


@dataclass(frozen=True)
class Ratios:
    """k_{2r} = E χ^r, r = 2, 3, 4, for rows x = √χ Σ^½ z with E χ = 1: moments of degree 2r over Gaussian ones.

    1 each for Gaussian rows; inf if the moment does not exist.
    """

    fourth: float = 1.0
    sixth: float = 1.0
    eighth: float = 1.0


GAUSSIAN = Ratios()  # the moment ratios of Gaussian rows: 1 each


def moment_ratios(data: Data) -> Ratios:
    """The ratios of a setting's rows.

    Student's t: Π_{l ≤ r} (ν − 2)/(ν − 2l); the sphere: Π_{l < r} d/(d + 2l); two points: E χ^r.

    >>> moment_ratios(Data(kind="elliptical", spectrum=(1.0, 2.0), radial=Student(dof=8.0)))
    Ratios(fourth=1.5, sixth=4.5, eighth=inf)
    """
    radial = data.radial
    if radial is None:
        return Ratios()
    if isinstance(radial, Student):
        nu = radial.dof
        return Ratios(*(float(np.prod([(nu - 2) / (nu - 2 * j) for j in range(1, r + 1)])) if nu > 2 * r else np.inf
                        for r in (2, 3, 4)))  # fmt: skip
    if isinstance(radial, Sphere):
        d = len(data.eigenvalues)
        return Ratios(*(float(np.prod([d / (d + 2 * j) for j in range(r)])) for r in (2, 3, 4)))
    wide = np.sqrt(radial.k4 - 1)
    return Ratios(*(float(((1 + wide) ** r + (1 - wide) ** r) / 2) for r in (2, 3, 4)))


def label_fourth(labels: Labels) -> float:
    """E y⁴ of one output: 3 σ⁴ Gaussian, σ⁴ for signs; one-hot minus 1/C from its two values.

    >>> label_fourth(Labels(kind="classes", classes=2))
    0.0625
    """
    if labels.kind == "classes":
        share = 1 / labels.classes
        return share * (1 - share) ** 4 + (1 - share) * share**4
    return labels.variance**2 * (3.0 if labels.kind == "gaussian" else 1.0)


def fourth_moments(
    training: Training,
    s: np.ndarray,
    initial: np.ndarray,
    *,
    batch_size: int,
    sigma_y2: float,
    y4: float,
    ratios: Ratios = GAUSSIAN,
) -> np.ndarray:
    """E[w_i² w_j²] in the eigendirections of Σ, (r, d, d), after each of the r steps of `training`.

    Exact for plain descent with weight decay and drops of the learning rate, from Gaussian w_0. All other fourth
    moments vanish: the law of w is symmetric in each eigendirection. A step costs O(d²).

    Parameters
    ----------
    training : Training
        The training, without momentum.
    s, initial : ndarray, shape (d,)
        Eigenvalues of Σ, and the variances of w_0 along its eigendirections.
    batch_size : int
    sigma_y2, y4 : float
        E y² and E y⁴ of one output.
    ratios : Ratios

    Returns
    -------
    ndarray, shape (r, d, d)
        The moments; inf (or nan) where a moment of the rows is infinite, or that of the weights overflows.

    Raises
    ------
    InvalidInput
        If the training has momentum.

    Examples
    --------
    One direction, one row, one step from 0: w = η x y, E w⁴ = η⁴ · 3 s² · E y⁴.

    >>> training = Training(learning_rate=0.5, steps=1)
    >>> fourth_moments(training, np.ones(1), np.zeros(1), batch_size=1, sigma_y2=1.0, y4=3.0).tolist()
    [[[0.5625]]]
    """
    if training.momentum:
        raise InvalidInput("training.momentum", training.momentum, "must be 0: derived for plain descent")
    require_updates(training.readings[-1])
    s = np.asarray(s, dtype=float)
    p, w4 = np.asarray(initial, dtype=float), np.outer(initial, initial) * (1 + 2 * np.eye(len(s)))
    found, done = np.empty((len(training.readings), len(s), len(s))), 0
    with np.errstate(over="ignore", invalid="ignore"):
        for row, step in enumerate(training.readings):
            for k in range(done, step):
                rate = training.learning_rate_at(k)
                p, w4 = _update(p, w4, s, rate, training.weight_decay, batch_size, sigma_y2, y4, ratios)
            found[row], done = w4, step
    return found


def fourth_growth(training: Training, s: np.ndarray, *, batch_size: int, ratios: Ratios = GAUSSIAN) -> float:
    """The factor of E[w_i² w_j²] per update in the long run: above 1, the fourth moment grows without bound.

    The spectral radius of the homogeneous part of `fourth_moments`, a positive map (Perron and Frobenius), by power
    iteration, at the initial learning rate; labels only add to it.

    Examples
    --------
    One direction, Gaussian rows, B = 1, u = ηs: E(1 − u z²)⁴ = 1 − 4u + 18u² − 60u³ + 105u⁴, 5.73 at u = .6.

    >>> round(fourth_growth(Training(learning_rate=0.6), np.ones(1), batch_size=1), 6)
    5.728
    """
    if training.momentum:
        raise InvalidInput("training.momentum", training.momentum, "must be 0: derived for plain descent")
    s = np.asarray(s, dtype=float)
    w4, growth, zero = np.ones((len(s), len(s))), 0.0, np.zeros(len(s))
    for _ in range(1000):
        _, new = _update(zero, w4, s, training.learning_rate, training.weight_decay, batch_size, 0.0, 0.0, ratios)
        before, growth = growth, float(np.sum(new) / np.sum(w4))
        if not np.isfinite(growth) or growth == 0 or abs(growth - before) < 1e-12 * growth:
            break
        w4 = new / np.sum(new)
    return growth


def fourth_limit(training: Training, s: np.ndarray, *, batch_size: int, ratios: Ratios = GAUSSIAN) -> float:
    """The learning rate below which the fourth moment of the weights stays bounded; other options as in `training`.

    By bisection. Without weight decay it lies below `mean_square_limit`.

    >>> round(fourth_limit(Training(), np.array([1.0]), batch_size=1), 6)
    0.383451
    """
    low, high = 0.0, 2 / float(np.max(s) + training.weight_decay)
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        there = msgspec.structs.replace(training, learning_rate=middle)
        low, high = (
            (middle, high) if fourth_growth(there, s, batch_size=batch_size, ratios=ratios) < 1 else (low, middle)
        )
    return low


def _update(
    p: np.ndarray,
    w4: np.ndarray,
    s: np.ndarray,
    rate: float,
    decay: float,
    size: int,
    y2: float,
    y4: float,
    ratios: Ratios,
) -> tuple[np.ndarray, np.ndarray]:
    """E[w_i²] (d,) and E[w_i² w_j²] (d, d) after one update w' = ρ w − η g, g the mean of z = x (xᵀw − y) over B rows.

    Variable names say what is averaged: letters of w, then letters of z; `ww_zi_zi` is E[w_j² E(z_i² | w)].
    """
    k4, k6, k8 = ratios.fourth, ratios.sixth, ratios.eighth
    kept, same = 1 - rate * decay, np.eye(len(s))
    si, sj, pi, pj = s[:, None], s[None, :], p[:, None], p[None, :]
    size_w = float(s @ p)  # E[wᵀΣw], and its products with squares
    r = w4 @ s
    ri, rj, size_w2 = r[:, None], r[None, :], float(s @ r)
    noise_j = k4 * rj + y2 * pj
    noise_i = k4 * ri + y2 * pi
    constant = k4 * k4 * size_w2 + 2 * k4 * y2 * size_w + y2 * y2
    ww_zi_zi = si * noise_j + 2 * k4 * si**2 * w4
    w_zi_zj = same * si * noise_i + 2 * k4 * si * sj * w4  # with w_i w_j
    w_zi_zi_zj = 3 * k6 * si * sj * rj + 6 * k6 * same * si**2 * ri + 6 * k6 * si**2 * sj * w4
    w_zi_zi_zj = w_zi_zi_zj + 3 * y2 * k4 * (si * sj * pj + 2 * same * si**2 * pi)
    all_z = k8 * (
        3 * si * sj * size_w2
        + 6 * same * si**2 * size_w2
        + 12 * si * sj**2 * rj
        + 12 * sj * si**2 * ri
        + 48 * same * si**3 * ri
        + 24 * si**2 * sj**2 * w4
    )
    all_z = all_z + 6 * y2 * k6 * (
        si * sj * size_w + 2 * same * si**2 * size_w + 2 * si * sj**2 * pj + 2 * sj * si**2 * pi + 8 * same * si**3 * pi
    )
    all_z = all_z + y4 * k4 * (si * sj + 2 * same * si**2)
    means = si**2 * sj**2 * w4
    pairs = (
        si * sj * constant + 2 * k4 * si * sj**2 * noise_j + 2 * k4 * si**2 * sj * noise_i + 4 * k4 * k4 * means
        + 2 * same * (si**2 * constant + 4 * k4 * si**3 * noise_i) + 8 * k4 * k4 * means
    )  # fmt: skip
    b = float(size)
    two_same = (ww_zi_zi + (b - 1) * si**2 * w4) / b
    two_other = (w_zi_zj + (b - 1) * si * sj * w4) / b
    three = w_zi_zi_zj + (b - 1) * (sj * ww_zi_zi + 2 * si * w_zi_zj) + (b - 1) * (b - 2) * si**2 * sj * w4
    three = three / b**2
    triples = 2 * sj * w_zi_zi_zj + (2 * sj * w_zi_zi_zj).T + pairs
    doubles = sj**2 * ww_zi_zi + (sj**2 * ww_zi_zi).T + 4 * si * sj * w_zi_zj
    four = all_z + (b - 1) * triples + (b - 1) * (b - 2) * doubles + (b - 1) * (b - 2) * (b - 3) * means
    four = four / b**3
    new = (
        kept**4 * w4
        - 2 * kept**3 * rate * (si + sj) * w4
        + kept**2 * rate**2 * (two_same + two_same.T + 4 * two_other)
        - 2 * kept * rate**3 * (three + three.T)
        + rate**4 * four
    )
    second = (s * (k4 * size_w + y2) + 2 * k4 * s**2 * p + (b - 1) * s**2 * p) / b
    return kept**2 * p - 2 * kept * rate * s * p + rate**2 * second, new
