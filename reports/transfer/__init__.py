"""A transfer experiment's numbers: estimated, compared in pairs of replicas, shown.

`transfer` trains an experiment and studies it, `study` takes what `simulate.transfer.run` has trained.
"""

from reports.transfer.run import transfer
from reports.transfer.study import (
    Estimated,
    LayerReading,
    Measure,
    TransferReading,
    TransferStudy,
    TreatmentStudy,
    measures,
    study,
)

__all__ = [
    "Estimated",
    "LayerReading",
    "Measure",
    "TransferReading",
    "TransferStudy",
    "TreatmentStudy",
    "measures",
    "study",
    "transfer",
]
