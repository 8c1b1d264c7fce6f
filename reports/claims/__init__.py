"""The claims, in the order in which they are judged. A new claim is one file in its family, and its name twice here."""

from reports.claims.alignment import (
    a1_equivariance,
    a2_averaging,
    a3_theorem,
    a4_hypotheses,
    a5_mean,
    a6_convolutions,
    a7_eigenvectors,
    a8_ingredients,
    a9_features,
    b4_deeper,
)
from reports.claims.claim import AnyClaim
from reports.claims.forms import (
    f1_closed_forms,
    f3_first_steps,
    f4_lazy,
    f9_away_from_lazy,
)
from reports.claims.shape import (
    b1_function,
    b2_shape,
    b3_images,
    b5_panels,
    b6_made_of,
    b7_stand_in,
    f2_criterion,
    f6_regimes,
    f7_surrogate,
)
from reports.claims.transfer import (
    c1_positive,
    c2_covariance,
    c3_specialisation,
    c4_scale,
    c5_condition,
    c6_stages,
    c7_layers,
    c8_plasticity,
    f5_kernel_transfer,
    f8_transfer_sign,
    t1_linear_transfer,
)

CLAIMS: tuple[AnyClaim, ...] = tuple(
    module.CLAIM
    for module in (
        a1_equivariance,
        a2_averaging,
        a3_theorem,
        a4_hypotheses,
        a5_mean,
        a6_convolutions,
        a7_eigenvectors,
        a8_ingredients,
        a9_features,
        b1_function,
        b2_shape,
        b3_images,
        b4_deeper,
        b5_panels,
        b6_made_of,
        b7_stand_in,
        c1_positive,
        c2_covariance,
        c3_specialisation,
        c4_scale,
        c5_condition,
        c6_stages,
        c7_layers,
        c8_plasticity,
        f1_closed_forms,
        f2_criterion,
        f3_first_steps,
        f4_lazy,
        f5_kernel_transfer,
        f6_regimes,
        f7_surrogate,
        f8_transfer_sign,
        f9_away_from_lazy,
        t1_linear_transfer,
    )
)
