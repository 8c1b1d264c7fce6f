"""Pure mathematics of alignment: eigenspaces, statistical tests, closed forms. No files, no printing, no state.

The most used names are here; the others are in the modules: `theory.setting` (the vocabulary), `theory.testing` (the
statistical tests), `theory.symbolic` (exact forms in SymPy), `theory.linear` (closed forms for linear models).
"""

from theory.catalogue import FORMS, predict
from theory.containment import Containment, containment
from theory.eigenspaces import Eigenspaces, eigenspaces, transfer_function, weight_variances
from theory.errors import Diverged, InvalidInput, NoClosedForm
from theory.misalignment import closest_aligned, misalignment, misalignment_squared, null_floor
from theory.overlaps import merged, overlaps
from theory.prediction import PredictedReading, Prediction
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training
from theory.symmetry import SymmetryGroup, symmetry_group, twirl

__all__ = [
    "FORMS",
    "Containment",
    "Data",
    "Diverged",
    "Eigenspaces",
    "Ensemble",
    "InvalidInput",
    "Labels",
    "Network",
    "NoClosedForm",
    "PredictedReading",
    "Prediction",
    "Setting",
    "SymmetryGroup",
    "Training",
    "closest_aligned",
    "containment",
    "eigenspaces",
    "merged",
    "misalignment",
    "misalignment_squared",
    "null_floor",
    "overlaps",
    "predict",
    "symmetry_group",
    "transfer_function",
    "twirl",
    "weight_variances",
]
