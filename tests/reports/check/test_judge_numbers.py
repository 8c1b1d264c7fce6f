"""Numbers of a check, one by one: floors, draws, the random basis, and what is shown meanwhile."""

import numpy as np
import pytest

from reports.check import check, measure
from reports.check.data import samples
from reports.check.estimates import Weights
from reports.check.moments import data_moment
from reports.check.needed import filters_needed
from reports.check.orientation import orientation_needed
from reports.check.random_basis import random_basis_energies
from reports.check.turns import filters_pvalue, isotropic_turns
from reports.check.verdict import Evidence, verdict_on
from reports.check.weights import filters
from tests.reports.check.test_judge import BY_M, FALLING, X, layer, trainings
from theory.eigenspaces import eigenspaces
from theory.errors import InvalidInput
from theory.misalignment import null_floor
from theory.symmetry import SymmetryGroup
from theory.testing import random_basis_test, randomization_test


def test_noise_alone_has_a_floor_from_one_vector_more_than_dimensions_on():
    assert check(layer(FALLING, 6), X).null_floor is None
    assert check(layer(FALLING, 7), X).null_floor == null_floor([1] * 6, 7).value


def test_m_of_a_random_basis_is_its_median_less_noise():
    """(M² + d) d / (floor + d) − d of the median M, as for the interval that is compared with it."""
    w = layer(FALLING, 60)
    found = check(w, X, seed=2)
    test = random_basis_test(eigenspaces(X.T @ X / len(X)), w.T @ w / 60, draws=999, seed=2)
    median = np.median(test.null_distribution)
    assert found.random_basis.median == pytest.approx(median, rel=1e-6)
    expected = (median**2 + 6) * 6 / (found.null_floor + 6) - 6
    assert found.random_basis.without_noise == pytest.approx(np.sqrt(expected), rel=1e-6)
    assert (found.random_basis.pvalue, found.random_basis.effect) == pytest.approx((test.pvalue, test.effect))


def test_the_energy_of_a_random_basis_is_compared_as_a_share():
    w = layer(FALLING, 3)
    found = check(w, X, seed=2).random_basis
    ((observed, null),) = random_basis_energies(eigenspaces(X.T @ X / len(X)), [w], draws=999, seed=2)
    assert (found.median, found.effect) == pytest.approx((np.median(null), 1 - observed / np.median(null)))


@pytest.mark.parametrize("shown", [False, True])
def test_arrays_are_read_without_a_progress_bar(shown, monkeypatch, tmp_path):
    asked, read = [], measure.data_moment
    monkeypatch.setattr(measure, "data_moment", lambda *a, progress, **k: asked.append(progress) or read(*a, **k))
    w, rows = layer(FALLING, 3), X[:20]
    for name, array in (("w", w), ("x", rows)):
        np.save(tmp_path / f"{name}.npy", array)
    check(w, rows)
    measure.check_files([str(tmp_path / "w.npy")], str(tmp_path / "x.npy"), progress=shown)
    measure.check_files([str(tmp_path / "w.npy")], str(tmp_path / "x.npy"))
    assert asked == [False, shown, False]


def test_draws_fall_with_the_cube_of_the_dimension():
    """999 up to 256 dimensions, 620 at 300."""
    rng = np.random.default_rng(0)
    found = check(rng.standard_normal((3, 300)), rng.standard_normal((310, 300)))
    assert any(text.startswith("620 draws per test") for text in found.warnings)
    assert found.random_basis.pvalue * 621 == pytest.approx(round(found.random_basis.pvalue * 621))


def test_isotropy_is_tested_by_turns_of_one_networks_filters_and_by_all_rotations_of_several():
    w, several = layer(np.eye(6) + FALLING, 30), trainings(np.eye(6) + FALLING, 4, 9)
    assert check(w, X, seed=5).isotropic == filters_pvalue(isotropic_turns(6), w, draws=999, seed=5)
    moments = np.stack([each.T @ each / 9 for each in several])
    group = SymmetryGroup(np.eye(6), 0, (6,))
    assert check(several, X, seed=5).isotropic == randomization_test(moments, group, draws=999, seed=5).pvalue


def test_the_number_needed_is_the_smaller_of_both_that_is_more_than_there_are():
    rng, smaller = np.random.default_rng(1), set()
    for count in (4, 8, 30, 60):
        w = rng.standard_normal((count, 6)) * np.exp(np.linspace(0.3, -0.3, 6))
        found, weights = check(w, X), Weights.of([filters(w)], np.ones(6, dtype=bool))
        spaces = data_moment(samples(X, filters(w))).eigenspaces()
        numbers = (orientation_needed(spaces, weights), filters_needed(spaces, weights, found.isotropic > 0.01))
        more = [number for number in numbers if number is not None and number > count]
        assert found.needed == (min(more, default=None) if found.verdict == "undecided" else None)
        smaller.add(None if found.needed is None else numbers.index(found.needed))
    assert smaller >= {0, 1}


def test_joined_eigenvalues_are_the_ends_and_the_number_of_a_group():
    """Equal ones that are known to be equal are no group."""
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((2000, 4)) * np.sqrt([1.0, 1.02, 8.0, 16.0])
    values = np.linalg.eigvalsh(rows.T @ rows / 2000)
    assert check(rng.standard_normal((9, 4)), rows).joined == ((*(pytest.approx(v) for v in values[:2]), 2),)
    cube = np.tile(np.vstack([np.eye(4), -np.eye(4)]) * [1, 1, 2, 3], (64, 1))  # one in each group
    assert check(rng.standard_normal((9, 4)), cube).joined == ()


def test_four_of_the_shapes_that_differ_are_named():
    w = layer(FALLING, 9)
    with pytest.raises(InvalidInput, match="must have the same shape") as found:
        check([w[:count] for count in (3, 4, 5, 6, 7)], X)
    assert found.value.value == "(3, 6), (4, 6), (5, 6), (6, 6)"
    with pytest.raises(InvalidInput, match="numbers 2 and 4': are the same"):
        check([w[:3], w[3:6], w[6:], w[3:6]], X)


@pytest.mark.parametrize("ridge", [0.0, 1e-3, 1.0, -1e-3])
def test_a_ridge_makes_fewer_filters_than_dimensions_invertible(ridge):
    w = layer(FALLING, 4)
    if not 0 <= ridge < 1:
        with pytest.raises(InvalidInput, match=r"must lie in \[0, 1\)"):
            check(w, X, ridge=ridge)
        return
    found = check(w, X, ridge=ridge)
    assert (found.misalignment is None) == (ridge == 0)
    assert found.random_basis.quantity == ("misalignment" if ridge else "energy")


IMAGES = np.random.default_rng(3).standard_normal((60, 4, 7, 6)).cumsum(axis=3) + 0.3
PLAIN = np.random.default_rng(4).standard_normal((10, 2, 2, 3))
OTHER = {"transposed": True, "group": (2, 2), "dilation": 2, "channels_last": True, "center": True, "seed": 3}


@pytest.mark.parametrize("options", [{}, OTHER])
def test_every_option_of_a_check_is_that_of_its_patches(tmp_path, options):
    """A check applies its options to the patches; by default none is set.

    The others are filters stored inputs first, the second group of two, dilation, channels last, and centring. The
    trace of the data's moment is that of the patches, one by one, and files give the numbers of arrays.
    """
    by, images = options.get("dilation", 1), IMAGES[:, 2:] if options else IMAGES[:, :2]
    rows = np.array(
        [
            images[n, :, i : i + by + 1 : by, j : j + 2 * by + 1 : by].ravel()
            for n in range(60)
            for i in range(7 - by)
            for j in range(6 - 2 * by)
        ]
    )
    w, x = (PLAIN.transpose(2, 3, 1, 0), IMAGES.transpose(0, 2, 3, 1)) if options else (PLAIN, IMAGES[:, :2])
    np.save(tmp_path / "w.npy", w)
    np.save(tmp_path / "x.npy", x)
    found = check(w, x, **options)
    filed = measure.check_files([str(tmp_path / "w.npy")], str(tmp_path / "x.npy"), **options)
    assert (found.vectors, found.filters, found.dimension) == (len(rows), 5 if options else 10, 12)
    f = found.transfer_function
    centred = rows - rows.mean(axis=0) if options else rows
    assert f.multiplicity @ f.sigma**2 == pytest.approx(np.sum(centred**2) / len(rows))
    assert f.multiplicity @ f.f**2 == pytest.approx(np.sum(PLAIN[5 if options else 0 :] ** 2) / found.filters)
    assert (found.mean is None) == bool(options)
    for name in ("isotropic", "aligned", "random_basis", "orientation"):
        assert getattr(found, name) == getattr(filed, name)
    assert found.random_basis.median != check(w, x, **{**options, "seed": 1}).random_basis.median


def test_options_of_models_are_refused_for_one_layer():
    with pytest.raises(InvalidInput, match=r"layers.*is for whole models, not for the weights of one layer"):
        check(layer(FALLING, 9), X, layers=["a"])
    with pytest.raises(InvalidInput, match="at least one network is needed"):
        check([], X)
    with pytest.raises(InvalidInput, match="at least one network is needed"):
        measure.check_files([], "x.npy")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "The weights are closer to alignment than random bases (p = 0.001): "),
        ({}, "Exact alignment is not rejected (p = 0.5)."),
        ({"oriented": 0.01}, "are closer to alignment"),
        ({"oriented": 0.011, "effect": None, "turned": 0.011}, "are not closer to alignment"),
        ({"aligned": 0.01}, "Exact alignment is rejected"),
        ({"aligned": 0.011}, "Exact alignment is not rejected"),
        ({"interval": (0.5, np.inf)}, "M is at least 0.5, with no upper bound, and 4 for a random basis"),
        ({"interval": (0.5, 1.9)}, "M is 0.5 to 1.9, and 4 for a random basis"),
        ({"isotropic": 0.011}, "isotropic ones (p = 0.011)"),
        ({"rank": 4, "interval": (0.5, 3.0)}, "M is not defined for weights of rank 4 in 5 dimensions"),
        ({"interval": (0.5, 3.0), "effect": (0.2, 0.7)}, "orientation is 0.2 to 0.7, where 1 is alignment and 0 a"),
        ({"interval": (0.5, 3.0), "effect": (0.2, 0.7)}, "which is not conclusive"),
    ],
)
def test_the_verdict_in_words(changes, words):
    assert words in verdict_on(Evidence(**{**BY_M, **changes})).explanation
