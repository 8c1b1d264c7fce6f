"""Does pre-training on random labels help? Two mechanisms, of opposite sign rules, kept apart by their names.

- `initial_weights`: a linear model continues from the pre-trained *weights*. They are a nuisance that has to be
  forgotten: early in training a falling transfer function helps, a rising one hurts.
- `frozen_features`: a second layer is trained from zero on a frozen, pre-trained first layer, whose covariance shapes
  the *kernel*: early in training a rising transfer function helps, a falling one hurts.

Both compare with isotropic weights of the same trace (after rescaling), the first also with isotropic weights as drawn.
"""

from theory.transfer.frozen_features import FrozenFeatureTransfer, frozen_feature_loss, frozen_feature_transfer
from theory.transfer.initial_weights import (
    InitialWeightTransfer,
    initial_weight_test_loss,
    initial_weight_training_loss,
    initial_weight_transfer,
    initial_weight_transfer_of,
)

__all__ = [
    "FrozenFeatureTransfer",
    "InitialWeightTransfer",
    "frozen_feature_loss",
    "frozen_feature_transfer",
    "initial_weight_test_loss",
    "initial_weight_training_loss",
    "initial_weight_transfer",
    "initial_weight_transfer_of",
]
