"""Closed forms of networks with one hidden layer, and their kernels. To add a form, add one file, and one line here."""

from theory.network import dmft, first_step, first_step_averaged, lazy, softmax_first_step, softmax_lazy
from theory.prediction import Form

FORMS: tuple[Form, ...] = (
    first_step.FORM,
    first_step_averaged.FORM,
    softmax_first_step.FORM,
    lazy.FORM,
    softmax_lazy.FORM,
    dmft.FORM,
)
