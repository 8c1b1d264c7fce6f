"""Test whether a layer of your own network is aligned with its data.

`check` takes arrays or tensors, `check_files` the files that `eigenalign check` takes. A `monitor` returns the
misalignment as a number to log while a network trains.
"""

from reports.check.estimates import TransferFunction
from reports.check.exact import Aligned
from reports.check.judge import Check, RandomBasis
from reports.check.measure import check, check_files
from reports.check.monitor import Monitor, alignment_metric, monitor

__all__ = [
    "Aligned",
    "Check",
    "Monitor",
    "RandomBasis",
    "TransferFunction",
    "alignment_metric",
    "check",
    "check_files",
    "monitor",
]
