"""The paper's three panels: its settings, f by a literal loop, a rule that can say no, and surrogates named so."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from scipy import stats

import simulate
import theory
from reports.claims.claim import BUDGETS, Context, Outcome
from reports.claims.shape import b5_panels
from reports.claims.shape.b5_panels import CLAIM, FACTORS, cases, decide, illustrate, measure
from reports.claims.shape.panel_networks import BANDS, BATCH, EPOCHS, MOMENTUM, RATE, SEEDS, Measured, read
from reports.typesetting.figures import render
from simulate.scaling import shrink
from theory.errors import NoClosedForm
from theory.linear.paper_panels import REFERENCE_SAMPLES, panel_criteria
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training
from theory.shape import FALLS, PANELS, RISES, RISES_THEN_FALLS

QUICK = Context(seed=5)
SHAPES = {FALLS: (5, 4, 3, 2, 1), RISES_THEN_FALLS: (2, 4, 3, 1, -1), RISES: (0, 3, 4, 4.6, 5)}
TINY = Setting(
    data=Data(kind="gaussian", spectrum=tuple(np.linspace(0.5, 3.0, 7).round(3)), samples=30),
    labels=Labels(kind="classes"),
    network=Network(kind="mlp", hidden=(8, 6), bias=True),
    training=Training(loss="cross-entropy", learning_rate=0.05, momentum=0.9, batch_size=10, steps=(0, 30)),
    ensemble=Ensemble(replicas=12, seed=3),
)


def planted(bands, *, noise=0.02, networks=40, b=1, reach=(), diverged=0, seed=0):
    """What an ensemble would have measured, had τ/τ_0 − 1 in the bands been `bands`/10."""
    rng = np.random.default_rng(seed)
    initial = 30**-0.5
    tau = initial**2 * (1 + np.array(bands) / 10 + noise * rng.normal(size=(networks, BANDS)))
    curves = np.sqrt([part.mean(axis=0) for part in np.array_split(tau, SEEDS)]).repeat(6, axis=1)
    return Measured(b, reach, initial, np.sqrt(np.arange(1, 31) / 10), curves, tau, networks, diverged)


def case_of(shape):
    return next(case for case in cases(QUICK) if CLAIM.predict(case) == shape)


def test_settings_are_those_of_the_paper():
    wide = [0.1 * k for k in range(1, 31)]
    table = {
        "left": ([1 + 0.1 * k for k in range(10)], (2048, 256), 10_000),
        "middle": (wide, (2048, 256), 10_000),
        "right": (wide, (256, 256), 2000),
    }
    found = cases(QUICK)
    assert len(found) == 6
    for case in found:
        diagonal, hidden, samples = table[case.name.split(",")[0]]
        power = 2 if case.name.endswith("as deviations") else 1
        setting = case.setting
        np.testing.assert_allclose(setting.data.spectrum, np.array(diagonal) ** power)
        assert (setting.network.hidden, setting.data.samples) == (hidden, samples)
        assert setting.network.layer_variances == (1.0, 1.0, 1.0)  # over the fan-in: the standard parametrization
        assert setting.network.parametrization == "standard"
        assert (setting.labels.kind, setting.outputs, setting.training.loss) == ("classes", 10, "cross-entropy")
        assert setting.training.readings[-1] * BATCH == EPOCHS * samples


@pytest.mark.parametrize("budget", BUDGETS)
def test_smaller_networks_are_named_and_left_without_verdict_out_of_reach(budget):
    context = Context(budget=budget, seed=5)
    for case in cases(context):
        panel = b5_panels.panel_of(case).name
        b = b5_panels.factor(budget, panel)
        assert (b > 1) == (budget in FACTORS)
        shrink(case.setting, b)
        outside = bool(b > 1 and b5_panels.warnings(case.setting, len(case.setting.data.eigenvalues), b))
        assert outside == (b > 1 and panel == "left")
        shape = CLAIM.predict(case)
        shown = decide(case, shape, planted(SHAPES[shape], b=b, reach=("too many rows",) if outside else ()))
        assert all(("surrogate" in finding.case) == (b > 1) for finding in shown)
        assert {finding.verdict for finding in shown[:-1]} == {"outside the hypotheses" if outside else "holds"}
        assert {finding.kind for finding in shown[:-1]} == {"outside" if outside else "asymptotic"}
        assert ("too many rows" in shown[0].note) == outside


def test_a_surrogate_that_moves_less_than_its_error_says_nothing_of_the_full_size():
    shape = CLAIM.predict(case_of(RISES))
    for b, scale, kind in ((8, 0.15, "outside"), (8, 1.0, "asymptotic"), (1, 0.15, "asymptotic")):
        found = decide(case_of(RISES), shape, planted(scale * np.array(SHAPES[RISES]), b=b, noise=1e-3))
        assert found[0].kind == kind
        assert (
            ("within the error" in found[0].note)
            == (found[0].verdict == "outside the hypotheses")
            == (kind == "outside")
        )


def test_no_closed_form_describes_these_networks():
    for case in cases(QUICK):
        for b in (1, 4, 8):
            with pytest.raises(NoClosedForm):
                theory.predict(shrink(case.setting, b))


def test_the_linear_criterion_only_falls_with_the_init_of_the_paper():
    """At the time of this training: heavy ball at rate η goes as far as descent at η/(1 − β)."""
    time = RATE / (1 - MOMENTUM) * EPOCHS * REFERENCE_SAMPLES / BATCH
    assert {found.shape for found in panel_criteria(time, init_factor=1.0)} == {FALLS}


def test_f_is_read_by_a_loop_over_networks():
    measured = read(simulate.run(TINY), 1, ())
    values, vectors = np.linalg.eigh(simulate.population(TINY).second_moment)
    tau, curves = np.zeros((12, BANDS)), np.zeros((SEEDS, 7))
    members = [range(0, 3), range(3, 6), range(6, 8), range(8, 10), range(10, 12)]
    bands = [(0, 1), (2, 3), (4,), (5,), (6,)]
    for replica in range(12):
        inputs = simulate.replica_inputs(TINY, [replica])
        before, after = (w[0].numpy() @ vectors for w in (inputs.parameters[0], simulate.train(TINY, inputs)[30][0]))
        for band, columns in enumerate(bands):
            change = [np.mean(after[:, i] ** 2) - np.mean(before[:, i] ** 2) for i in columns]
            tau[replica, band] = 1 / 7 + np.mean(change)
        seed = next(i for i, group in enumerate(members) if replica in group)
        curves[seed] += np.mean(after**2, axis=0) / len(members[seed])
    np.testing.assert_allclose(measured.tau, tau, rtol=1e-8)
    np.testing.assert_allclose(measured.curves, np.sqrt(curves), rtol=1e-8)
    np.testing.assert_allclose(measured.sigma, np.sqrt(values))
    assert measured.initial == pytest.approx(7**-0.5)
    assert (measured.replicas, measured.diverged) == (12, 0)


def test_bands_of_f_have_the_mean_of_f():
    measured = planted((3, 2, 1, 0, -1), noise=0.3)
    np.testing.assert_allclose(measured.bands.mean(axis=0), np.sqrt(measured.tau.mean(axis=0)))
    narrow = planted((3, 2, 1, 0, -1), noise=1e-4)
    np.testing.assert_allclose(narrow.bands, np.sqrt(narrow.tau), rtol=1e-6)


@pytest.mark.parametrize("shown", PANELS)
@pytest.mark.parametrize("expected", PANELS)
def test_a_shape_holds_or_is_refuted(expected, shown):
    shape, *_ = decide(case_of(expected), expected, planted(SHAPES[shown]))
    assert (shape.measurement, shape.verdict) == (shown, "holds" if shown == expected else "refuted")


def test_a_shape_that_is_none_of_the_three_is_refuted():
    shape, *_ = decide(case_of(FALLS), FALLS, planted((3, 1, 3, 1, 3)))
    assert (shape.measurement, shape.verdict) == ("other", "refuted")


def test_noise_and_divergence_decide_nothing():
    for shape in PANELS:
        flat, *_ = decide(case_of(shape), shape, planted((0, 0, 0, 0, 0)))
        assert flat.verdict == "undecided"
        for finding in decide(case_of(shape), shape, planted(SHAPES[shape], diverged=1))[:-1]:
            assert finding.verdict == "undecided"


def test_the_right_shape_is_refuted_no_more_often_than_declared():
    """At 99 % confidence, of 600 draws of a hump near its noise: the chance of as many at a rate of 1 % is 1e-6."""
    case, refuted = case_of(RISES_THEN_FALLS), 0
    for seed in range(600):
        measured = planted((0.0, 0.05, 0.1, 0.05, 0.0), networks=20, seed=seed)
        refuted += decide(case, RISES_THEN_FALLS, measured)[0].verdict == "refuted"
    assert refuted <= stats.binom.isf(1e-6, 600, 0.01)


@pytest.mark.parametrize(
    ("shape", "bands", "verdict"),
    [
        (RISES_THEN_FALLS, (2, 4, 3, 1, -1), "holds"),
        (RISES_THEN_FALLS, (2, 4, 3, 2, 1), "refuted"),
        (RISES_THEN_FALLS, (2, 4, 3, 1, 0), "undecided"),
        (RISES, (0, 3, 4, 4.6, 5), "holds"),
        (RISES, (0, 0.4, 1, 2, 5), "refuted"),
    ],
)
def test_what_the_paper_shows_besides_the_shape(shape, bands, verdict):
    _, besides, _ = decide(case_of(shape), shape, planted(bands))
    assert besides.verdict == verdict
    low, high = besides.interval
    assert low < besides.measurement < high


def test_a_straight_rise_does_not_level_off():
    f = np.linspace(1.0, 1.3, BANDS)
    straight = planted(10 * (f**2 - 1), noise=1e-9)
    _, besides, _ = decide(case_of(RISES), RISES, straight)
    assert abs(besides.measurement) < 1e-9


def test_scatter_between_seeds_is_a_loop():
    measured = replace(planted((0, 0, 0, 0, 0)), curves=np.random.default_rng(2).normal(1.0, 0.1, (SEEDS, 9)))

    def ratio(rows):
        between = np.sqrt(np.mean([np.var(column, ddof=1) for column in rows.T]))
        return between / np.std([column.mean() for column in rows.T], ddof=1)

    fewer = [ratio(measured.curves[[i for i in range(SEEDS) if i != left]]) for left in range(SEEDS)]
    value, error = measured.seed_scatter
    assert value == pytest.approx(ratio(measured.curves))
    assert error**2 == pytest.approx(4 / 5 * sum((x - np.mean(fewer)) ** 2 for x in fewer))


def test_scatter_tells_a_curve_from_noise():
    rng, sigma = np.random.default_rng(1), np.linspace(0, 1, 4000)
    one = replace(planted((0, 0, 0, 0, 0)), curves=1 + sigma + 1e-3 * rng.normal(size=(SEEDS, 4000)))
    assert one.seed_scatter[0] < 0.01
    noise = replace(one, curves=1 + 0.1 * rng.normal(size=(SEEDS, 4000)))
    assert noise.seed_scatter[0] == pytest.approx(5**0.5, rel=0.1)  # six standard errors


def test_a_small_effect_of_a_surrogate_is_said_to_lie_within_its_error():
    small, large = planted((0.1, 0.2, 0.4, 0.2, 0.1), b=8), planted((1, 2, 4, 2, 1), b=8)
    case = case_of(RISES_THEN_FALLS)
    for measured, within in ((small, True), (large, False), (replace(small, b=1), False)):
        note = decide(case, RISES_THEN_FALLS, measured)[0].note
        assert ("within the error that a surrogate declares" in note) == within


def test_networks_that_all_diverge_end_undecided():
    training = msgspec.structs.replace(TINY.training, learning_rate=1e300, momentum=0.0)
    measured = read(simulate.run(msgspec.structs.replace(TINY, training=training)), 1, ())
    assert measured.diverged == 12
    assert np.isnan(measured.tau).all()
    for shape in PANELS:
        for finding in decide(case_of(shape), shape, measured)[:-1]:
            assert finding.verdict == "undecided"


def test_the_right_panel_end_to_end():
    """Surrogates, drawn and tabulated."""
    outcomes = []
    for case in cases(QUICK):
        if case.name == "right, diagonal as variances":
            measured = measure(case, QUICK)
            outcomes.append(Outcome(case, RISES, measured, decide(case, RISES, measured)))
    (table,), (figure,) = illustrate(tuple(outcomes))
    assert [row[2] for row in table.rows] == [8]
    assert "surrogates" in table.caption
    assert "surrogates" in figure.caption
    for panel, outcome in zip(figure.panels, outcomes, strict=True):
        *curves, bands, start = panel.series
        assert "b = 8" in panel.title
        assert len(curves) == SEEDS
        np.testing.assert_array_equal([curve.y for curve in curves], outcome.measurement.curves)
        np.testing.assert_allclose(start.y, 30**-0.5)
        np.testing.assert_allclose(bands.y**2, outcome.measurement.tau.mean(axis=0))
        np.testing.assert_allclose(bands.x[0], np.sqrt(np.arange(1, 7) / 10).mean())
    assert render(figure).pdf.startswith(b"%PDF")


def test_full_size_is_called_so():
    outcome = Outcome(case_of(RISES), RISES, planted(SHAPES[RISES]), ())
    outcome = replace(outcome, findings=decide(outcome.case, RISES, outcome.measurement))
    (table,), (figure,) = illustrate((outcome,))
    for caption in (table.caption, figure.caption):
        assert "surrogate" not in caption
        assert "full size" in caption
