"""The vocabulary of hypotheses: a setting says what is trained, on what, how.

A :class:`Setting` is frozen, hashable and checked however it was built (from Python, from a mapping, from TOML).
`theory` predicts from it and `simulate` runs it; it is the one part of `theory` that `simulate` imports.

Conventions. Eigenvalues are those of the second moment about zero (of the covariance when a mean is given).
``standard`` parametrization: layer l has entries N(0, v_l / fan_in). ``ntk``: raw entries N(0, v_l), and the
forward pass of each layer is divided by sqrt(fan_in). The mean squared error is ½ · mean over rows of ‖f − y‖².
"""

from theory.errors import Diverged, InvalidInput
from theory.setting.data import Data
from theory.setting.experiment import DRAWN, Downstream, Experiment, Treatment, Treatments, Until, Upstream
from theory.setting.labels import Labels
from theory.setting.laws import PowerLaw, Sphere, Student, TwoPoint
from theory.setting.network import Network
from theory.setting.setting import Ensemble, Setting
from theory.setting.tasks import Remedy, TaskSequence
from theory.setting.training import Training

__all__ = [
    "DRAWN",
    "Data",
    "Diverged",
    "Downstream",
    "Ensemble",
    "Experiment",
    "InvalidInput",
    "Labels",
    "Network",
    "PowerLaw",
    "Remedy",
    "Setting",
    "Sphere",
    "Student",
    "TaskSequence",
    "Training",
    "Treatment",
    "Treatments",
    "TwoPoint",
    "Until",
    "Upstream",
]
