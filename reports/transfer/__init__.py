"""A transfer experiment's numbers: estimated, compared in pairs of replicas, shown."""

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
]
