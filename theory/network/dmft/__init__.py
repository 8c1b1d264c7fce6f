"""One hidden layer away from the kernel limit: dynamical mean-field theory, many rows and directions, fixed width."""

from theory.network.dmft.form import FORM

__all__ = ["FORM"]
