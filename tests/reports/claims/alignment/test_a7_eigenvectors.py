"""Data eigenspaces that are added together, by number and as pictures; what random bases give; that it can say no."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reports.claims.alignment import a7_eigenvectors
from reports.claims.alignment.a7_eigenvectors import MatchedEigenvectors, match, numbered
from reports.claims.alignment.orientation import NetworkOrientation
from tests.reports.claims.alignment.ensembles import case_of, outcome_of, reading_of, smaller_case, turned
from theory.eigenspaces import eigenspaces

PATCHES = "photograph patches 5x5x3, random labels"


def test_data_eigenspaces_are_added_together():
    data = eigenspaces(np.diag([1.0, 2.0, 3.0, 4.0, 5.0]))
    generator = np.random.default_rng(0)
    found = match(data, reading_of(np.array([7.0, 4.0, 7.0, 1.0, 1.0])), generator)
    assert found.multiplicity == (2, 1, 2)
    assert found.sums == ((3, 4), (1,), (0, 2))
    assert found.placed == 5
    assert found.best > 0.99 > found.random.max()
    assert [numbered(chosen, 5) for chosen in found.sums] == ["1 + 2", "4", "3 + 5"]
    apart = match(eigenspaces(turned(data.matrix)), reading_of(np.array([9.0, 5, 3, 2, 1])), generator)
    assert apart.placed < 5
    assert apart.best < apart.random.max()


def test_isotropic_weights_say_nothing_of_eigenvectors():
    """One weight eigenspace holds every data eigenspace, and every random one."""
    found = match(eigenspaces(np.diag([1.0, 2.0, 3.0])), reading_of(np.ones(3)), np.random.default_rng(0))
    assert found.multiplicity == (3,)
    assert found.best == pytest.approx(1)
    np.testing.assert_allclose(found.random, 1)


def test_numbers_and_pictures_of_eigenspaces():
    data = eigenspaces(np.diag(np.arange(1.0, 76.0)))
    assert numbered((), 75) == "none"
    assert numbered((74,), 75) == "1"
    assert numbered((74, 70, 69, 68, 66), 75) == "1, 5 to 7, 9"
    found = match(data, reading_of(np.r_[np.ones(73), 4.0, 8.0]), np.random.default_rng(0))
    figure = a7_eigenvectors.eigenvector_figure(found, 75, a7_eigenvectors.Shown("", ""))
    above, below = (panel.pictures for panel in figure.panels)
    assert [picture.label for picture in below[:3]] == ["1", "2", "3 to 75"]
    assert above[0].values.shape == (5, 17)
    # The leading weight eigenvector is the data's, but for noise: the last of 75 coordinates, bottom right in blue.
    assert abs(below[0].values[4, 16]) == pytest.approx(1)
    assert below[0].values[4, 16] * above[0].values[4, 16] > 0.9
    assert np.isnan(above[0].values[:, [5, 11]]).all()


def test_groups_of_networks_are_judged_and_shown():
    """Few networks, hardly trained: groups have more weight vectors than dimensions, and nothing is decided."""
    outcome = outcome_of(a7_eigenvectors.CLAIM, smaller_case(a7_eigenvectors.CLAIM, PATCHES, 14, steps=(0, 2)))
    measured = outcome.measurement
    assert (measured.dimension, measured.orientation.networks, measured.replicas) == (75, 7, 14)
    share, nearer = outcome.judgements
    assert share.verdict == "outside the hypotheses"
    assert (nearer.kind, nearer.verdict) == ("control", "undecided")
    assert nearer.quantity.startswith("groups of 2 networks")
    shown = a7_eigenvectors.illustrate((outcome,))
    sums, groups = shown.tables
    assert sum(row[2] for row in sums.rows if row[0] == 0) == 75
    assert groups.rows[0][0] == "7 groups"
    assert [figure.name for figure in shown.figures] == ["a7-eigenvectors-2"]  # not of untrained weights
    assert a7_eigenvectors.illustrate(()).tables == ()


@pytest.mark.parametrize(
    ("pvalue", "diverged", "verdict"), [(0.005, 0, "holds"), (0.5, 0, "undecided"), (0.005, 1, "undecided")]
)
def test_groups_can_be_left_undecided(pvalue, diverged, verdict):
    data = eigenspaces(np.diag([1.0, 2.0, 3.0]))
    found = match(data, reading_of(np.array([1.0, 4.0, 9.0])), np.random.default_rng(0))
    groups = np.ones((1, 7))
    orientation = NetworkOrientation((1,), groups, 2 * groups, pvalue * groups, 0.1)
    measured = MatchedEigenvectors(3, 3, (found,), orientation, 70, diverged)
    share, nearer = a7_eigenvectors.decide(case_of(a7_eigenvectors.CLAIM, PATCHES), "", measured)
    assert nearer.verdict == verdict
    assert share.note.startswith("3 of 3 lie in one of 3 weight eigenspaces")


def test_the_share_is_that_of_the_last_reading_with_its_rank():
    """Among 199 random bases; of 35 networks in groups of five."""
    data = eigenspaces(np.diag([1.0, 2.0, 3.0]))
    last = match(data, reading_of(np.array([1.0, 4.0, 9.0])), np.random.default_rng(0))
    first = replace(last, best=0.1, random=np.zeros(4))
    random = np.linspace(0.0, 1.0, 199)
    last = replace(last, best=random[150], random=random)
    orientation = NetworkOrientation((0, 1), np.ones((2, 7)), np.ones((2, 7)), np.ones((2, 7)), 0.1)
    measured = MatchedEigenvectors(3, 3, (first, first, last), orientation, 35, 0)
    share, nearer = a7_eigenvectors.decide(case_of(a7_eigenvectors.CLAIM, PATCHES), "", measured)
    assert share.measurement == random[150]
    assert share.power == "random bases 0.50, at most 1.00"
    assert share.note.endswith(f"$p$ = {(1 + np.sum(random >= random[150])) / 200:.2g}")
    assert nearer.quantity.startswith("groups of 5 networks")
    # .14 and .51, where 29/199 and 101/201 would be .15 and .50
    for count in (29, 101):
        few = replace(measured, matchings=(first, replace(last, best=random[199 - count + 1])))
        share, _ = a7_eigenvectors.decide(case_of(a7_eigenvectors.CLAIM, PATCHES), "", few)
        assert share.note.endswith(f"$p$ = {count / 200:.2g}")
