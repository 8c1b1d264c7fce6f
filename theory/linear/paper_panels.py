"""The three panels of arXiv:2006.10455, Fig. 20, by the shape criterion of the linear model.

The panels differ in dimension, spectrum and number of samples. With the same batches and epochs the number of updates
is proportional to n, so n/(ηt) is common to all, and a panel of n samples has time T n/10,000. The caption names the
diagonal both the covariance and the axis: s = v, or s = v² if v is a standard deviation; both readings are given.

The result of the criterion (theory/derivations.md, section 1.7) for the label part alone: with the diagonal as
variances, the panels have the observed shapes for T between 1.2564 and 2.0941; as standard deviations, for no T. The
figure's diagonals are standard deviations: networks of its widths reproduce its values in that reading, and not in the
other (claim B5). So the criterion does not explain the figure, and its agreement in the other reading is a coincidence.
With the paper's own init, σ_0² = 1/d, and ten one-hot classes a linear model has c of hundreds or more at such T, and f
only falls, in all panels. The rise of f in these networks comes from initial weights that the layers above amplify,
which no linear model does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from theory.errors import InvalidInput
from theory.linear.shape import flow_peak, flow_shape
from theory.shape import FALLS, RISES, RISES_THEN_FALLS

Reading = Literal["variance", "deviation"]
PanelName = Literal["left", "middle", "right"]
# What the diagonals of the figure may be: variances or standard deviations.
READINGS: tuple[Reading, ...] = ("variance", "deviation")
REFERENCE_SAMPLES = 10_000  # the samples of a panel whose training time is T: with n samples it is T n/10,000
CLASSES = 10  # the classes of the paper's one-hot labels


@dataclass(frozen=True)
class PaperPanel:
    """One panel of the figure.

    Attributes
    ----------
    name : "left", "middle" or "right"
        The place of the panel in the figure, by which it is known.
    samples : int
    diagonal : tuple of float
        The diagonal that the paper lists, ascending, one entry per dimension.
    observed : str
        The shape of f over σ in the paper ("rises, levels off" is "rises").
    """

    name: PanelName
    samples: int
    diagonal: tuple[float, ...]
    observed: str

    def eigenvalues(self, reading: Reading) -> np.ndarray:
        """The eigenvalues s of Σ_x, (d,), ascending: the diagonal, or its square where it lists deviations."""
        if reading not in READINGS:
            raise InvalidInput("reading", reading, "must be 'variance' or 'deviation'")
        return np.array(self.diagonal) ** (1 if reading == "variance" else 2)


_WIDE = tuple(k / 10 for k in range(1, 31))
# The three panels of the figure, from left to right.
PAPER_PANELS = (
    PaperPanel("left", 10_000, tuple(1 + k / 10 for k in range(10)), FALLS),
    PaperPanel("middle", 10_000, _WIDE, RISES_THEN_FALLS),
    PaperPanel("right", 2_000, _WIDE, RISES),
)


@dataclass(frozen=True)
class PanelCriterion:
    """The criterion's values for one panel in one reading of its axis.

    Attributes
    ----------
    panel : PaperPanel
    reading : "variance" or "deviation"
    c : float
        σ_0² n/(σ_y² ηt).
    lowest, highest : float
        ηt s at both ends of the data.
    peak : float or None
        u*(c), the ηt s of the peak; None where c >= ½.
    shape : str
        The shape by the criterion.
    sigma_star : float or None
        The σ of the peak, if it lies within the range of the data.
    """

    panel: PaperPanel
    reading: Reading
    c: float
    lowest: float
    highest: float
    peak: float | None
    shape: str
    sigma_star: float | None

    @property
    def agrees(self) -> bool:
        """Whether the criterion gives the shape that the paper shows."""
        return self.shape == self.panel.observed


def panel_criteria(time: float, init_factor: float = 0.0) -> tuple[PanelCriterion, ...]:
    """The criterion for every panel and reading, readings outermost, at T = ηt of a panel of 10,000 samples.

    σ_0² = `init_factor`/d (1: the paper's init; 0: the label part alone), σ_y² = (C − 1)/C² with ten classes.
    Exact for gradient flow of a linear model with the population eigenvalues, n ≫ d.

    Raises
    ------
    InvalidInput
        Unless time > 0 and init_factor >= 0.

    Examples
    --------
    >>> [found.shape for found in panel_criteria(1.5)[:3]]
    ['falls', 'rises, then falls', 'rises']
    >>> {found.shape for found in panel_criteria(1.5, init_factor=1.0)}
    {'falls'}
    """
    if not 0 < time < np.inf:
        raise InvalidInput("time", time, "must be positive and finite")
    if not 0 <= init_factor < np.inf:
        raise InvalidInput("init_factor", init_factor, "must be finite and not negative")
    return tuple(_criterion(panel, reading, time, init_factor) for reading in READINGS for panel in PAPER_PANELS)


def agreeing_times(reading: Reading) -> tuple[float, float] | None:
    """The interval of T in which the label part (c = 0) has the observed shape in all three panels; None if empty.

    Left falls iff T s_min >= u*, the middle turns iff T s_min < u* < T s_max, the right rises iff T s_max/5 <= u*.

    >>> [round(end, 4) for end in agreeing_times("variance")], agreeing_times("deviation")
    ([1.2564, 2.0941], None)
    """
    peak = flow_peak(0.0)
    assert peak is not None
    left, middle, right = (panel.eigenvalues(reading) for panel in PAPER_PANELS)
    fraction = PAPER_PANELS[2].samples / REFERENCE_SAMPLES
    earliest = float(peak / min(left[0], middle[-1]))
    latest = float(peak / max(middle[0], right[-1] * fraction))
    return (earliest, latest) if earliest < latest else None


def _criterion(panel: PaperPanel, reading: Reading, time: float, init_factor: float) -> PanelCriterion:
    s = panel.eigenvalues(reading)
    own = time * panel.samples / REFERENCE_SAMPLES
    c = init_factor / len(s) * panel.samples / ((CLASSES - 1) / CLASSES**2 * own)
    lowest, highest = float(own * s[0]), float(own * s[-1])
    peak = flow_peak(c)
    inside = peak is not None and lowest < peak < highest
    sigma_star = float(np.sqrt(peak / own)) if peak is not None and inside else None
    return PanelCriterion(panel, reading, c, lowest, highest, peak, flow_shape(c, lowest, highest), sigma_star)
