"""Does a training of your own commute with rotations of its inputs, as the alignment theorem needs?"""

from reports.equivariance.study import Discrepancy, Equivariance, assert_equivariant, equivariance

__all__ = ["Discrepancy", "Equivariance", "assert_equivariant", "equivariance"]
