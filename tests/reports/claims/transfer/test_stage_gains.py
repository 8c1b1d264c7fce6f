"""Gains along one upstream training: what is measured, and the share that early epochs give."""

from __future__ import annotations

import numpy as np
import pytest

import simulate.transfer
from reports.claims.claim import Case, Context
from reports.claims.transfer import stage_gains
from reports.claims.transfer.stage_gains import StageGains, Stages, measure_stages
from theory.setting import Experiment


def made(means: dict[int, float], noise: float = 0.005) -> StageGains:
    """Gains of given means by epochs, of nine replicas that scatter."""
    generator = np.random.default_rng(4)
    gains = [
        np.zeros(9) if epoch == 0 else mean + noise * generator.standard_normal(9) for epoch, mean in means.items()
    ]
    return StageGains(tuple(means), np.stack(gains), np.linspace(0.1, 1, 9 * len(gains)).reshape(-1, 9), 9, 0)


def test_stages_are_those_of_experiments_that_end_there(monkeypatch):
    """One trajectory gives the gains of four experiments of one seed, with the same bits."""
    monkeypatch.setattr(stage_gains, "EPOCHS", (0, 1, 3))
    study = Stages(1.0, 0.05, (10, 6), "early")
    case = Case("tiny", study.digits.experiment(3), study, "asymptotic")
    found = measure_stages(case, Context())
    assert found.epochs == (0, 1, 3)
    assert (found.gains[0] == 0).all()
    for epoch, gains in zip(found.epochs, found.gains, strict=True):
        monkeypatch.setattr(stage_gains, "EPOCHS", (epoch,))
        ended: Experiment = study.digits.experiment(3)
        result = simulate.transfer.run(ended, weights=False)
        curves = [result[name].curves.mean_accuracy() for name in ("pretrained", "scratch")]
        np.testing.assert_array_equal(gains, curves[0] - curves[1])
    assert (found.replicas, found.diverged, found.gains.shape) == (3, 0, (3, 3))


@pytest.mark.parametrize(
    ("means", "share", "best"),
    [
        ({0: 0.0, 1: 0.01, 10: 0.08, 80: 0.1}, 0.8, 80),
        ({0: 0.0, 1: 0.01, 10: 0.1, 80: 0.04}, 1.0, 10),
        ({0: 0.0, 1: -0.1, 10: 0.02, 80: 0.1}, 0.2, 80),
    ],
)
def test_the_share_is_that_of_the_largest_gain(means, share, best):
    found = made(means)
    assert found.best == best
    part = found.early_share()
    assert part.ratio == pytest.approx(share, abs=0.05)
    assert part.low <= share <= part.high
    assert part.high <= 1.0


def test_no_share_is_known_of_a_gain_that_may_be_0():
    assert made({0: 0.0, 1: 0.0, 10: 0.001, 80: 0.01}, noise=0.1).early_share() is None
