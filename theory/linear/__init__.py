"""Closed forms of linear models trained on random labels. To add a form, add one file, and one line here."""

from theory.linear import (
    averaged,
    averaged_batches,
    diffusion,
    full_batch,
    mini_batch,
    mini_batch_scalar,
    online,
    shuffled,
    shuffled_ends,
    stationary,
    two_layer,
    two_layer_converged,
    two_layer_early,
)

FORMS = (
    full_batch.FORM,
    mini_batch.FORM,
    mini_batch_scalar.FORM,
    stationary.FORM,
    shuffled.FORM,
    shuffled_ends.FORM,
    online.FORM,
    averaged.SECOND_ORDER,
    averaged.FORM,
    averaged_batches.FORM,
    diffusion.FORM,
    diffusion.ADDITIVE,
    two_layer.FORM,
    two_layer_early.FORM,
    two_layer_converged.FORM,
    averaged.PLUG_IN,
)
