"""Does your own training commute with rotations of its inputs, as the alignment theorem requires?"""

from reports.equivariance.study import Discrepancy, Equivariance, assert_equivariant, equivariance

__all__ = ["Discrepancy", "Equivariance", "assert_equivariant", "equivariance"]
