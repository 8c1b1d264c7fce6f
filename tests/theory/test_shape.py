"""Shapes of transfer functions, from numbers and from noisy numbers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.errors import InvalidInput
from theory.shape import OTHER, PANELS, classify_interval, shape_of


@pytest.mark.parametrize(
    ("tau", "shape"),
    [
        ([3, 2, 1], "falls"),
        ([1, 2, 2, 3], "rises"),
        ([1, 3, 2], "rises, then falls"),
        ([2, 1, 3], "falls, then rises"),
        ([3, 1, 2, 1], "falls, then rises, then falls"),
        ([1, 1], "flat"),
        ([1], "flat"),
    ],
)
def test_shape_of(tau: list[float], shape: str) -> None:
    assert shape_of(tau) == shape


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=8))
def test_shape_of_mirror_images(tau: list[int]) -> None:
    """Upside down, rises and falls swap; f and every increasing function keep the shape."""
    swapped = shape_of(tau).replace("rises", "·").replace("falls", "rises").replace("·", "falls")
    assert shape_of([-t for t in tau]) == swapped
    assert shape_of(np.exp(tau)) == shape_of(tau)


@given(
    signs=st.lists(st.sampled_from([(1,), (-1,), (1, -1)]), min_size=1, max_size=7),
    alternatives=st.sampled_from([None, PANELS, ("falls, then rises",)]),
)
def test_classification_enumerates_what_the_intervals_leave(
    signs: list[tuple[int, ...]], alternatives: tuple[str, ...] | None
) -> None:
    """All sign sequences are tried one by one: (1,) is a clear rise, (−1,) a clear fall, (1, −1) undecided."""
    tau = np.cumsum([0.0] + [0.0 if len(s) == 2 else 100.0 * s[0] for s in signs])
    shapes = {shape_of(np.cumsum([0, *choice])) for choice in itertools.product(*signs)}
    if alternatives is None:
        expected = shapes.pop() if len(shapes) == 1 else None
    else:
        possible = [shape for shape in alternatives if shape in shapes]
        expected = OTHER if not possible else possible[0] if len(possible) == 1 else None
    assert classify_interval(tau, standard_errors=np.ones(len(tau)), alternatives=alternatives) == expected


def test_the_three_kinds_of_error_agree() -> None:
    """Independent blocks: their covariance, and (for many of them) the normal quantile, give the same answer."""
    generator = np.random.default_rng(11)
    truth = np.array([1.0, 2.0, 3.0, 2.0])
    for noise, expected in ((0.5, "rises, then falls"), (30.0, None)):
        blocks = truth + noise * generator.standard_normal((400, 4))
        tau, covariance = blocks.mean(axis=0), np.cov(blocks.T) / 400
        assert classify_interval(tau, blocks=blocks) == expected
        assert classify_interval(tau, covariance=covariance) == expected
        assert classify_interval(tau, standard_errors=np.sqrt(covariance.diagonal())) == expected


def test_common_noise_does_not_blur_a_shape() -> None:
    """What all τ share cancels in their differences: only the joint errors know it."""
    generator = np.random.default_rng(12)
    blocks = np.array([1.0, 1.1, 1.0]) + generator.standard_normal((50, 1)) + 0.01 * generator.standard_normal((50, 3))
    tau, covariance = blocks.mean(axis=0), np.cov(blocks.T) / 50
    assert classify_interval(tau, blocks=blocks) == "rises, then falls"
    assert classify_interval(tau, covariance=covariance) == "rises, then falls"
    assert classify_interval(tau, standard_errors=np.sqrt(covariance.diagonal())) is None


def test_wrong_answers_are_rarer_than_promised() -> None:
    """A peak that is hard to see, 3,000 times at confidence ½: wrong less often than ½, and not always undecided."""
    generator = np.random.default_rng(13)
    truth = np.array([1.0, 1.5, 1.9, 2.0, 1.4])
    answers = [
        classify_interval(tau, standard_errors=[0.2] * 5, confidence=0.5)
        for tau in truth + 0.2 * generator.standard_normal((3000, 5))
    ]
    wrong = sum(answer not in (None, "rises, then falls") for answer in answers)
    assert wrong < 1500
    assert answers.count("rises, then falls") > 300


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({}, "give one of"),
        ({"standard_errors": [1, 1, 1], "covariance": np.eye(3)}, "give one of"),
        ({"standard_errors": [1, 1]}, r"standard_errors\.shape"),
        ({"standard_errors": [1, -1, 1]}, "negative variance"),
        ({"standard_errors": [1, np.nan, 1]}, "finite"),
        ({"covariance": np.eye(2)}, r"covariance\.shape"),
        ({"covariance": 3 - 2 * np.eye(3)}, "negative variance"),
        ({"blocks": np.ones((1, 3))}, r"blocks\.shape"),
        ({"standard_errors": [1, 1, 1], "confidence": 1.0}, "confidence"),
        ({"standard_errors": [1, 1, 1], "alternatives": ("wobbles",)}, "alternatives"),
        ({"standard_errors": [1, 1, 1], "alternatives": ("falls, then falls",)}, "alternatives"),
    ],
)
def test_bad_calls(arguments: dict, match: str) -> None:
    with pytest.raises(InvalidInput, match=match):
        classify_interval([1.0, 2.0, 1.0], **arguments)


@pytest.mark.parametrize("tau", [[1.0], [], [[1.0, 2.0]], [1.0, np.inf]])
def test_bad_tau(tau: list) -> None:
    with pytest.raises(InvalidInput, match="tau"):
        classify_interval(tau, standard_errors=[0.1] * len(tau))
