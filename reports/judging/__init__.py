"""Prediction against measurement: estimates with their errors, and the rules by which verdicts follow."""
