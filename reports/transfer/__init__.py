"""A transfer experiment's numbers: estimated, compared in pairs of replicas, shown.

`transfer` trains an experiment and studies it, `study` takes what `simulate.transfer.run` has trained. `fresh_task`
says of pretrained networks, without training, whether they would learn a fresh task faster than from scratch.
"""

from reports.transfer.fresh_task import BEST, CheapScore, FreshTask, fresh_task
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
    "BEST",
    "CheapScore",
    "Estimated",
    "FreshTask",
    "LayerReading",
    "Measure",
    "TransferReading",
    "TransferStudy",
    "TreatmentStudy",
    "fresh_task",
    "measures",
    "study",
    "transfer",
]
