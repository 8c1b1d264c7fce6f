"""Closed forms of linear models trained on random labels; a new form is one file and one line here."""

from theory.linear import full_batch, online

FORMS = (full_batch.FORM, online.FORM)
