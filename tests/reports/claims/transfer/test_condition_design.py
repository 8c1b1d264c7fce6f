"""The design of claim C5: fixed whatever the seed, of a budget's own length, dense and convolutional."""

from __future__ import annotations

import msgspec
import pytest

from reports.claims.claim import Context
from reports.claims.transfer import condition_design
from reports.claims.transfer.c5_condition import CLAIM, settings_in
from reports.claims.transfer.condition_design import (
    CYCLE,
    FAMILIES,
    HORIZONS,
    SHORT,
    TWICE,
    drawn_setting,
    numbers_of,
    settings_of,
)

QUICK, FULL = Context(seed=999), Context(budget="full", seed=999)


def test_a_smaller_budget_takes_the_first_settings_of_the_same_list():
    quick, full = CLAIM.cases(QUICK), CLAIM.cases(FULL)
    for few, many in zip(quick, full[: len(quick)], strict=True):
        assert settings_in(many)[: len(settings_in(few))] == settings_in(few)
    numbers = [sorted(each.number for case in cases for each in settings_in(case)) for cases in (quick, full[:-1])]
    assert numbers == [list(range(24)), list(range(416))]
    assert full[-1].study == TWICE
    assert len(settings_in(full[-1])) == 20


def test_settings_are_the_same_whatever_the_seed_and_draw_from_it():
    for number in range(16):
        one, again, other = (drawn_setting(number, seed).experiment for seed in (1, 1, 2))
        assert one == again
        assert one.ensemble.seed != other.ensemble.seed
        assert msgspec.structs.replace(other, ensemble=one.ensemble) == one


def test_families_take_their_places_in_turn():
    taken = sorted(number for family in FAMILIES for number in numbers_of(family, 5 * CYCLE.count(family.number)))
    assert taken == list(range(5 * len(CYCLE)))
    assert {each.number % len(CYCLE) for each in settings_of(FAMILIES[4], 3, 0)} == {5}


def test_the_law_has_every_kind():
    drawn = [drawn_setting(number, 0).experiment for number in range(200)]
    networks = [each.upstream.network for each in drawn]
    assert {network.kind for network in networks} == {"mlp", "conv"}
    assert {len(network.widths) for network in networks if network.kind == "mlp"} == {1, 2, 3, 4}
    assert {network.activation for network in networks} == {"relu", "tanh", "erf"}
    assert {each.downstream.training.momentum for each in drawn} == {0.0, 0.5, 0.9}
    assert {each.downstream.training.loss for each in drawn} == {"mse", "cross-entropy"}
    assert {each.treatment.each[1].kind for each in drawn} == {"pretrained", "rescaled", "first-layers"}
    assert {each.downstream.labels.kind for each in drawn} == {"real", "classes", "teacher", "gaussian"}
    assert {each.upstream.data.kind for each in drawn} == {"digits", "gaussian", "photographs"}
    assert {each.downstream_setting.batches_per_epoch for each in drawn} == {condition_design.UPDATES}


def test_long_horizons_are_those_of_some_rounds_that_the_quick_budget_does_not_reach():
    horizons = [drawn_setting(number, 0).horizons for number in range(416)]
    assert set(horizons[:24]) == {SHORT}
    assert [horizons.count(count) for count in (SHORT, SHORT + 1, len(HORIZONS))] == [368, 24, 24]
    longest = drawn_setting(127, 0)
    assert longest.experiment.downstream.training.readings[-1] == HORIZONS[-1] * condition_design.UPDATES
    again = [drawn_setting(number, 0).again for number in range(64)]
    assert sum(again) == 16


@pytest.mark.parametrize("number", range(len(CYCLE)))
def test_double_size_has_twice_the_rows_and_widths(number, monkeypatch):
    """Of the same draws."""
    monkeypatch.setattr(condition_design, "DOUBLE", condition_design.DESIGN)
    one, two = (drawn_setting(number, 0, double=double).experiment for double in (False, True))
    assert two.rows == 2 * one.rows
    assert two.upstream.network.widths == tuple(2 * width for width in one.upstream.network.widths)
    assert two.upstream.training.learning_rate == one.upstream.training.learning_rate


def test_double_size_is_drawn_from_another_seed():
    doubled = settings_of(TWICE, 8, 0)
    assert all(
        each.experiment.upstream.training.learning_rate
        != drawn_setting(each.number, 0).experiment.upstream.training.learning_rate
        for each in doubled
    )
