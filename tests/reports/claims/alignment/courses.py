"""Courses of features along training, made up."""

from __future__ import annotations

import numpy as np

from reports.claims.alignment.feature_networks import FeatureCourse

EPOCHS = np.array([2.0, 4.0, 6.0])


def course(weights: list[float], gradients: list[float], agreement: list[float], noise: float = 0.0) -> FeatureCourse:
    """A course of features of 20 networks; leaving one network out changes the values by normal `noise`."""
    drawn = noise * np.random.default_rng(0).standard_normal((3, 3, 20))
    values = [
        np.concatenate((np.array(each)[:, None], np.array(each)[:, None] + of), axis=1)
        for each, of in zip((weights, gradients, agreement), drawn, strict=True)
    ]
    return FeatureCourse(EPOCHS, *values, diverged=0)
