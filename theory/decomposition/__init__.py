"""What f is made of: initial weights times a factor, and what training has written; and two laws that describe it.

`decompose` gives the parts where a closed form exists, `estimated_parts` estimates them from networks whose initial
weights are known, and `fit_shape` describes a transfer function by two numbers.
"""

from theory.decomposition.door import decompose
from theory.decomposition.estimate import EstimatedParts, estimated_parts
from theory.decomposition.parts import Decomposition, Parts
from theory.decomposition.shape_fit import LawFit, ShapeFit, fit_law, fit_shape
from theory.decomposition.shape_laws import law_tau

__all__ = [
    "Decomposition",
    "EstimatedParts",
    "LawFit",
    "Parts",
    "ShapeFit",
    "decompose",
    "estimated_parts",
    "fit_law",
    "fit_shape",
    "law_tau",
]
