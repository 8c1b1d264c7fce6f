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
