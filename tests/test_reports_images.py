"""Claims about filters, eigenvectors and deeper layers: their counts against enumeration, and that they can say no."""

from dataclasses import replace
from fractions import Fraction
from math import comb

import msgspec
import numpy as np
import pytest
import torch

import simulate
from reports.campaign import judge
from reports.claims.alignment import a6_convolutions, a7_eigenvectors, b4_deeper
from reports.claims.alignment.orientation import (
    DRAWS,
    RATE,
    binomial_tail,
    detectable_rate,
    mean_and_half,
    nearer_finding,
    needed,
    orientation,
    orientation_rows,
    rate_finding,
)
from reports.claims.claim import Case, Context
from reports.claims.shape import b3_images
from simulate.datasets import load
from simulate.results import SimulatedReading
from theory.eigenspaces import eigenspaces, transfer_function
from theory.errors import InvalidInput
from theory.misalignment import misalignment_squared, null_floor

QUICK = Context(seed=5)
KEYS = {"claim": "A6", "case": "", "replicas": 6, "diverged": 0}


def with_training(case: Case, replicas: int, **training) -> Case:
    """The case with fewer replicas and another training."""
    setting = case.setting
    changed = msgspec.structs.replace(
        setting,
        training=msgspec.structs.replace(setting.training, **training),
        ensemble=msgspec.structs.replace(setting.ensemble, replicas=replicas),
    )
    return replace(case, setting=changed)


def turned(matrices: np.ndarray, seed: int = 0) -> np.ndarray:
    """The matrices in another orthonormal basis, the same for all."""
    d = matrices.shape[-1]
    basis = np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]
    return basis @ matrices @ basis.T


@pytest.mark.parametrize("networks", [3, 6, 12, 200])
def test_counts_are_binomial(networks):
    """Against exact rationals: the chance of a count, the least count that decides, the rate that it would find."""

    def tail(count: int, rate: Fraction) -> Fraction:
        terms = (comb(networks, k) * rate**k * (1 - rate) ** (networks - k) for k in range(count, networks + 1))
        return sum(terms, Fraction(0))

    for count in (0, 1, 3):
        assert binomial_tail(count, networks) == pytest.approx(float(tail(count, Fraction(1, 100))), rel=1e-9)
    least = needed(networks)
    if networks == 3:
        assert least is None
        assert detectable_rate(networks) is None
        return
    assert tail(least, Fraction(1, 100)) < Fraction(1, 10**6) <= tail(least - 1, Fraction(1, 100))
    assert float(tail(least, Fraction(detectable_rate(networks)))) == pytest.approx(0.9, rel=1e-9)


def test_the_rate_is_one_that_ranks_attain():
    assert abs(RATE * (DRAWS + 1) - 2) < 1e-12


def test_weights_that_know_nothing_of_the_data_are_called_at_the_rate():
    """400 networks of isotropic weights: at most 17 are called nearer but with probability 3e-7."""
    spaces = eigenspaces(np.diag([1.0, 2.0, 3.0, 4.0]))
    w = np.random.default_rng(1).standard_normal((400, 20, 4))
    found = orientation((0,), [[(spaces, m) for m in w.mT @ w / 20]], 20, seed=3)
    assert binomial_tail(18, 400) < 1e-6
    assert found.nearer[0] <= 17
    assert rate_finding(found, **KEYS).verdict == "holds"
    always = replace(found, pvalues=np.where(np.arange(400) < 40, 0.005, found.pvalues))
    assert rate_finding(always, **KEYS).verdict == "refuted"
    with pytest.raises(InvalidInput, match="networks = 1: at least two"):
        orientation((0,), [[(spaces, np.eye(4))]], 20, seed=3)
    few = replace(found, pvalues=np.ones((1, 20)), squared=found.squared[:, :20])
    assert rate_finding(few, **KEYS).verdict == "undecided"


def test_orientation_is_misalignment_network_by_network():
    spaces = eigenspaces(np.diag([1.0, 2.0, 3.0, 4.0, 5.0]))
    w = np.random.default_rng(2).standard_normal((8, 30, 5)) * [1.0, 3.0, 9.0, 2.0, 5.0]
    moments = w.mT @ w / 30
    both = [[(spaces, m) for m in moments], [(spaces, m) for m in turned(moments)]]
    found = orientation((0, 7), both, 30, seed=0)
    for t, matrices in enumerate((moments, turned(moments))):
        np.testing.assert_allclose(found.squared[t], misalignment_squared(spaces, matrices), rtol=1e-10)
    assert found.floor == null_floor([1] * 5, 30).value
    # Aligned weights are called nearer, the same in another basis are not, which nobody could tell from their spectra.
    assert found.nearer[0] == 8
    assert found.nearer[1] < needed(8)
    assert nearer_finding(replace(found, pvalues=found.pvalues[::-1]), **KEYS).verdict == "holds"
    assert nearer_finding(found, **KEYS).verdict == "undecided"
    assert nearer_finding(replace(found, pvalues=found.pvalues[::-1]), **{**KEYS, "diverged": 1}).verdict == "undecided"
    row = orientation_rows("case", found)[0]
    assert row[4] == pytest.approx(np.sqrt(found.squared[0]).mean())
    assert row[5] == pytest.approx(np.mean(1 - np.sqrt(found.squared[0] / found.random[0])))


def test_an_interval_by_students_t():
    mean, half = mean_and_half(np.array([1.0, 2.0, 3.0, 4.0]))
    assert (mean, half) == (2.5, pytest.approx(3.182446305 * (5 / 3) ** 0.5 / 2))


@pytest.fixture(scope="module")
def filters(tmp_path_factory):
    """A6's first case trained for eight epochs, kept in a store."""
    context = replace(QUICK, store=tmp_path_factory.mktemp("store"))
    case = with_training(a6_convolutions.cases(QUICK)[0], 5, steps=(0, 64))
    return case, a6_convolutions.measure(case, context), context


def test_filters_are_measured_network_by_network(filters):
    case, measured, _ = filters
    inputs = simulate.replica_inputs(case.setting, [4]).to(torch.device("cpu"), torch.float32)
    w = simulate.train(case.setting, inputs)[64][0][0].double().numpy()
    spaces = eigenspaces(simulate.population(case.setting).second_moment, gap=1e-9)
    assert w.shape == (96, 27)
    assert measured.orientation.squared[1, 4] == pytest.approx(misalignment_squared(spaces, w.T @ w / 96), rel=1e-3)
    assert [finding.verdict for finding in a6_convolutions.decide(case, "", measured)] == [
        "outside the hypotheses",
        "holds",
    ]


def test_filters_in_another_basis_are_not_called_nearer(filters):
    case, _, context = filters
    simulation = context.run(case.setting)
    spaces = eigenspaces(simulation.data_moment, gap=1e-9)
    moments = turned(simulation.readings[-1].second_moments)
    found = orientation((64,), [[(spaces, m) for m in moments]], 96, seed=1)
    assert nearer_finding(found, **KEYS).verdict == "undecided"


def reading_of(spectrum: np.ndarray, networks: int = 40, width: int = 50) -> SimulatedReading:
    """Gaussian weights with these variances along the axes."""
    w = np.random.default_rng(4).standard_normal((networks, width, len(spectrum))) * np.sqrt(spectrum)
    zeros = np.zeros(networks)
    return SimulatedReading(1, np.ones(networks, int), w.mT @ w / width, np.zeros((networks, len(spectrum))), zeros)


def test_data_eigenspaces_are_added_together():
    data = eigenspaces(np.diag([1.0, 2.0, 3.0, 4.0, 5.0]))
    generator = np.random.default_rng(0)
    found = a7_eigenvectors.match(data, reading_of(np.array([7.0, 4.0, 7.0, 1.0, 1.0])), generator)
    assert found.weights.multiplicity == (2, 1, 2)
    assert found.sums == ((3, 4), (1,), (0, 2))
    assert found.placed == 5
    assert found.best > 0.99 > found.random.max()
    assert [a7_eigenvectors.names(data, chosen) for chosen in found.sums] == ["1 + 2", "4", "3 + 5"]
    apart = a7_eigenvectors.match(eigenspaces(turned(data.matrix)), reading_of(np.array([9.0, 5, 3, 2, 1])), generator)
    assert apart.placed < 5
    assert apart.best < apart.random.max()


def test_isotropic_weights_say_nothing_of_eigenvectors():
    """One weight eigenspace holds every data eigenspace, and every random one."""
    found = a7_eigenvectors.match(
        eigenspaces(np.diag([1.0, 2.0, 3.0])), reading_of(np.ones(3)), np.random.default_rng(0)
    )
    assert found.weights.multiplicity == (3,)
    assert found.best == pytest.approx(1)
    np.testing.assert_allclose(found.random, 1)


def test_names_and_pictures_of_eigenspaces():
    data = eigenspaces(np.diag(np.arange(1.0, 76.0)))
    assert a7_eigenvectors.names(data, ()) == "none"
    assert a7_eigenvectors.names(data, (74,)) == "1"
    assert a7_eigenvectors.names(data, (74, 70, 69, 68, 66)) == "1, 5 to 7, 9"
    found = a7_eigenvectors.match(data, reading_of(np.r_[np.ones(73), 4.0, 8.0]), np.random.default_rng(0))
    figure = a7_eigenvectors.pictures(data, found)
    above, below = (panel.pictures for panel in figure.panels)
    assert [picture.label for picture in below[:3]] == ["1", "2", "3 to 75"]
    assert above[0].values.shape == (5, 17)
    # The leading weight eigenvector is the data's, but for noise: the last of 75 coordinates, bottom right in blue.
    assert abs(below[0].values[4, 16]) == pytest.approx(1)
    assert below[0].values[4, 16] * above[0].values[4, 16] > 0.9
    assert np.isnan(above[0].values[:, [5, 11]]).all()


def test_f_on_images_is_the_transfer_function_of_each_network():
    case = with_training(b3_images.cases(QUICK)[2], 4, steps=(0, 8, 16, 24, 40))
    measured = b3_images.measure(case, QUICK)
    simulation = simulate.run(case.setting)
    spaces = eigenspaces(simulation.data_moment, gap=1e-9)
    for t, reading in enumerate(simulation.readings):
        np.testing.assert_allclose(measured.f[t], transfer_function(spaces, reading.second_moments), rtol=1e-12)
    middle = np.sqrt(measured.sigma[0] * measured.sigma[-1])
    assert np.all(np.abs(np.log(measured.sigma / middle)) >= abs(np.log(measured.sigma[measured.middle] / middle)))
    assert b3_images.decide(case, "rises", measured)[0].verdict == "holds"


@pytest.mark.parametrize(
    ("decades", "verdicts"),
    [
        ([1.2, 1.3, 1.25], ["holds", "holds"]),
        ([0.4, 0.5, 0.6], ["holds", "refuted"]),
        ([0.8, 1.0, 1.2], ["holds", "undecided"]),
        ([-0.5, 0.0, 0.6], ["undecided", "undecided"]),
        ([-0.4, -0.5, -0.45], ["refuted", "refuted"]),
    ],
)
def test_a_rise_can_be_refuted(decades, verdicts):
    small = b3_images.cases(QUICK)[2]
    f = np.stack([np.ones((3, 3)), np.broadcast_to(10 ** np.array(decades)[:, None], (3, 3))])
    measured = b3_images.Measured(np.array([0.1, 1.0, 10.0]), f, replicas=3, diverged=0)
    findings = b3_images.decide(small, "rises", measured)
    assert [finding.verdict for finding in findings] == verdicts
    assert findings[0].interval[0] < findings[0].measurement == pytest.approx(np.mean(decades))
    assert len(b3_images.decide(b3_images.cases(QUICK)[0], "rises", measured)) == 1
    diverged = b3_images.decide(small, "rises", replace(measured, diverged=1))
    assert "holds" not in {finding.verdict for finding in diverged}


def test_activations_of_gaussian_rows():
    """In closed form against 200,000 rows: largest |z| of the 300 entries, 6.2 being passed with probability 2e-7."""
    setting = b4_deeper.cases(QUICK)[0].setting
    parameters = simulate.replica_inputs(setting, [2]).parameters
    root = np.linalg.cholesky(simulate.population(setting).second_moment)
    x = np.random.default_rng(6).standard_normal((200_000, 16)) @ root.T
    h = np.maximum(x @ parameters[0][0].numpy().T, 0)
    exact = b4_deeper.activation_moments(setting, parameters)[0]
    mean, square = h.T @ h / len(h), (h**2).T @ (h**2) / len(h)
    z = (mean - exact) / np.sqrt((square - mean**2) / len(h))
    assert np.abs(z).max() < 6.2
    # Without its activation the layer's second moment is another one.
    linear = parameters[0][0].numpy() @ root
    assert np.abs((linear @ linear.T - mean) / np.sqrt((square - mean**2) / len(h))).max() > 100


def test_activations_of_digits_are_those_of_the_whole_set():
    setting = b4_deeper.cases(QUICK)[1].setting
    parameters = simulate.replica_inputs(setting, [0, 1]).parameters
    rows = load(setting.data, real_labels=False)[0]
    found = b4_deeper.activation_moments(setting, parameters)
    for w, moment in zip(parameters[0].numpy(), found, strict=True):
        expected = np.zeros((24, 24))
        for x in rows:
            h = np.maximum(w @ x, 0)
            expected += np.outer(h, h) / len(rows)
        np.testing.assert_allclose(moment, expected, rtol=1e-10, atol=1e-12)


def test_second_layers_are_held_against_their_own_activations():
    case = with_training(b4_deeper.cases(QUICK)[0], 3, steps=(0, 5))
    measured = b4_deeper.measure(case, QUICK)
    assert measured.orientation.squared.shape == (2, 3)
    trained = simulate.train(case.setting, simulate.replica_inputs(case.setting, [0, 1, 2]))[5]
    below = b4_deeper.activation_moments(case.setting, trained)
    for r, w in enumerate(trained[1].numpy()):
        expected = misalignment_squared(eigenspaces(below[r]), w.T @ w / 256)
        assert measured.orientation.squared[1, r] == pytest.approx(expected, rel=1e-9)
    assert b4_deeper.decide(case, "", measured)[1].verdict == "undecided"


def test_networks_that_diverged_are_left_out(monkeypatch):
    case = with_training(b4_deeper.cases(QUICK)[0], 4, steps=(0, 30), learning_rate=1e6)
    with pytest.raises(InvalidInput, match="networks = 0: at least two must not diverge"):
        b4_deeper.measure(case, QUICK)
    draw = simulate.replica_inputs

    def with_a_large_one(setting, replicas):
        inputs = draw(setting, replicas)
        inputs.parameters[0][1] *= 1e200
        return inputs

    monkeypatch.setattr(simulate, "replica_inputs", with_a_large_one)
    measured = b4_deeper.measure(with_training(case, 4, learning_rate=0.05), QUICK)
    assert (measured.diverged, measured.orientation.networks) == (1, 3)
    assert b4_deeper.decide(case, "", measured)[1].verdict == "undecided"


def test_a_measurement_is_typeset(filters):
    case, measured, _ = filters
    outcome = a6_convolutions.Outcome(case, "", measured, a6_convolutions.decide(case, "", measured))
    (table,), (figure,) = a6_convolutions.illustrate((outcome,))
    assert len(table.rows) == 2
    assert [series.label for series in figure.panels[0].series] == [
        "data eigenvectors",
        "random bases",
        "sampling alone",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("claim", [a6_convolutions, a7_eigenvectors, b3_images, b4_deeper])
def test_whole_claims(claim):
    """At another seed than the report's: nothing that is judged is refuted, and the untrained are not called."""
    report = judge(claim.CLAIM, Context(seed=999))
    assert report.tables
    assert report.figures
    assert "refuted" not in {finding.verdict for finding in report.findings}
    assert all(f.verdict == "holds" for f in report.findings if f.kind == "exact")
