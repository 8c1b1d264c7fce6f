"""The networks of one family of F4, at several widths, beside what the theory says of them."""

from __future__ import annotations

from dataclasses import dataclass

from reports.claims.forms.lazy_evidence import (
    DROPPED,
    FittedPower,
    TermShare,
    WidthChanges,
    WidthEvidence,
    first_inside,
    fitted_power,
    term_share,
)
from reports.claims.forms.lazy_predictions import LazyPrediction
from reports.claims.forms.trace_modes import TraceByModes


@dataclass(frozen=True)
class ErrorRate:
    """How the error of the theory falls with the width.

    Attributes
    ----------
    exponent : float
    largest : float
        The displacement up to which the error follows the law that is fitted.
    corrected : bool
        Whether this law is a power of the width times 1 + b/m, instead of a power alone.
    """

    exponent: float
    largest: float
    corrected: bool = False


@dataclass(frozen=True, eq=False)
class FamilyPrediction:
    """What is predicted of a family.

    Attributes
    ----------
    widths : tuple of LazyPrediction
        The changes of τ at the last reading, ascending in width.
    rate : ErrorRate or None
        The rate at which the error falls, if it is to be decided.
    trace : TraceByModes or None
        The law of the trace, if it is exact.
    """

    widths: tuple[LazyPrediction, ...]
    rate: ErrorRate | None
    trace: TraceByModes | None


@dataclass(frozen=True, eq=False)
class FamilyChanges:
    """The changes of τ in the networks of one family, ascending in width."""

    widths: tuple[WidthChanges, ...]

    @property
    def replicas(self) -> int:
        """How many replicas all widths have together."""
        return sum(each.replicas for each in self.widths)

    @property
    def diverged(self) -> int:
        """How many of them diverged."""
        return sum(each.diverged for each in self.widths)


@dataclass(frozen=True, eq=False)
class FamilyEvidence:
    """The networks of one family beside what is predicted of them.

    Attributes
    ----------
    widths : tuple of WidthEvidence
        The evidence at each width, ascending.
    diverged : int
        The number of diverged replicas of all widths.
    """

    widths: tuple[WidthEvidence, ...]
    diverged: int

    @property
    def replicas(self) -> int:
        """How many replicas all widths have together."""
        return sum(each.measured.replicas for each in self.widths)

    @property
    def inside(self) -> WidthEvidence:
        """The networks that are judged: the narrowest inside the regime, the widest if none is.

        With the width the budget falls faster than the error of measurement.
        """
        return self.widths[first_inside(self.widths)]

    @property
    def shares(self) -> tuple[TermShare, ...]:
        """The share of every term that the theory has, at the largest width."""
        found = (term_share(self.widths[-1], term) for term in DROPPED)
        return tuple(share for share in found if share is not None)

    def law(self, rate: ErrorRate) -> FittedPower | None:
        """The power of m with which the error falls; None where no gap is seen."""
        return fitted_power(self.widths, rate.largest, corrected=rate.corrected)


def evidence_of(prediction: FamilyPrediction, measured: FamilyChanges) -> FamilyEvidence:
    """Both, width by width."""
    pairs = zip(prediction.widths, measured.widths, strict=True)
    return FamilyEvidence(tuple(WidthEvidence(*pair) for pair in pairs), measured.diverged)
