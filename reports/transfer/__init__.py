"""A transfer experiment's numbers: estimated, compared in pairs of replicas, shown.

`transfer` trains an experiment and studies it, `study` takes what `simulate.transfer.run` has trained. `conditions`
says what the theory predicts of networks at the switch, `answers` whether treatments help, in words. `fresh_task` says
of pretrained networks, without training, whether they would learn a fresh task faster than from scratch;
`fresh_task_of_modules` of any torch modules, `fresh_task_of_files` of networks in files.
"""

from reports.transfer.answer import Answer, Predicted, answers, predicted
from reports.transfer.condition import Condition, conditions
from reports.transfer.fresh_files import fresh_task_of_files
from reports.transfer.fresh_modules import fresh_task_of_modules
from reports.transfer.fresh_task import BEST, CheapScore, FreshTask, fresh_task
from reports.transfer.run import answer_transfer, predict_transfer, transfer
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
    "Answer",
    "CheapScore",
    "Condition",
    "Estimated",
    "FreshTask",
    "LayerReading",
    "Measure",
    "Predicted",
    "TransferReading",
    "TransferStudy",
    "TreatmentStudy",
    "answer_transfer",
    "answers",
    "conditions",
    "fresh_task",
    "fresh_task_of_files",
    "fresh_task_of_modules",
    "measures",
    "predict_transfer",
    "predicted",
    "study",
    "transfer",
]
