"""The claims, in the order in which they are judged. A new claim is one new file and one line here."""

from reports.claims import (
    a1_equivariance,
    a2_averaging,
    a3_theorem,
    a4_hypotheses,
    a5_mean,
    a6_convolutions,
    a7_eigenvectors,
    b1_function,
    b2_shape,
    b3_images,
    b4_deeper,
    f1_closed_forms,
    f2_criterion,
    f3_first_steps,
    f4_lazy,
    f7_surrogate,
    regime_map,
    t1_linear_transfer,
)
from reports.claims.claim import Claim

CLAIMS: tuple[Claim, ...] = (
    a1_equivariance.CLAIM,
    a2_averaging.CLAIM,
    a3_theorem.CLAIM,
    a4_hypotheses.CLAIM,
    a5_mean.CLAIM,
    a6_convolutions.CLAIM,
    a7_eigenvectors.CLAIM,
    b1_function.CLAIM,
    b2_shape.CLAIM,
    b3_images.CLAIM,
    b4_deeper.CLAIM,
    f1_closed_forms.CLAIM,
    f2_criterion.CLAIM,
    f3_first_steps.CLAIM,
    f4_lazy.CLAIM,
    regime_map.CLAIM,
    f7_surrogate.CLAIM,
    t1_linear_transfer.CLAIM,
)
