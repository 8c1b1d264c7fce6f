"""What a network's output depends on, compared with its weights: gradients, the neural feature ansatz, decay.

`gradient_outer_product` and `feature_matrix` are the two matrices that are compared. `correlation` and `fit_ansatz`
measure how similar they are, and `change_correlation` does so for their changes during training. `linear_exponent` and
`decay_factor` cover the cases in which one matrix follows from the other. `means` has estimates for the means over an
ensemble.
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
