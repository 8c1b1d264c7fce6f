"""Strategies: what they draw is what they say, and is neither all one case nor none."""

import numpy as np
import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

import theory
from reports.testing import assert_contained
from reports.testing import strategies as ours
from theory.containment import containment
from theory.errors import InvalidInput


@st.composite
def with_another(draw, strategy):
    known = draw(ours.known_matrices().filter(lambda known: len(known.eigenvalues) > 1))
    return known, draw(strategy(known))


@given(with_another(ours.aligned_with))
def test_aligned_matrices_are_aligned(pair):
    known, other = pair
    assert_contained(known.spaces, other)


@given(with_another(ours.unaligned_with))
def test_unaligned_matrices_are_not(pair):
    known, other = pair
    found = containment(known.spaces, other)
    assert found.verdict == "not contained"
    assert max(found.leakage) > 0.008
    assert np.linalg.eigvalsh(other).min() > 0.4


def test_every_matrix_is_aligned_with_the_identity():
    one = ours.Known(np.array([1.0]), (3,), np.eye(3))
    with pytest.raises(InvalidInput, match="two eigenspaces"):
        find(ours.unaligned_with(one), lambda other: True)


@given(ours.spectra(max_dimension=4))
def test_spectra(spectrum):
    assert 1 <= len(spectrum) <= 4
    assert list(spectrum) == sorted(spectrum)
    assert spectrum[0] >= 0.25


def test_spectra_repeat_eigenvalues_and_do_not():
    find(ours.spectra(), lambda spectrum: len(set(spectrum)) < len(spectrum))
    find(ours.spectra(), lambda spectrum: len(set(spectrum)) == len(spectrum) > 2)


@settings(max_examples=20)
@given(ours.known_matrices(max_dimension=3).flatmap(lambda known: st.tuples(st.just(known), ours.rows(known, 20_000))))
def test_rows_have_the_covariance_that_is_asked_for(drawn):
    known, x = drawn
    assert np.linalg.norm(x.T @ x / len(x) - known.matrix) < 0.2 * np.linalg.norm(known.matrix)


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(ours.settings())
def test_settings_have_an_exact_form(setting):
    rows = np.ones((setting.data.sample_count, len(setting.data.spectrum)))
    assert theory.predict(setting, rows=rows).status == "exact"
