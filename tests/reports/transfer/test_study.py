"""The study of a transfer experiment: computed from pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import simulate.transfer
from reports.experiment_file import load
from reports.transfer import measures, study
from tests.reports.experiments import REST, UPSTREAM
from theory.eigenspaces import eigenspaces
from theory.errors import InvalidInput
from theory.misalignment import misalignment
from theory.testing import mean_ratio, paired_mean


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    path = tmp_path_factory.mktemp("experiment") / "experiment.toml"
    path.write_text(UPSTREAM + REST)
    return simulate.transfer.run(load(path))


def test_the_study_is_computed_from_pairs(result):
    found = study(result)
    values = {treated.treatment.name: measures(result, treated) for treated in result.treated}
    for name in ("mean accuracy", "mean loss", "steps to target"):
        scratch, pretrained, drawn = (values[key][name] for key in ("scratch", "pretrained", "covariance"))
        measure = found["covariance"][name]
        np.testing.assert_allclose(measure.estimate.mean, drawn.mean())
        np.testing.assert_allclose(measure.estimate.standard_error, drawn.std(ddof=1) / 2)
        if name == "steps to target":
            continue
        assert vars(measure.difference) == vars(paired_mean(drawn - scratch))
        share = mean_ratio(drawn - scratch, pretrained - scratch)
        assert (measure.share is None) == (share is None)
        assert share is None or vars(measure.share) == vars(share)
    last = result["covariance"].curves
    np.testing.assert_allclose(found["covariance"].readings[2].test_accuracy.mean, last.test_accuracy[:, 2].mean())
    spaces = eigenspaces(result.data_moment, gap=1e-9)
    moment = result["covariance"].weights[1].second_moment
    np.testing.assert_allclose(found["covariance"].readings[1].misalignment, misalignment(spaces, moment))


def test_shares_of_another_gain(result):
    found = study(result, gain_of="first-layers 1")
    assert found.gain_of == "first-layers 1"
    assert found["first-layers 1"]["mean loss"].share is None
    with pytest.raises(InvalidInput, match="treatment = 'bald'"):
        study(result, gain_of="bald")


def test_replicas_that_never_reach_the_target_count_as_the_last_reading(result):
    treated = result["scratch"]
    accuracy = np.array([[0.1, 0.2, 0.3], [0.1, 0.2, 0.2], [0.5, 0.2, 0.3], [0.0, 0.3, 0.1]])
    given = replace(treated, curves=replace(treated.curves, train_accuracy=accuracy))
    assert measures(result, given)["steps to target"].tolist() == [8, 8, 0, 4]


def reaching(result, curves):
    """The experiment, with a train accuracy that reaches the target at given readings (treatments, R); 3 is never."""
    treated = []
    for each, at in zip(result.treated, curves, strict=True):
        accuracy = (np.arange(3) >= np.array(at)[:, None]).astype(float)
        treated.append(replace(each, curves=replace(each.curves, train_accuracy=accuracy)))
    return replace(result, treated=tuple(treated))


def test_steps_to_a_target_are_not_known_better_than_the_grid_of_readings(result):
    """Reached between one reading and the next: the ends are Student's for the earliest and the latest differences."""
    given = reaching(result, [[2, 2, 1, 2], [1, 0, 1, 1], [0, 0, 0, 0], [2, 1, 1, 3]])
    found = study(given)["pretrained"]["steps to target"].difference
    latest, earliest = np.array([4.0, 0, 4, 4]), np.array([0.0, 0, 0, 0])
    scratch, scratch_before = np.array([8.0, 8, 4, 8]), np.array([4.0, 4, 0, 4])
    assert vars(found) == vars(paired_mean(latest - scratch, bounds=(earliest - scratch, latest - scratch_before)))
    assert found.high - found.low >= 4


def test_equal_differences_are_not_estimable(result):
    given = reaching(result, [[2] * 4, [1] * 4, [1, 1, 0, 1], [2] * 4])
    found = study(given)
    for name in ("pretrained", "covariance"):
        difference = found[name]["steps to target"].difference
        assert not difference.estimable
        assert np.isnan([difference.low, difference.high, difference.pvalue]).all()
    assert np.isnan(found["scratch"]["steps to target"].estimate.standard_error)
    assert found["covariance"]["steps to target"].share is None


def test_the_share_of_a_gain_in_steps_holds_for_every_place_between_readings(result):
    given = reaching(result, [[3, 3, 3, 3], [0, 1, 0, 0], [0, 0, 0, 0], [1, 2, 1, 2]])
    found = study(given)["covariance"]["steps to target"].share
    for part in ([0.0, 4, 0, 4], [2.0, 6, 2, 6], [4.0, 8, 4, 8]):
        exact = mean_ratio(np.array(part) - 8, [-8.0, -4, -8, -8])
        assert found.low <= exact.low < exact.high <= found.high
    assert found.ratio == exact.ratio
