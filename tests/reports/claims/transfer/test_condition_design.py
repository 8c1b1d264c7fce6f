"""The design of claim C5: fixed whatever the seed, of a budget's own length, dense and convolutional."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch

from reports.claims.claim import Context
from reports.claims.transfer import condition_design
from reports.claims.transfer.c5_condition import CLAIM, settings_in
from reports.claims.transfer.condition_design import (
    CYCLE,
    FAMILIES,
    FILTERS,
    HORIZONS,
    LARGE,
    MIXED,
    MNIST,
    SHORT,
    TWICE,
    DrawnSetting,
    drawn_setting,
    further_setting,
    numbers_of,
    settings_of,
)
from reports.claims.transfer.condition_networks import measure_settings
from reports.claims.transfer.condition_predictions import predict_settings
from simulate import datasets
from theory.setting import Experiment

QUICK, FULL = Context(seed=999), Context(budget="full", seed=999)


def test_a_smaller_budget_takes_the_first_settings_of_the_same_list():
    quick, full = CLAIM.cases(QUICK), CLAIM.cases(FULL)
    for few, many in zip(quick, full[: len(quick)], strict=True):
        for one, whole in zip(settings_in(few), settings_in(many), strict=False):
            assert one.number == whole.number
            assert one.horizons == (1 if one.number >= len(CYCLE) else whole.horizons)
            assert upstream_of(one) == upstream_of(whole)
    design = [case for case in full if case.study in FAMILIES]
    numbers = [sorted(each.number for case in cases for each in settings_in(case)) for cases in (quick, design)]
    filters = [number for number in range(48) if CYCLE[number % len(CYCLE)] == FILTERS.number]
    assert numbers == [sorted(set(range(48)) - set(filters[2:])), list(range(368))]
    further = {case.study: len(settings_in(case)) for case in full if case.study not in FAMILIES}
    assert further == {LARGE: 72, MNIST: 24, TWICE: 40}
    assert {case.study for case in quick} == set(FAMILIES)


def upstream_of(drawn: DrawnSetting) -> Experiment:
    """The experiment, but for how long training downstream is."""
    downstream = drawn.experiment.downstream
    training = msgspec.structs.replace(downstream.training, steps=(0, 1))
    return msgspec.structs.replace(drawn.experiment, downstream=msgspec.structs.replace(downstream, training=training))


def test_brief_settings_are_read_over_an_epoch_and_nothing_else_changes():
    for number in (8, 31, 127):
        brief, whole = (drawn_setting(number, 5, brief=brief) for brief in (True, False))
        assert upstream_of(brief) == upstream_of(whole)
        assert (brief.horizons, brief.again) == (1, False)
        assert brief.experiment.downstream.training.readings[-1] == condition_design.UPDATES


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


@pytest.mark.parametrize("family", [LARGE, MNIST])
def test_further_families_are_drawn_beforehand(family):
    for number in range(8):
        one, again, other = (further_setting(family, number, seed).experiment for seed in (1, 1, 2))
        assert one == again
        assert msgspec.structs.replace(other, ensemble=one.ensemble) == one
    assert settings_of(family, 8, 5)[7] == further_setting(family, 7, 12)
    assert len({each.experiment.upstream.training.learning_rate for each in settings_of(family, 8, 0)}) == 8


def test_large_weights_are_those_of_deep_networks():
    """Settings with large weights have three or four hidden layers.

    The second half of the settings at double size has twice the widths and rows of the law, with the same large
    weights.
    """
    single = [each.experiment for each in settings_of(LARGE, 72, 0)]
    double = [each.experiment for each in settings_of(TWICE, 60, 0)[MIXED:]]
    for found, size in ((single, 1), (double, 2)):
        networks = [each.upstream.network for each in found]
        assert {len(network.widths) for network in networks} == {3, 4}
        factors = {
            kind: [(each.init_variance[0] / 2) ** 0.5 for each in networks if (each.activation == "relu") == kind]
            for kind in (True, False)
        }
        assert all(1.3 <= factor <= 2.1 for factor in factors[True])
        assert all(0.8 <= factor <= 1.4 for factor in factors[False])
        assert {each.downstream.samples for each in found} == {160 * size, 240 * size, 320 * size}
        assert all(12 * size <= network.widths[-1] <= 32 * size for network in networks)


def test_mnist_is_left_out_where_it_is_not_installed(monkeypatch):
    monkeypatch.setattr(datasets, "find_spec", lambda name: None)
    settings = settings_of(MNIST, 2, 0)
    assert not any(each.installed for each in settings)
    measured, predicted = measure_settings(settings, torch.device("cpu")), predict_settings(settings)
    assert (measured.replicas, measured.diverged, measured.missing) == (0, 0, 2)
    assert np.isnan(measured.accuracy).all()
    assert np.isnan(predicted.accuracy).all()
    monkeypatch.setattr(datasets, "find_spec", lambda name: name)
    assert all(each.installed for each in settings)
    assert all(each.installed for each in settings_of(LARGE, 1, 0))


@pytest.mark.parametrize("number", range(len(CYCLE)))
def test_double_size_has_twice_the_rows_and_widths(number, monkeypatch):
    """A setting at double size is drawn by the same numbers, with twice the rows and widths."""
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
