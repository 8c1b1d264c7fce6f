"""`check` for whole models: the layers of a module, their inputs from the data, one table; the same during training."""

from reports.models.layers import Layer, Unchecked
from reports.models.model import check_model
from reports.models.over import Course, check_over
from reports.models.results import LayerCheck, ModelCheck
from reports.models.watch import Watch, lightning_callback, trainer_callback, watch

__all__ = [
    "Course",
    "Layer",
    "LayerCheck",
    "ModelCheck",
    "Unchecked",
    "Watch",
    "check_model",
    "check_over",
    "lightning_callback",
    "trainer_callback",
    "watch",
]
