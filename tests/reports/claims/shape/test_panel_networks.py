"""The networks of the paper's three panels: their settings, and f by a literal loop."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

import simulate
import theory
from reports.claims.claim import Context
from reports.claims.shape.b5_panels import CLAIM
from reports.claims.shape.panel_networks import panel_curves
from theory.errors import NoClosedForm
from theory.linear.paper_panels import PaperPanel
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training
from theory.shape import RISES

TINY_PANEL = PaperPanel("right", 30, tuple(np.linspace(0.5, 2.0, 7).round(3).tolist()), RISES)
TINY = Setting(
    data=Data(kind="gaussian", spectrum=tuple((np.array(TINY_PANEL.diagonal) ** 2).tolist()), samples=30),
    labels=Labels(kind="classes"),
    network=Network(kind="mlp", hidden=(8, 6), bias=True),
    training=Training(loss="cross-entropy", learning_rate=0.05, momentum=0.9, batch_size=10, steps=(0, 12, 30)),
    ensemble=Ensemble(replicas=5, seed=3),
)


def test_settings_are_those_of_the_paper() -> None:
    wide = [0.1 * k for k in range(1, 31)]
    table = {
        "left": ([1 + 0.1 * k for k in range(10)], (2048, 256), 10_000),
        "middle": (wide, (2048, 256), 10_000),
        "right": (wide, (256, 256), 2000),
    }
    found = CLAIM.cases(Context(budget="paper", seed=5))
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
        assert (setting.training.learning_rate, setting.training.momentum, setting.training.batch_size) == (
            0.04,
            0.9,
            256,
        )


def test_no_closed_form_describes_these_networks() -> None:
    for case in CLAIM.cases(Context(budget="paper", seed=5)):
        with pytest.raises(NoClosedForm):
            theory.predict(case.setting)


def test_f_is_read_by_a_loop_over_networks() -> None:
    measured = panel_curves(simulate.run(TINY), TINY_PANEL)
    values, vectors = np.linalg.eigh(simulate.population(TINY).second_moment)
    for replica in range(5):
        inputs = simulate.replica_inputs(TINY, [replica])
        before, trained = inputs.parameters[0][0].numpy() @ vectors, simulate.train(TINY, inputs)
        for place, step in enumerate((12, 30)):
            after = trained[step][0][0].numpy() @ vectors
            for i in range(7):
                own, then = (sum(w**2 for w in each[:, i]) / 8 for each in (before, after))
                assert measured.f[place, replica, i] == pytest.approx(np.sqrt(then / own / 7), rel=1e-8)
                assert measured.scatter[place, replica, i] == pytest.approx(np.sqrt(then), rel=1e-8)
    np.testing.assert_allclose(measured.sigma, np.sqrt(values))
    assert measured.initial == pytest.approx(7**-0.5)
    assert (measured.replicas, measured.networks, measured.diverged, measured.updates) == (5, 5, 0, (12, 30))


def test_networks_that_all_diverge_are_not_judged() -> None:
    training = msgspec.structs.replace(TINY.training, learning_rate=1e300, momentum=0.0)
    measured = panel_curves(simulate.run(msgspec.structs.replace(TINY, training=training)), TINY_PANEL)
    assert (measured.diverged, measured.networks) == (5, 0)
    for case in CLAIM.cases(Context(seed=5)):
        assert CLAIM.decide(case, CLAIM.predict(case), measured) == ()
