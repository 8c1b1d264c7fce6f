"""Claim C5: it can say no, shows every family, and judges double size apart."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from reports.claims.claim import Context, Outcome
from reports.claims.transfer.c5_condition import CLAIM, settings_in
from reports.claims.transfer.condition_design import REPLICAS
from reports.typesetting.figures import render
from tests.reports.claims.transfer.made_design import REAL, made_design
from theory.setting import Ensemble

QUICK, FULL = CLAIM.cases(Context(seed=999)), CLAIM.cases(Context(budget="full", seed=999))


def outcomes(cases, said):
    """One outcome per case, with the gains `REAL` in its settings and the predictions that `said` makes of them."""
    found = []
    for number, case in enumerate(cases):
        predicted, measured = made_design(REAL, said(REAL), seed=number)
        found.append(Outcome(case, predicted, measured, CLAIM.decide(case, predicted, measured)))
    return tuple(found)


def test_families_are_judged_together():
    right = outcomes(QUICK, lambda real: real)
    assert not any(outcome.judgements for outcome in right)
    found = CLAIM.conclude(right)
    assert [judgement.verdict for judgement, _ in found[:4]] == ["holds"] * 4
    assert all(of == right for _, of in found)
    wrong = outcomes(QUICK, lambda real: [-each for each in real])
    assert [judgement.verdict for judgement, _ in CLAIM.conclude(wrong)[:2]] == ["refuted"] * 2
    assert CLAIM.conclude(()) == ()


@pytest.mark.parametrize(("factor", "verdict"), [(1, "holds"), (-1, "refuted")])
def test_double_size_is_judged_by_itself(factor, verdict):
    found = outcomes(FULL[-1:], lambda real: [factor * each for each in real])
    ((judgement,),) = (outcome.judgements for outcome in found)
    assert judgement.verdict == verdict
    assert CLAIM.conclude(found) == ()
    assert CLAIM.illustrate(found).tables == ()


@pytest.mark.parametrize("turned", [0, 1])
def test_double_size_is_judged_by_one_epoch(turned):
    """Longer horizons of the other sign, of predictions or of gains, change nothing."""
    (right,) = outcomes(FULL[-1:], lambda real: list(real))
    both = [right.prediction, right.measurement]
    accuracy = both[turned].accuracy.copy()
    accuracy[:, 1:] *= -1
    both[turned] = replace(both[turned], accuracy=accuracy)
    assert CLAIM.decide(right.case, *both) == right.judgements


def test_a_family_without_data_is_not_shown():
    right = outcomes(FULL[:2], lambda real: real)
    lost = replace(
        right[1], measurement=replace(right[1].measurement, accuracy=np.full((25, 5, 12), np.nan), missing=25)
    )
    tables = {table.name: table for table in CLAIM.illustrate((right[0], lost)).tables}
    assert {row[0] for row in tables["c5-families"].rows} - {" "} == {FULL[0].name}
    (figure,) = CLAIM.illustrate((right[0], lost)).figures
    assert all(len(panel.series) == 2 for panel in figure.panels)


def test_parts_of_a_family_are_its_settings_in_their_order():
    assert {len(case.parts) for case in FULL} == {5}
    assert {len(case.parts) for case in QUICK} == {0}
    few = msgspec.structs.replace(FULL[2].trained, ensemble=Ensemble(replicas=7 * REPLICAS))
    case = replace(FULL[2], trained=few)
    parts = [settings_in(replace(case, parts=(part,))) for part in case.parts]
    assert [each for part in parts for each in part] == list(settings_in(case))
    assert [len(part) for part in parts] == [1, 1, 2, 1, 2]


@pytest.mark.slow
def test_a_family_of_small_networks_is_joined_from_its_parts():
    """The parts give the same bits as the whole: no setting's prediction or measurement depends on the others."""
    few = msgspec.structs.replace(QUICK[-2].trained, ensemble=Ensemble(replicas=3 * REPLICAS, seed=5))
    case = replace(QUICK[-2], trained=few)
    pieces = [replace(case, parts=(part,)) for part in ("1/2", "2/2")]
    whole = CLAIM.predict(case), CLAIM.measure(case, Context())
    joined = CLAIM.join([(CLAIM.predict(piece), CLAIM.measure(piece, Context())) for piece in pieces])
    for one, other in zip(whole, joined, strict=True):
        assert [
            name for name in vars(one) if not np.array_equal(vars(one)[name], vars(other)[name], equal_nan=True)
        ] == []


def test_tables_and_figure_show_every_family():
    shown = CLAIM.illustrate(outcomes(QUICK, lambda real: real))
    tables = {table.name: table for table in shown.tables}
    (figure,) = shown.figures
    assert list(tables) == ["c5-horizons", "c5-families", "c5-cheap", "c5-magnitudes"]
    assert len(tables["c5-horizons"].rows) == 6  # two gains at the short horizons
    assert len(tables["c5-families"].rows) == 3 * len(QUICK)
    assert tables["c5-horizons"].rows[0][2:6] == (150, 78, 72, 150)
    once, again = tables["c5-magnitudes"].rows[:2]
    assert once[3] == pytest.approx(0.0, abs=1e-12)
    assert once[5] == again[5] == pytest.approx(1.0)
    assert len(figure.panels) == 3
    for panel in figure.panels:
        assert [series.label for series in panel.series[1:]] == [case.name for case in QUICK]
        assert all(series.xerror is not None and np.all(series.xerror > 0) for series in panel.series[1:])
    assert render(figure).svg
