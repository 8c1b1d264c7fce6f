"""Claim F5: gains of wide networks are judged by their budget and signs, and the rules can say no."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from reports.claims.claim import Case, Context, Outcome
from reports.claims.transfer import f5_kernel_transfer as f5
from reports.claims.transfer.kernel_gains import Gains, Kept, Weights, measured, predicted

QUICK = Context(seed=999)


def small(name: str, replicas: int = 4, width: int = 256) -> Case:
    """A case of the claim with fewer, narrower networks."""
    case = next(case for case in f5.cases(QUICK) if case.name == name)
    setting = msgspec.structs.replace(
        case.setting,
        network=msgspec.structs.replace(case.setting.network, hidden=(width,)),
        ensemble=msgspec.structs.replace(case.setting.ensemble, replicas=replicas),
    )
    return replace(case, setting=setting)


@pytest.mark.parametrize("name", [f5.LOW, f5.RANDOM, f5.MUCH, f5.NEW])
def test_networks_are_near_their_prediction(name: str) -> None:
    """Within twice the budget, generous for four narrow networks; of the other sign they would not be."""
    case = small(name)
    prediction, found = f5.predict(case), f5.measure(case, QUICK)
    assert np.all(np.abs(found.gains - prediction.gains) <= 2 * f5.budget(case))
    assert (found.replicas, found.diverged) == (4, 0)
    assert found.errors is not None
    assert np.all(found.errors > 0)
    assert np.abs(found.gains + prediction.gains).max() > 2 * f5.budget(case)


@pytest.mark.parametrize("study", [Weights("random", (0, 3)), Kept(4, True, (0, 3))])
def test_batches_of_networks_do_not_matter(study: Weights | Kept, monkeypatch) -> None:
    setting = small(f5.RANDOM if isinstance(study, Weights) else f5.NEW, replicas=3, width=16).setting
    whole = measured(study, setting)
    monkeypatch.setattr("reports.claims.transfer.kernel_gains.BATCH", 2)
    again = measured(study, setting)
    np.testing.assert_allclose(again.gains, whole.gains, rtol=1e-12)
    np.testing.assert_allclose(again.errors, whole.errors, rtol=1e-9)


def test_the_start_of_features_is_the_labels() -> None:
    """f_0 is subtracted: no gain at step 0, exactly, for any width."""
    found = measured(Weights("random", (0, 1)), small(f5.RANDOM, replicas=3, width=8).setting)
    np.testing.assert_allclose(found.gains[:, 0], 0, atol=1e-15)


def test_the_memory_of_labels_makes_the_difference() -> None:
    study, setting = Kept(100, False, (5,)), small(f5.MUCH).setting
    assert predicted(study, setting).gains < 0 < predicted(study, setting, variance=0.0).gains


PREDICTED = Gains(("a fresh network",), (5, 30), np.array([[-0.3, -0.1]]))


def judge(value: float, error: float, kind: str = "asymptotic", diverged: int = 0) -> str:
    """The verdict on gains (value, −.1) ± error of 24 networks of 1024 neurons, whose budget is .0625."""
    case = small(f5.CONTROL if kind == "control" else f5.MUCH, replicas=24, width=1024)
    found = replace(
        PREDICTED, gains=np.array([[value, -0.1]]), errors=np.full((1, 2), error), replicas=24, diverged=diverged
    )
    (finding,) = f5.decide(case, PREDICTED, found)
    assert finding.measurement == value
    return finding.verdict


def test_verdicts() -> None:
    assert judge(-0.31, 0.005) == "holds"
    assert judge(-0.31, 0.005, diverged=1) == "undecided"
    assert judge(-0.31, 0.1) == "undecided"
    assert judge(-0.2, 0.005) == "refuted"
    assert judge(0.3, 0.005) == "refuted"
    assert judge(0.3, 0.005, kind="control") == "holds"
    assert judge(-0.31, 0.005, kind="control") == "undecided"
    assert judge(-0.2, 0.03, kind="control") == "undecided"


def test_a_sign_that_is_not_seen_is_undecided() -> None:
    """Predicted beyond the budget, within it of the prediction at 95 %, and not apart from 0 at 99 %."""
    case = small(f5.MUCH, replicas=24, width=1024)
    prediction = replace(PREDICTED, gains=np.array([[-0.0626, -0.1]]))
    for value, verdict in ((-0.0028, "undecided"), (-0.0034, "holds")):
        found = replace(prediction, gains=np.array([[value, -0.1]]), errors=np.full((1, 2), 1e-3), replicas=24)
        assert f5.decide(case, prediction, found)[0].verdict == verdict


def test_table_and_figure() -> None:
    cases = [small(name, replicas=2, width=16) for name in (f5.HIGH, f5.CONTROL)]
    outcomes = []
    for case in cases:
        prediction, found = f5.predict(case), f5.measure(case, QUICK)
        outcomes.append(Outcome(case, prediction, found, f5.decide(case, prediction, found)))
    (table,), (figure,) = f5.illustrate(tuple(outcomes))
    assert len(table.rows) == 6
    (panel,) = figure.panels
    assert [series.label for series in panel.series] == [
        "none",
        "over isotropic, same trace",
        "networks",
        "over isotropic, same kernel scale",
        "networks",
    ]
    line = panel.series[1]
    assert line.y[[5, 40]] == pytest.approx(outcomes[0].prediction.gains[0], rel=1e-9)
