"""Closed forms of f, each held against ensembles."""
