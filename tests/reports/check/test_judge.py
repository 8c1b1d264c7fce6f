"""The judgement: known layers get the verdict they deserve, few filters get none, and numbers are those of `theory`."""

import itertools

import numpy as np
import pytest
import torch

from reports.check import Check, alignment_metric, check, monitor
from reports.check.verdict import Evidence, by_misalignment, by_orientation, verdict_on
from reports.testing.strategies import orthogonal, spectral
from theory.eigenspaces import eigenspaces
from theory.errors import InvalidInput
from theory.misalignment import misalignment, null_floor

VARIANCES = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
BASIS = orthogonal(3, 6)
X = np.random.default_rng(0).standard_normal((20_000, 6)) * np.sqrt(VARIANCES) @ BASIS.T
FALLING = spectral(1 / VARIANCES, BASIS)
ELSEWHERE = spectral(1 / VARIANCES, orthogonal(8, 6))


def layer(covariance, vectors=400, seed=1):
    return np.random.default_rng(seed).standard_normal((vectors, len(covariance))) @ np.linalg.cholesky(covariance).T


def trainings(covariance, count=12, vectors=40):
    """Vectors of one network depend on each other: each network has a random scale of its own."""
    rng = np.random.default_rng(2)
    return [layer(covariance, vectors, int(rng.integers(2**31))) * np.exp(rng.normal(0, 0.3)) for _ in range(count)]


def test_an_aligned_layer():
    found = check(layer(FALLING), X)
    assert (found.verdict, found.shape, found.rank, found.joined) == ("aligned", "falls", 6, ())
    assert (found.aligned.method, found.aligned.turned) == ("randomization", "filters")
    assert found.aligned.pvalue > 0.01 >= found.random_basis.pvalue
    low, high = found.interval
    assert low == 0
    assert high < 0.5
    f = found.transfer_function
    np.testing.assert_allclose(f.sigma, np.sqrt(VARIANCES), rtol=0.05)
    np.testing.assert_allclose(f.f, 1 / np.sqrt(VARIANCES), rtol=0.2)
    assert np.all((f.low < f.f) & (f.f < f.high))
    assert "one network" in found.warnings[0]


def test_a_layer_with_a_basis_of_its_own():
    found = check(layer(ELSEWHERE), X)
    assert found.verdict == "not aligned"
    assert found.aligned.pvalue <= 0.01 < found.random_basis.pvalue
    assert found.interval[0] > found.random_basis.without_noise / 2


def test_an_isotropic_layer_says_nothing():
    found = check(layer(np.eye(6)), X)
    assert found.verdict == "undecided"
    assert "isotropic" in found.explanation
    assert found.isotropic > 0.01


@pytest.mark.parametrize(("covariance", "verdict"), [(FALLING, "aligned"), (ELSEWHERE, "not aligned")])
def test_several_trainings(covariance, verdict):
    found = check(trainings(covariance), X)
    assert (found.verdict, found.networks, found.aligned.method) == (verdict, 12, "randomization")
    assert (found.aligned.pvalue <= 0.01) == (verdict == "not aligned")
    assert "independent trainings" in found.warnings[0]


def test_a_slight_turn_is_aligned_but_not_exactly():
    turn, _ = np.linalg.qr(np.eye(6) + 0.05 * (np.triu(np.ones((6, 6))) - np.tril(np.ones((6, 6)))))
    turn = BASIS @ turn @ BASIS.T
    found = check(trainings(turn @ FALLING @ turn.T, count=40), X)
    assert found.verdict == "aligned"
    assert "Exact alignment is rejected (p =" in found.explanation


def test_numbers_are_those_of_theory():
    w = layer(FALLING, 300)
    found = check(w, X)
    spaces = eigenspaces(X.T @ X / len(X))
    assert found.misalignment == pytest.approx(float(misalignment(spaces, w.T @ w / 300)))
    assert found.misalignment_squared == pytest.approx(found.misalignment**2)
    assert found.null_floor == null_floor([1] * 6, 300).value
    assert (found.dimension, found.filters, found.samples, found.vectors) == (6, 300, 20_000, 20_000)


def test_ten_filters_in_27_dimensions():
    rng = np.random.default_rng(0)
    images = rng.standard_normal((300, 3, 6, 6)).cumsum(axis=3)
    found = check(rng.standard_normal((10, 3, 3, 3)), images)
    assert (found.verdict, found.measure, found.rank, found.dimension) == ("undecided", "orientation", 10, 27)
    assert found.misalignment is None
    assert found.misalignment_squared is None
    assert found.interval is None
    assert found.null_floor is None
    assert found.random_basis.quantity == "energy"
    assert found.needed > 10
    assert -1 <= found.orientation.effect <= 1


ROWS60 = np.random.default_rng(0).standard_normal((5000, 60)) * 1.1 ** np.arange(60)
STEEP = np.exp(np.linspace(2, -2, 60))
MINGLED = 0.35 * np.diag(STEEP) + 0.65 * spectral(STEEP, orthogonal(4, 60))  # a fifth of the effect


@pytest.mark.parametrize(
    ("covariance", "verdict"),
    [
        (np.diag(STEEP), "aligned"),
        (MINGLED, "partly aligned"),
        (spectral(STEEP, orthogonal(4, 60)), "not aligned"),
    ],
)
def test_fewer_filters_than_dimensions_have_a_verdict(covariance, verdict):
    found = check(layer(covariance, 50), ROWS60)
    assert (found.verdict, found.measure, found.rank) == (verdict, "orientation", 50)
    assert (found.orientation.verdict, found.needed) == (verdict, None)
    low, high = found.orientation.interval
    assert low <= found.orientation.effect <= high
    assert "M is not defined for weights of rank 50 in 60 dimensions; their orientation is" in found.explanation
    assert (found.orientation.pvalue <= 0.01) == (verdict != "not aligned")


def test_many_filters_that_repeat_each_other_are_singular():
    found = check(np.repeat(layer(FALLING, 3), 20, axis=0), X)
    assert (found.rank, found.misalignment, found.random_basis.quantity) == (3, None, "energy")


def test_several_singular_trainings():
    found = check(trainings(FALLING, count=3, vectors=1), X)
    assert (found.rank, found.misalignment, found.aligned.method) == (3, None, "randomization")


def test_a_ridge_is_said():
    found = check(layer(FALLING, 4), X, ridge=0.1)
    moment = layer(FALLING, 4).T @ layer(FALLING, 4) / 4
    moment = 0.9 * moment + 0.1 * np.trace(moment) / 6 * np.eye(6)
    spaces = eigenspaces(X.T @ X / len(X))
    assert found.misalignment == pytest.approx(float(misalignment(spaces, moment)))
    assert (found.rank, found.null_floor, found.interval) == (4, None, None)
    assert any("regularised by 0.1" in text for text in found.warnings)


def test_joined_eigenvalues_are_said_and_do_not_break_exact_alignment():
    """Weights that differ within two data eigenvalues too close to tell, in the true eigenvectors."""
    variances = np.array([1.0, 1.02, 8.0, 16.0])
    rows = np.random.default_rng(0).standard_normal((2000, 4)) * np.sqrt(variances)
    found = check(trainings(np.diag([1.0, 9.0, 4.0, 2.0]), count=30), rows)
    assert [m for _, _, m in found.joined] == [2]
    assert found.aligned.pvalue > 0.01
    assert any("eigenvalues (sigma²) closer than their sampling error are merged" in text for text in found.warnings)


def test_constant_coordinates_are_left_out_and_counted():
    rows = np.hstack([X, np.full((len(X), 2), 3.0)])
    w = np.hstack([layer(FALLING), np.ones((400, 2))])
    found, plain = check(w, rows), check(layer(FALLING), X)
    assert (found.dimension, found.dropped) == (6, 2)
    assert found.misalignment == pytest.approx(plain.misalignment)
    assert any("2 coordinates never vary" in text for text in found.warnings)


def test_a_mean_is_said_and_can_be_subtracted():
    found = check(layer(FALLING), X + 5)
    assert found.mean is not None
    assert any("the mean makes up" in text for text in found.warnings)
    centred = check(layer(FALLING), X + 5, center=True)
    assert centred.misalignment == pytest.approx(check(layer(FALLING), X - X.mean(axis=0)).misalignment)
    assert centred.mean is None
    assert not any("the mean makes up" in text for text in centred.warnings)


@pytest.mark.parametrize(
    ("weights", "rows", "word"),
    [
        (np.round(10 * layer(FALLING)).astype(np.int8), X, "integers"),
        (layer(FALLING) * (np.arange(400) % 2)[:, None], X, "200 of 400 weight vectors are zero"),
        (layer(np.eye(6), 6), X, "are square"),
        (layer(FALLING), X[:5], "5 data vectors in 6 dimensions"),
        (np.random.default_rng(0).standard_normal((9, 1, 2, 2)),
         np.random.default_rng(0).standard_normal((1, 1, 9, 9)), "one sample only"),
        (np.random.default_rng(0).standard_normal((3, 1, 2, 8)),
         np.random.default_rng(0).standard_normal((5, 1, 9, 9)), "filters of 2 × 8"),
    ],
)  # fmt: skip
def test_what_to_be_careful_about(weights, rows, word):
    assert any(word in text for text in check(weights, rows).warnings)


@pytest.mark.parametrize(("seed", "scale"), [(1, 1.0), (2, 0.5), (3, 7.0)])
def test_scale_and_rotation_change_nothing(seed, scale):
    """M, its interval and f/scale are those of the turned data with the turned weights."""
    turn = orthogonal(seed, 6)
    w, rows = layer(FALLING, 100), X[:500]
    one, two = check(w, rows), check(scale * w @ turn.T, rows @ turn.T)
    assert two.misalignment == pytest.approx(one.misalignment)
    assert two.interval == pytest.approx(one.interval, abs=1e-6)
    np.testing.assert_allclose(two.transfer_function.f, scale * one.transfer_function.f)


def test_one_filter_one_dimension_and_one_eigenvalue_are_no_crash():
    rng = np.random.default_rng(0)
    assert check(rng.standard_normal((1, 6)), X).verdict == "undecided"
    one = check(rng.standard_normal((9, 1)), rng.standard_normal((50, 1)))
    assert (one.verdict, one.misalignment, one.orientation.effect) == ("undecided", 0, 0)
    flat = check(layer(FALLING), np.random.default_rng(1).standard_normal((500, 6)))
    assert flat.verdict == "undecided"
    assert max(flat.transfer_function.multiplicity) >= 4
    cube = np.vstack([np.eye(6), -np.eye(6)])
    assert "prefer no direction" in check(layer(FALLING), cube).explanation


def test_tensors_and_arrays_give_the_same_and_the_seed_repeats():
    w, rows = layer(FALLING, 50), X[:300]
    a, b = check(w, rows, seed=3), check(torch.from_numpy(w), torch.from_numpy(rows), seed=3)
    assert isinstance(a, Check)
    assert a.random_basis == b.random_basis
    assert a.interval == b.interval
    assert a.explanation == b.explanation


BY_M = {
    "networks": 1, "eigenspaces": 5, "rank": 5, "dimension": 5, "reference": 4.0, "interval": (0.5, 1.9),
    "oriented": 0.001, "effect": (0.2, 0.7), "turned": 0.001, "aligned": 0.5, "isotropic": 0.001,
}  # fmt: skip
BY_EFFECT = {**BY_M, "rank": 4, "reference": None, "interval": None, "oriented": 1.0, "effect": (0.5, 0.9)}
AGAINST = {"aligned": 0.01, "interval": (2.0, 3.0)}


@pytest.mark.parametrize(
    ("base", "changes", "verdict", "measure"),
    [
        (BY_M, {}, "aligned", "misalignment"),
        (BY_M, {"interval": (0.5, 2.0)}, "aligned", "misalignment"),
        (BY_M, {"interval": (0.0, 2.1)}, "undecided", "misalignment"),
        (BY_M, {"interval": (2.1, 3.0)}, "undecided", "misalignment"),
        (BY_M, AGAINST, "partly aligned", "misalignment"),
        (BY_M, {**AGAINST, "oriented": 0.5}, "not aligned", "misalignment"),
        (BY_M, {**AGAINST, "aligned": 0.011}, "undecided", "misalignment"),
        (BY_M, {"oriented": 0.011}, "undecided", "misalignment"),
        (BY_M, {"isotropic": 0.011}, "undecided", "misalignment"),
        (BY_M, {"eigenspaces": 1}, "undecided", "misalignment"),
        (BY_M, {"interval": (0.5, np.inf)}, "undecided", "orientation"),
        (BY_M, {"reference": 0.0}, "undecided", "orientation"),
        (BY_M, {"interval": (0.5, 2.5), "effect": (0.6, 0.7)}, "aligned", "orientation"),
        (BY_M, {**AGAINST, "effect": (0.6, 0.7)}, "partly aligned", "misalignment"),
        (BY_EFFECT, {}, "aligned", "orientation"),
        (BY_EFFECT, {"effect": (0.49, 0.9)}, "undecided", "orientation"),
        (BY_EFFECT, {"effect": None}, "undecided", "orientation"),
        (BY_EFFECT, {"turned": 0.011}, "undecided", "orientation"),
        (BY_EFFECT, {"isotropic": 0.011}, "undecided", "orientation"),
        (BY_EFFECT, {"eigenspaces": 1}, "undecided", "orientation"),
        (BY_EFFECT, {"effect": (0.1, 0.5), "aligned": 0.01}, "partly aligned", "orientation"),
        (BY_EFFECT, {"effect": (0.1, 0.5), "aligned": 0.01, "turned": 0.02}, "not aligned", "orientation"),
        (BY_EFFECT, {"effect": (0.1, 0.5), "aligned": 0.02}, "undecided", "orientation"),
    ],
)
def test_the_verdict(base, changes, verdict, measure):
    evidence = Evidence(**{**base, **changes})
    found = verdict_on(evidence)
    assert (found.verdict, found.measure) == (verdict, measure)
    assert verdict in (by_misalignment(evidence), by_orientation(evidence))


def test_data_with_a_single_eigenspace_align_everything_and_decide_nothing():
    alike = Evidence(**{**BY_M, "eigenspaces": 1})
    assert (by_misalignment(alike), by_orientation(alike)) == ("undecided", "undecided")
    assert by_misalignment(Evidence(**{**BY_M, "eigenspaces": 2})) == "aligned"


def test_every_verdict_has_a_reason_in_words():
    for networks, interval, effect, oriented, aligned, isotropic in itertools.product(
        (1, 2), (None, (0, 1), (1, 3), (3, 4)), (None, (0.6, 0.9), (0.1, 0.3)), *[(0.001, 0.5)] * 3
    ):
        found = verdict_on(Evidence(networks, 3, 3, 3, 4.0, interval, oriented, effect, oriented, aligned, isotropic))
        assert found.verdict in ("aligned", "partly aligned", "not aligned", "undecided")
        assert found.explanation.endswith(".")
        assert "label" not in found.explanation  # it never guesses what the labels were


def test_an_m_that_cannot_be_measured_is_said():
    assert "M cannot be measured" in verdict_on(Evidence(**{**BY_M, "reference": 0.0})).explanation
    assert "too few weights to measure M" in verdict_on(Evidence(**{**BY_M, "interval": None})).explanation


# a number to log


def test_the_metric_is_misalignment():
    spaces = eigenspaces(np.diag([1.0, 2.0, 3.0]))
    w = np.random.default_rng(0).standard_normal((20, 3))
    want = float(misalignment(spaces, w.T @ w / 20))
    for weights in (w, torch.from_numpy(w), torch.nn.Parameter(torch.from_numpy(w))):
        assert alignment_metric(weights, spaces) == pytest.approx(want)
    assert alignment_metric(w.reshape(20, 3, 1, 1), spaces) == pytest.approx(want)
    with pytest.raises(InvalidInput, match="span less than 3 dimensions"):
        alignment_metric(w[:2], spaces)
    with pytest.raises(InvalidInput, match="as the eigenspaces are"):
        alignment_metric(w[:, :2], spaces)


def test_a_monitor_leaves_out_what_never_varies():
    rows = np.hstack([X[:500], np.zeros((500, 1))])
    w = np.hstack([layer(FALLING), np.ones((400, 1))])
    watch = monitor(w, rows)
    assert watch(w) == pytest.approx(alignment_metric(layer(FALLING), watch.spaces))
    assert watch.floor(400) == np.sqrt(null_floor(watch.spaces.multiplicity, 400, draws=20_000).value)
    with pytest.raises(InvalidInput, match="as the data are"):
        watch(w[:, :6])


def test_a_monitor_of_filters():
    images = np.random.default_rng(0).standard_normal((50, 2, 5, 5))
    w = torch.randn(30, 2, 2, 2, generator=torch.Generator().manual_seed(0))
    assert monitor(w, images)(w) == pytest.approx(check(w, images).misalignment)


def test_a_monitor_of_few_filters_is_finite():
    """A monitor gives the effect that `check` gives, for every number of filters from one on."""
    for count in (1, 2, 6):
        w = layer(FALLING, count)
        watch = monitor(w, X[:500])
        assert watch.quantity == "orientation"
        assert -1 <= watch(w) <= 1
        assert watch(w) == watch.orientation(w) == pytest.approx(check(w, X[:500]).orientation.effect)
        with pytest.raises(InvalidInput, match="M is not defined"):
            watch.misalignment(layer(FALLING, 5))
    assert monitor(layer(FALLING, 7), X[:500]).quantity == "misalignment"


@pytest.mark.parametrize("seed", [-1, 1.5, True])
def test_a_seed_is_a_natural_number(seed):
    with pytest.raises(InvalidInput, match="must be an integer that is not negative"):
        check(np.eye(3), np.eye(3), seed=seed)


def test_a_model_takes_no_options_of_one_layer():
    torch.manual_seed(0)
    model, rows = torch.nn.Linear(4, 40), torch.randn(60, 4)
    assert len(check(model, rows).layers) == 1
    for options in ({"transposed": True}, {"channels_last": True}, {"dilation": 2}, {"group": (1, 2)}):
        with pytest.raises(InvalidInput, match="are for the weights of one layer"):
            check(model, rows, **options)


@pytest.mark.parametrize(("networks", "said"), [(1, "if the vectors are independent"), (2, "is rejected (p = 0.01)")])
def test_filters_of_several_networks_are_taken_for_independent(networks, said):
    found = verdict_on(Evidence(**{**BY_M, **AGAINST, "networks": networks}))
    assert said in found.explanation
