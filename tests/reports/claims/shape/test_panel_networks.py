"""The networks of the paper's three panels: their settings, f by a literal loop, the scatter between seeds."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

import simulate
import theory
from reports.claims.shape.b5_panels import CLAIM
from reports.claims.shape.panel_networks import BANDS, BATCH, EPOCHS, SEEDS, PanelCurves, panel_curves
from simulate.scaling import shrink
from tests.reports.claims.shape.outcomes import QUICK
from tests.reports.claims.shape.panels import planted
from theory.errors import NoClosedForm
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training
from theory.shape import PANELS

TINY = Setting(
    data=Data(kind="gaussian", spectrum=tuple(np.linspace(0.5, 3.0, 7).round(3)), samples=30),
    labels=Labels(kind="classes"),
    network=Network(kind="mlp", hidden=(8, 6), bias=True),
    training=Training(loss="cross-entropy", learning_rate=0.05, momentum=0.9, batch_size=10, steps=(0, 30)),
    ensemble=Ensemble(replicas=12, seed=3),
)


def test_settings_are_those_of_the_paper() -> None:
    wide = [0.1 * k for k in range(1, 31)]
    table = {
        "left": ([1 + 0.1 * k for k in range(10)], (2048, 256), 10_000),
        "middle": (wide, (2048, 256), 10_000),
        "right": (wide, (256, 256), 2000),
    }
    found = CLAIM.cases(QUICK)
    assert len(found) == 6
    for case in found:
        diagonal, hidden, samples = table[case.study.panel.name]
        power = 2 if case.study.reading == "deviation" else 1
        setting = case.setting
        np.testing.assert_allclose(setting.data.spectrum, np.array(diagonal) ** power)
        assert (setting.network.hidden, setting.data.samples) == (hidden, samples)
        assert setting.network.layer_variances == (1.0, 1.0, 1.0)  # over the fan-in: the standard parametrization
        assert setting.network.parametrization == "standard"
        assert (setting.labels.kind, setting.outputs, setting.training.loss) == ("classes", 10, "cross-entropy")
        assert setting.training.readings[-1] * BATCH == EPOCHS * samples


def test_no_closed_form_describes_these_networks() -> None:
    for case in CLAIM.cases(QUICK):
        for b in (1, 4, 8):
            with pytest.raises(NoClosedForm):
                theory.predict(shrink(case.setting, b))


def test_f_is_read_by_a_loop_over_networks() -> None:
    measured = panel_curves(simulate.run(TINY), 1, ())
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


def test_bands_of_f_have_the_mean_of_f() -> None:
    measured = planted((3, 2, 1, 0, -1), noise=0.3)
    np.testing.assert_allclose(measured.bands.mean(axis=0), np.sqrt(measured.tau.mean(axis=0)))
    narrow = planted((3, 2, 1, 0, -1), noise=1e-4)
    np.testing.assert_allclose(narrow.bands, np.sqrt(narrow.tau), rtol=1e-6)


def test_how_far_tau_moves_in_the_band_where_it_moves_most() -> None:
    assert planted((1, 0, -2, 0, 0), noise=1e-6).moved == pytest.approx(0.2, rel=1e-4)


def test_scatter_between_seeds_is_a_loop() -> None:
    measured = replace(planted((0, 0, 0, 0, 0)), curves=np.random.default_rng(2).normal(1.0, 0.1, (SEEDS, 9)))

    def ratio(rows: np.ndarray) -> float:
        between = np.sqrt(np.mean([np.var(column, ddof=1) for column in rows.T]))
        return float(between / np.std([column.mean() for column in rows.T], ddof=1))

    fewer = [ratio(measured.curves[[i for i in range(SEEDS) if i != left]]) for left in range(SEEDS)]
    value, error = measured.seed_scatter
    assert value == pytest.approx(ratio(measured.curves))
    assert error**2 == pytest.approx(4 / 5 * sum((x - np.mean(fewer)) ** 2 for x in fewer))


def test_scatter_tells_a_curve_from_noise() -> None:
    rng, sigma = np.random.default_rng(1), np.linspace(0, 1, 4000)
    one = replace(planted((0, 0, 0, 0, 0)), curves=1 + sigma + 1e-3 * rng.normal(size=(SEEDS, 4000)))
    assert one.seed_scatter[0] < 0.01
    noise = replace(one, curves=1 + 0.1 * rng.normal(size=(SEEDS, 4000)))
    assert noise.seed_scatter[0] == pytest.approx(5**0.5, rel=0.1)  # six standard errors


def all_diverged() -> PanelCurves:
    training = msgspec.structs.replace(TINY.training, learning_rate=1e300, momentum=0.0)
    return panel_curves(simulate.run(msgspec.structs.replace(TINY, training=training)), 1, ())


def test_networks_that_all_diverge_end_undecided() -> None:
    measured = all_diverged()
    assert measured.diverged == 12
    assert np.isnan(measured.tau).all()
    for case in CLAIM.cases(QUICK):
        assert case.study.panel.observed in PANELS
        for judgement in CLAIM.decide(case, CLAIM.predict(case), measured)[:-1]:
            assert judgement.verdict == "undecided"
