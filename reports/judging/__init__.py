"""Prediction against measurement: estimates with their errors, and the rules for verdicts."""
