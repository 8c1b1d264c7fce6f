"""Claims C1 to C4: what is read of an experiment, the rules that judge it, and that each of them can say no."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

import simulate.transfer
from reports.claims.claim import Context, Outcome
from reports.claims.transfer import c1_positive, c2_covariance, c3_specialisation, c4_scale, digits, tangent_gains
from reports.claims.transfer.digits import LAYER, NEW_OUTPUT, Digits, Effects, case, effects, sign_verdict, simultaneous
from reports.claims.transfer.map_signs import MappedEffects
from reports.experiment_file import load
from reports.typesetting.figures import render
from theory.errors import InvalidInput
from theory.setting import Experiment
from theory.testing import MeanRatio, PairedMean, paired_mean

QUICK = Context(seed=999)
CLAIMS = (c1_positive.CLAIM, c2_covariance.CLAIM, c3_specialisation.CLAIM, c4_scale.CLAIM)
CASES = {claim.id: claim.cases(QUICK) for claim in CLAIMS}
TINY = Digits(0.5, hidden=(12, 6), rows=40, batch=20, limit=2, until=False)


def made(gains: dict[str, float], *, noise: float = 0.01, replicas: int = 12, active: float = 0.3) -> Effects:
    """Effects of given mean gains over scratch, with replicas that scatter."""
    generator = np.random.default_rng(3)
    base = 0.6 + noise * generator.standard_normal(replicas)
    accuracy = np.stack([base, *(base + gain + noise * generator.standard_normal(replicas) for gain in gains.values())])
    shares = np.full((len(accuracy), replicas, 2, 2), 0.5) + 0.01 * generator.standard_normal((replicas, 1, 1))
    shares[1:] += active - 0.5
    return Effects(
        treatments=("scratch", *gains),
        steps=np.array([0, 6]),
        curves=np.repeat(accuracy[:, :, None], 2, axis=2),
        accuracy=accuracy,
        active=shares,
        upstream_accuracy=np.ones(replicas),
        upstream_steps=np.full(replicas, 10),
        fitted=replicas,
        replicas=replicas,
        diverged=0,
    )


PLAIN = made({"pretrained": 0.1, "rescaled": 0.05})
ALL = made({"pretrained": 0.2, "rescaled": 0.1, NEW_OUTPUT: 0.15, LAYER: 0.1, "first-layers 1": 0.12,
            "covariance": 0.09, "recursive": 0.12, "spectrum": 0.0, "eigenvectors": 0.01})  # fmt: skip


def verdicts(claim, number: int, measured) -> list[str]:
    case = CASES[claim.id][number]
    return [finding.verdict for finding in claim.decide(case, claim.predict(case), measured)]


@pytest.mark.parametrize(
    ("low", "high", "diverged", "positive", "negative"),
    [
        (0.1, 0.3, 0, "holds", "refuted"),
        (-0.3, -0.1, 0, "refuted", "holds"),
        (-0.1, 0.3, 0, "undecided", "undecided"),
        (0.1, 0.3, 1, "undecided", "refuted"),
    ],
)
def test_a_sign_is_judged_by_the_whole_interval(low, high, diverged, positive, negative):
    found = PairedMean((low + high) / 2, 0.1, low, high, 0.5, 9)
    assert sign_verdict(found, "positive", diverged) == positive
    assert sign_verdict(found, "negative", diverged) == negative


@pytest.mark.parametrize(
    ("share", "verdict"),
    [
        (MeanRatio(0.9, 0.6, 1.2), "holds"),
        (MeanRatio(0.2, -0.1, 0.4), "refuted"),
        (MeanRatio(0.6, 0.3, 0.9), "undecided"),
        (None, "undecided"),
    ],
)
def test_a_share_is_judged_by_fiellers_interval(share, verdict):
    assert c2_covariance.share_verdict(share, 0) == verdict


@pytest.mark.parametrize(
    ("predicted", "seen", "verdict"),
    [(1, 1, "holds"), (-1, -1, "holds"), (1, -1, "refuted"), (1, 0, "undecided"), (0, -1, "undecided")],
)
def test_signs_of_kernels_and_networks_must_agree(predicted, seen, verdict):
    def interval(sign):
        return PairedMean(sign, 0.1, sign - 0.5, sign + 0.5, 0.0, 9)

    assert c3_specialisation.same_sign(interval(predicted), interval(seen)) == verdict


def test_intervals_are_simultaneous():
    assert simultaneous(1) == 0.95
    assert 3 * (1 - simultaneous(3)) == pytest.approx(0.05)


def test_effects_are_those_of_the_replicas():
    """Against plain loops: the area under the accuracy, the paired difference, active shares at the switch."""
    result = simulate.transfer.run(TINY.experiment(3, seed=4))
    found = effects(result)
    assert found.treatments == digits.PLAIN
    for name in found.treatments:
        curves = result[name].curves
        for replica in range(3):
            area = 0.0
            for k in range(len(curves.steps) - 1):
                width = curves.steps[k + 1] - curves.steps[k]
                area += width * (curves.train_accuracy[replica, k] + curves.train_accuracy[replica, k + 1]) / 2
            assert found.of(name)[replica] == pytest.approx(area / curves.steps[-1], rel=1e-12)
        np.testing.assert_array_equal(found.active_at_switch(name), result[name].layers.active[:, 0])
    gain = found.difference("pretrained")
    assert gain.mean == pytest.approx(np.mean(found.of("pretrained") - found.of("scratch")))
    assert (found.replicas, found.diverged, found.fitted) == (3, 0, 0)


def test_upstream_and_downstream_halve_the_digits():
    experiment = digits.SMALL_INIT.experiment(2, 0)
    assert experiment.upstream.network.layer_variances == (0.5,) * 3
    assert experiment.rows == 2 * 898 <= 1797
    assert experiment.downstream.training.readings == tuple(14 * epoch for epoch in range(7))
    twenty = c1_positive.NEW_LABELS.experiment(2, 0).downstream.training.readings
    assert (twenty[0], twenty[-1]) == (0, 20 * (300 // 32))


def test_claims_share_what_they_run(monkeypatch):
    assert CASES["C1"][0] == CASES["C2"][0] == CASES["C4"][0]
    assert CASES["C1"][1] == CASES["C4"][1]
    runs = []

    def run(experiment: Experiment, **options):
        runs.append(experiment)
        return real(experiment, **options)

    real = simulate.transfer.run
    monkeypatch.setattr(simulate.transfer, "run", run)
    digits._effects.cache_clear()
    tiny = case("tiny", TINY.experiment(2, seed=5))
    one, two = (digits.measure_effects(tiny, QUICK) for _ in range(2))
    assert len(runs) == 1
    np.testing.assert_array_equal(one.accuracy, two.accuracy)
    digits._effects.cache_clear()


@pytest.mark.parametrize(
    ("file", "claim", "name"),
    [
        ("transfer_colours", "C2", "filters on photographs, new random labels"),
        ("transfer_specialised", "C3", c3_specialisation.Point().name),
    ],
)
def test_examples_are_cases_of_claims(file, claim, name):
    """But for replicas and seed, so that one command reproduces a case."""
    example = load(Path(__file__).parent.parent / f"reports/examples/{file}.toml")
    (judged,) = (case.experiment for case in CASES[claim] if case.name == name)
    assert msgspec.structs.replace(judged, ensemble=example.ensemble) == example


def test_the_reverse_of_a_gain_is_refuted():
    assert verdicts(c1_positive.CLAIM, 0, PLAIN) == ["holds"] * 2
    assert verdicts(c1_positive.CLAIM, 0, made({"pretrained": -0.1, "rescaled": -0.05})) == ["refuted"] * 2
    assert verdicts(c1_positive.CLAIM, 0, made({"pretrained": 0.001, "rescaled": 0.0})) == ["undecided"] * 2
    assert verdicts(c4_scale.CLAIM, 0, ALL) == ["holds"] * 3
    assert verdicts(c4_scale.CLAIM, 1, ALL) == ["refuted", "holds", "holds"]  # negative is predicted of the first
    assert verdicts(c4_scale.CLAIM, 2, ALL) == ["refuted", "refuted", "holds"]


def test_a_layer_drawn_in_a_random_basis_would_not_do():
    assert verdicts(c2_covariance.CLAIM, 0, ALL) == ["holds"] * 4
    swapped = tuple({"covariance": "spectrum", "spectrum": "covariance"}.get(name, name) for name in ALL.treatments)
    share, basis, whitened, _ = verdicts(c2_covariance.CLAIM, 0, replace(ALL, treatments=swapped))
    assert (share, basis) == ("refuted", "refuted")
    assert whitened != "holds"


def test_no_share_is_given_of_a_layer_that_may_gain_nothing():
    silent = made({LAYER: 0.0, "covariance": 0.1, "spectrum": 0.0}, noise=0.05)
    (share, *_) = c2_covariance.decide(CASES["C2"][1], "most of the gain", silent)
    assert share.verdict == "undecided"
    assert isinstance(share.measurement, str)
    assert share.interval is None


def test_points_are_few_first_and_never_twice():
    few, many = (c3_specialisation.points(grid) for grid in (c3_specialisation.SMALL, c3_specialisation.LARGE))
    assert many[: len(few)] == few
    assert len(set(many)) == len(many)
    wanted = {point for row in (*c3_specialisation.LARGE.scale, *c3_specialisation.LARGE.length) for point in row}
    assert wanted <= set(many)


def points_of(gain_of) -> tuple[Outcome, ...]:
    """Outcomes of C3's quick points, whose gains are a function of the point; by kernels they are less by 1."""
    found, cases = [], {case.name: case for case in CASES["C3"]}
    for point in c3_specialisation.points(c3_specialisation.SMALL):
        this = cases[point.name]
        gain = gain_of(point)
        measured = made({"pretrained": gain, "rescaled": gain})
        found.append(Outcome(this, "", MappedEffects(**vars(measured), predicted=np.full(3, gain - 1)), ()))
    return tuple(found)


def test_specialised_layers_are_judged_by_gain_and_active_units():
    line = {case.name: number for number, case in enumerate(CASES["C3"])}
    narrow, wide = (line[c3_specialisation.Point(width=width).name] for width in (32, 256))
    hurt = made({"pretrained": -0.1, "rescaled": -0.1})
    assert verdicts(c3_specialisation.CLAIM, narrow, hurt) == ["holds", "holds"]
    assert verdicts(c3_specialisation.CLAIM, narrow, replace(PLAIN, active=1 - PLAIN.active)) == ["refuted"] * 2
    assert verdicts(c3_specialisation.CLAIM, wide, PLAIN) == ["holds"]
    assert verdicts(c3_specialisation.CLAIM, wide, hurt) == ["refuted"]
    assert verdicts(c3_specialisation.CLAIM, line[c3_specialisation.Point(factor=0.5).name], PLAIN) == []


def test_maps_show_every_point_in_its_place():
    def gain(point: c3_specialisation.Point) -> float:
        return 0.1 * point.factor + 0.01 * point.width + 10 * point.rate + 0.02 * point.epochs

    outcomes = points_of(gain)
    (table,), (switch, maps) = c3_specialisation.illustrate(outcomes)
    assert len(table.rows) == len(outcomes)
    grid = c3_specialisation.SMALL
    for panel, rows in zip(maps.panels, (grid.scale, grid.length), strict=True):
        for i, row in enumerate(rows):
            for j, point in enumerate(row):
                expected = next(o for o in outcomes if o.case.name == point.name).measurement.difference("pretrained")
                assert panel.pictures[0].values[i, j] == expected.mean
                marks = panel.pictures[0].marks
                assert marks is not None
                assert marks[i, j] == pytest.approx(gain(point) - 1)
    assert len({*maps.panels[1].pictures[0].values.ravel()}) == 4
    assert switch.panels[0].series[1].y[1] == pytest.approx(maps.panels[0].pictures[0].values[1, 1])  # both width 32
    assert render(maps).svg
    (finding,) = c3_specialisation.CLAIM.conclude(outcomes)
    positive = sum(gain(point) > 1 for point in c3_specialisation.points(grid))
    assert 0 < positive < len(outcomes)
    assert finding.measurement == positive / len(outcomes)  # all gains are surely positive


def test_claims_are_illustrated():
    for claim, measured in ((c1_positive.CLAIM, PLAIN), (c2_covariance.CLAIM, ALL), (c4_scale.CLAIM, ALL)):
        outcomes = tuple(Outcome(case, claim.predict(case), measured, ()) for case in CASES[claim.id])
        tables, (figure,) = claim.illustrate(outcomes)
        gain = measured.difference("pretrained")
        assert any(row[3] == (gain.mean, gain.standard_error) for row in tables[0].rows)
        assert all(np.isfinite(series.y).all() for panel in figure.panels for series in panel.series)


def kernel_experiment(factor: float = 0.5) -> Experiment:
    built = tangent_gains.experiment(TINY.experiment(1, 0).upstream, factor, replicas=3, seed=6)
    training = msgspec.structs.replace(built.downstream.training, steps=(0, 4), learning_rate=1e-3)
    return msgspec.structs.replace(built, downstream=msgspec.structs.replace(built.downstream, training=training))


def test_tangent_gains_are_those_of_networks_that_hardly_move():
    """Four small steps: predictions are near what happens, exact at the start, and differ between replicas."""
    found = tangent_gains.tangent_gains(kernel_experiment())
    assert found.steps == (0, 4)
    np.testing.assert_allclose(found.predicted[:, 0], found.measured[:, 0], atol=1e-5)
    motion = found.measured[:, 1] - found.measured[:, 0]
    np.testing.assert_allclose(found.predicted[:, 1] - found.predicted[:, 0], motion, atol=0.02 * np.abs(motion).max())
    assert np.ptp(motion) > 0.1 * np.abs(motion).max()


def test_the_sign_of_the_wrong_kernel_is_refuted():
    case = CASES["C3"][0]
    gains = np.array([[0.0, 0.3, 0.2]]) + 0.01 * np.random.default_rng(0).standard_normal((6, 3))
    right = tangent_gains.TangentGains((0, 5, 20), gains, gains + 0.01)
    assert [finding.verdict for finding in c3_specialisation.decide(case, "", right)] == ["holds", "holds"]
    wrong = replace(right, predicted=-gains)
    assert [finding.verdict for finding in c3_specialisation.decide(case, "", wrong)] == ["refuted", "refuted"]
    assert paired_mean(gains[:, 1]).low > 0


def test_a_network_that_diverges_is_named():
    built = kernel_experiment()
    training = msgspec.structs.replace(built.downstream.training, learning_rate=1e6, steps=(0, 30))
    wild = msgspec.structs.replace(built, downstream=msgspec.structs.replace(built.downstream, training=training))
    with pytest.raises(InvalidInput, match=r"training\.learning_rate = 1000000\.0: .*diverge"):
        tangent_gains.tangent_gains(wild)
