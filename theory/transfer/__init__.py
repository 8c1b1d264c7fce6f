"""Does pre-training on random labels help? Several mechanisms, each with its own sign rule and its own name.

In linear models, with opposite sign rules:

- `initial_weights`: a linear model continues from the pre-trained *weights*. They are a nuisance that has to be
  forgotten: early in training a falling transfer function helps, a rising one hurts.
- `frozen_features`: a second layer is trained from zero on a frozen, pre-trained first layer, whose covariance shapes
  the *kernel*: early in training a rising transfer function helps, a falling one hurts.

Both compare with isotropic weights of the same trace (after rescaling), the first also with isotropic weights as drawn.

In wide networks with one hidden layer, by their kernels:

- `kernel_regime`: a network starts from first-layer weights N(0, Σ_w), which change its tangent kernel.
- `kept_output`: the pre-trained network continues with its output layer; only its starting point changes.
- `linearised`: the same condition evaluated on one actual network, from its empirical kernels.

In networks of any depth and width, by their Jacobians:

- `linearised_training`: an actual network, linearised where training begins, trained as the setting says.
- `training_transfer`: the condition, evaluated on two such trainings, in accuracy and in loss.
- `kernel_numbers`: what the tangent kernels say without labels and without training; `kernel_change`: how pre-training
  changes these numbers, the cheapest condition for the sign of transfer.
"""

from theory.transfer.frozen_features import FrozenFeatureTransfer, frozen_feature_loss, frozen_feature_transfer
from theory.transfer.initial_weights import (
    InitialWeightTransfer,
    initial_weight_test_loss,
    initial_weight_training_loss,
    initial_weight_transfer,
    initial_weight_transfer_of,
)
from theory.transfer.kept_output import KeptOutputTransfer, kept_output_transfer
from theory.transfer.kernel_change import KernelChange, kernel_change, kernel_change_of
from theory.transfer.kernel_numbers import KernelNumbers, kernel_numbers
from theory.transfer.kernel_regime import (
    KernelRegimeTransfer,
    early_slope_guide,
    kernel_regime_transfer,
    wide_network,
)
from theory.transfer.linearised import (
    LinearisedNetwork,
    LinearisedTransfer,
    RandomLabels,
    linearised_loss,
    linearised_transfer,
)
from theory.transfer.linearised_training import LinearisedTraining, linearised_training
from theory.transfer.training_transfer import MeanGain, TrainingTransfer, training_transfer, transfer_between

__all__ = [
    "FrozenFeatureTransfer",
    "InitialWeightTransfer",
    "KeptOutputTransfer",
    "KernelChange",
    "KernelNumbers",
    "KernelRegimeTransfer",
    "LinearisedNetwork",
    "LinearisedTraining",
    "LinearisedTransfer",
    "MeanGain",
    "RandomLabels",
    "TrainingTransfer",
    "early_slope_guide",
    "frozen_feature_loss",
    "frozen_feature_transfer",
    "initial_weight_test_loss",
    "initial_weight_training_loss",
    "initial_weight_transfer",
    "initial_weight_transfer_of",
    "kept_output_transfer",
    "kernel_change",
    "kernel_change_of",
    "kernel_numbers",
    "kernel_regime_transfer",
    "linearised_loss",
    "linearised_training",
    "linearised_transfer",
    "training_transfer",
    "transfer_between",
    "wide_network",
]
