"""The numbers of a transfer experiment: estimates, and comparisons in pairs of replicas.

`transfer` trains and studies an experiment; `study` takes the results of `simulate.transfer.run`. `conditions` gives
the prediction of the theory for networks at the switch, and `answers` says in words whether treatments help.
`fresh_task` predicts without training whether pretrained networks would learn a fresh task faster than from scratch;
`fresh_task_of_modules` does so for any torch modules, and `fresh_task_of_files` for networks in files.
"""

from reports.transfer.answer import Answer, PredictedEffect, answers, predict_effect
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
    "PredictedEffect",
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
    "predict_effect",
    "predict_transfer",
    "study",
    "transfer",
]
