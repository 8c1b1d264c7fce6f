"""What a network's output depends on beside what its weights are: gradients, the neural feature ansatz, decay.

`gradient_outer_product` and `feature_matrix` are the two matrices that are compared, `correlation` and `fit_ansatz` how
alike they are, `change_correlation` the same for what training has changed; `linear_exponent` and `decay_factor` are
the cases in which one of them follows from the other; `means` holds what an ensemble says of their means.
"""

from theory.features.ansatz import Ansatz, change_correlation, correlation, fit_ansatz, linear_exponent, matrix_power
from theory.features.decay import decay_factor, decay_residual
from theory.features.matrices import feature_matrix, gradient_outer_product
from theory.features.means import aligned_part, axis_chance, axis_part, jackknife, mean_correlation

__all__ = [
    "Ansatz",
    "aligned_part",
    "axis_chance",
    "axis_part",
    "change_correlation",
    "correlation",
    "decay_factor",
    "decay_residual",
    "feature_matrix",
    "fit_ansatz",
    "gradient_outer_product",
    "jackknife",
    "linear_exponent",
    "matrix_power",
    "mean_correlation",
]
