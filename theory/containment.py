"""Containment of eigenspaces as linear algebra: leakage, anisotropy, and a verdict with a margin of error.

B is aligned with A when every eigenspace V_i of A lies in an eigenspace of B, that is B P_i = c_i P_i with
c_i = tr(P_i B) / m_i (arXiv:2006.10455, section 2). Two numbers measure the failure, in the operator norm:

    leakage     ‖(I − P_i) B P_i‖ = ‖[B, P_i]‖      B takes V_i out of itself
    anisotropy  ‖P_i B P_i − c_i P_i‖                B is not a multiple of the identity within V_i

What an error of A or of B can do to them (theory/derivations.md, section 3.4). Let Ã = A + E and B̃ = B + F be the
true matrices, gap_i the distance of A's eigenvalues on V_i from its others, w = b_max − b_min the width of B's
spectrum. If ‖E‖ < gap_i / 2, the true eigenspace is turned from V_i by at most θ_i = ½ arcsin(2 ‖E‖ / gap_i)
(Davis and Kahan's sin 2θ theorem; attained by 2 × 2 matrices); beyond that there is no bound. Then, with P̃ the turned
projector and C = B − ½(b_max + b_min), ‖C‖ = w / 2,

    |‖[B̃, P̃]‖ − ‖[B, P]‖| ≤ ‖[C, P̃ − P]‖ + ‖[F, P̃]‖ ≤ w sin θ + ‖F‖.

For the anisotropy let U be the direct rotation with P̃ = U P Uᵀ. A unit vector x of V_i and U x enclose an angle of
at most θ, so |xᵀ(Uᵀ C U − C) x| ≤ ‖C‖ ‖Ux(Ux)ᵀ − xxᵀ‖₁ ≤ w sin θ: the compression of B to V_i moves by at most
w sin θ + ‖F‖ =: δ in norm, and its traceless part by at most 2 (1 − 1/m_i) δ, since m eigenvalues in [−δ, δ] lie
within 2 (1 − 1/m) δ of their mean. That bound is attained up to a factor cos θ, and is 0 for m_i = 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from theory.arrays import Array, namespace, to_numpy
from theory.eigenspaces import Eigenspaces, eigenspaces, matching, weight_variances
from theory.errors import InvalidInput

ContainmentVerdict = Literal["contained", "not contained", "undecided"]


@dataclass(frozen=True, eq=False)
class Containment:
    """How far each eigenspace of A is from lying in an eigenspace of B. Arrays have shape (k,), float64.

    Attributes
    ----------
    spaces : Eigenspaces
        The eigenspaces of A.
    values : ndarray
        c_i = tr(P_i B) / m_i.
    leakage, anisotropy : ndarray
        The leakage and the anisotropy of each eigenspace, divided by ‖B‖.
    leakage_margin, anisotropy_margin : ndarray
        How much the error of A can contribute to them, divided by ‖B‖; vacuous where there is no bound.
    angle : ndarray
        θ_i, by how much the eigenspace may be turned, in radians; NaN where there is no bound.
    tolerance : float
        The size up to which the numbers count as zero, relative to ‖B‖.
    verdicts : tuple of "contained", "not contained" or "undecided", length k
    """

    spaces: Eigenspaces
    values: np.ndarray
    leakage: np.ndarray
    anisotropy: np.ndarray
    leakage_margin: np.ndarray
    anisotropy_margin: np.ndarray
    angle: np.ndarray
    tolerance: float
    verdicts: tuple[ContainmentVerdict, ...]

    @property
    def verdict(self) -> ContainmentVerdict:
        """The verdict on B as a whole: aligned with A ("contained") when every eigenspace of A is contained."""
        if "not contained" in self.verdicts:
            return "not contained"
        return "undecided" if "undecided" in self.verdicts else "contained"


def leakage(spaces: Eigenspaces, second_moment: Array, /) -> Array:
    """‖(I − P_i) B P_i‖, the operator norm of what B takes out of each eigenspace.

    `second_moment` B (..., d, d), symmetric → (..., k), not divided by ‖B‖. Raises InvalidInput for bad matrices.
    """
    turned = _in_eigenbasis(spaces, second_moment)
    xp = namespace(turned)
    norms = []
    for s in spaces.slices:
        outside = xp.concat([turned[..., : s.start, s], turned[..., s.stop :, s]], axis=-2)
        norms.append(xp.linalg.svdvals(outside)[..., 0] if outside.shape[-2] else xp.zeros_like(turned[..., 0, 0]))
    return xp.stack(norms, axis=-1)


def anisotropy(spaces: Eigenspaces, second_moment: Array, /) -> Array:
    """‖P_i B P_i − c_i P_i‖, c_i = tr(P_i B) / m_i: the operator norm of B's traceless part within each eigenspace.

    `second_moment` B (..., d, d), symmetric → (..., k), not divided by ‖B‖. Raises InvalidInput for bad matrices.
    """
    turned = _in_eigenbasis(spaces, second_moment)
    xp = namespace(turned)
    norms = []
    for s in spaces.slices:
        eigenvalues = xp.linalg.eigvalsh(turned[..., s, s])
        norms.append(xp.max(xp.abs(eigenvalues - xp.mean(eigenvalues, axis=-1, keepdims=True)), axis=-1))
    return xp.stack(norms, axis=-1)


def containment(
    first: Eigenspaces | Array,
    second_moment: Array,
    /,
    *,
    tolerance: float | None = None,
    error_a: float = 0.0,
    error_b: float = 0.0,
) -> Containment:
    """Whether each eigenspace of A lies in an eigenspace of B, as far as the errors of A and B allow a verdict.

    With the margins of the module's docstring, an eigenspace is

    - *contained* if leakage and anisotropy are at most the tolerance plus the margin that the error of A explains:
      nothing observed contradicts containment, and the true numbers exceed the observed ones by at most margin + 2
      error_b;
    - *not contained* if one of them exceeds that by more than error_b (anisotropy: 2 (1 − 1/m_i) error_b): for no
      admissible pair of true matrices would the numbers be within the tolerance. It is also not contained, whatever
      A is, if no m_i eigenvalues of B are close enough together: ‖(B − c) P_i‖ ≥ ½ min_j (b_{j+m−1} − b_j);
    - *undecided* otherwise, and always when the errors are so large that "not contained" was impossible: no
      bound on the angle (‖E‖ ≥ gap_i / 2), or thresholds above the largest possible leakage w/2 and anisotropy
      (1 − 1/m_i) w. A multiple of the identity (w/2 and (1 − 1/m_i) w within the tolerance) is contained regardless.

    An eigenspace is what the gap rule of `spaces` has joined: joined eigenvalues are assumed to be equal.

    Parameters
    ----------
    first : Eigenspaces, or Array of shape (d, d)
        A, as its eigenspaces or as the matrix, whose eigenvalues are then joined by the default rule.
    second_moment : Array, shape (d, d)
        B.
    tolerance : float, optional
        The size up to which the numbers count as zero, relative to ‖B‖; 64 d eps by default.
    error_a, error_b : float
        Bounds of the operator norms ‖E‖ and ‖F‖, absolute. Rounding, 4 d eps ‖A‖ and
        4 d eps ‖B‖, is added.

    Raises
    ------
    InvalidInput
        If A or B is no finite symmetric matrix, they do not fit together, or a tolerance or an error is negative.

    Examples
    --------
    >>> import numpy as np
    >>> containment(np.diag([1.0, 2.0, 2.0]), np.diag([5.0, 3.0, 3.0])).verdict
    'contained'
    >>> containment(np.diag([1.0, 2.0, 2.0]), np.diag([5.0, 3.0, 4.0])).verdicts
    ('contained', 'not contained')
    >>> containment(np.diag([1.0, 2.0]), np.diag([5.0, 3.0]), error_a=0.6).verdict
    'undecided'
    """
    spaces = first if isinstance(first, Eigenspaces) else eigenspaces(first)
    matrix = matching(spaces, "second_moment", second_moment)
    if matrix.ndim != 2:
        raise InvalidInput("second_moment.shape", tuple(matrix.shape), "must be (d, d)")
    for name, bound in (("tolerance", tolerance), ("error_a", error_a), ("error_b", error_b)):
        if bound is not None and not 0 <= bound < math.inf:
            raise InvalidInput(name, bound, "must be finite and not negative")
    xp = namespace(matrix)
    d, eps = spaces.dimension, float(xp.finfo(matrix.dtype).eps)
    spectrum = to_numpy(xp.linalg.eigvalsh(matrix))
    norm = float(np.max(np.abs(spectrum))) or 1.0
    relative_tolerance = 64 * d * eps if tolerance is None else float(tolerance)

    rounding = 4 * d * eps
    angle = turning_angle(spaces.separations, error_a + rounding * float(np.max(np.abs(to_numpy(spaces.eigenvalues)))))
    relative = spectrum / norm
    relative_error = error_b / norm + rounding
    width = relative[-1] - relative[0]
    m = np.array(spaces.multiplicity)
    # rows: leakage, which the whole space cannot have, and anisotropy, which a line cannot have
    amplification = np.stack([np.where(m < d, 1.0, 0.0), 2 * (1 - 1 / m)])
    shift = width * np.sin(np.where(np.isnan(angle), math.pi / 2, angle))
    seen = np.stack([to_numpy(leakage(spaces, matrix)), to_numpy(anisotropy(spaces, matrix))]) / norm
    margins, errors, largest = amplification * shift, amplification * relative_error, amplification * width / 2
    verdicts: list[ContainmentVerdict] = []
    for i, multiplicity in enumerate(spaces.multiplicity):
        if _crowding(relative, multiplicity) - relative_error > math.sqrt(2) * relative_tolerance:
            verdicts.append("not contained")
        else:
            verdicts.append(_verdict(seen[:, i], margins[:, i], errors[:, i], largest[:, i], relative_tolerance))
    return Containment(
        spaces=spaces,
        values=to_numpy(weight_variances(spaces, matrix)),
        leakage=seen[0],
        anisotropy=seen[1],
        leakage_margin=margins[0],
        anisotropy_margin=margins[1],
        angle=angle,
        tolerance=relative_tolerance,
        verdicts=tuple(verdicts),
    )


def turning_angle(gap: Sequence[float] | np.ndarray, error: float) -> np.ndarray:
    """θ = ½ arcsin(2 ‖E‖ / gap), the most that an error E turns an eigenspace; NaN where ‖E‖ ≥ gap / 2: no bound.

    `gap` is the distance between the eigenvalues on the eigenspace and the others of the matrix *without* the error;
    the eigenspace must not straddle them (between neighbours it does not). Exact, attained by 2 × 2 matrices.
    """
    gaps = np.asarray(gap, dtype=float)
    sine = np.full(gaps.shape, math.nan)
    np.divide(2 * error, gaps, out=sine, where=gaps > 2 * error)
    return np.arcsin(sine) / 2


def _verdict(
    seen: np.ndarray, margins: np.ndarray, errors: np.ndarray, largest: np.ndarray, tolerance: float
) -> ContainmentVerdict:
    """The verdict on (leakage, anisotropy) of one eigenspace; all arguments relative to ‖B‖, of shape (2,)."""
    if np.any(seen > tolerance + margins + errors):
        return "not contained"
    can_be_refused = tolerance + margins + errors < largest
    cannot_exceed = largest + errors <= tolerance
    return "contained" if np.all((can_be_refused & (seen <= tolerance + margins)) | cannot_exceed) else "undecided"


def _crowding(spectrum: np.ndarray, m: int) -> float:
    """½ min_j (b_{j+m−1} − b_j): a lower bound of ‖(B − c) P‖ over all c and all P of rank m."""
    return float(np.min(spectrum[m - 1 :] - spectrum[: len(spectrum) - m + 1])) / 2


def _in_eigenbasis(spaces: Eigenspaces, second_moment: Array) -> Array:
    matrix = matching(spaces, "second_moment", second_moment)
    return spaces.basis.T @ matrix @ spaces.basis
