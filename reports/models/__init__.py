"""`check` for whole models: the layers of a module, what they see of the data, one table."""

from reports.models.layers import Layer, Unchecked
from reports.models.model import check_model
from reports.models.results import LayerCheck, ModelCheck

__all__ = ["Layer", "LayerCheck", "ModelCheck", "Unchecked", "check_model"]
