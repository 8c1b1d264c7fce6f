"""Errors planted into the theory, each of which must turn the verdict of a claim: a standing test of the report."""
