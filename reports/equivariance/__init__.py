"""Does your own training commute with rotations of its inputs, and does it matter for alignment?"""

from reports.equivariance.ensemble import TrainedAlignment, alignment_after
from reports.equivariance.study import Discrepancy, Equivariance, assert_equivariant, equivariance

__all__ = [
    "Discrepancy",
    "Equivariance",
    "TrainedAlignment",
    "alignment_after",
    "assert_equivariant",
    "equivariance",
]
