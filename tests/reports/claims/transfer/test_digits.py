"""Experiments on digits: their sizes, and that claims share what they share."""

from __future__ import annotations

import msgspec
import pytest

from reports.claims.claim import Context
from reports.claims.transfer import c1_positive, c2_covariance, c4_scale, digits
from theory.errors import InvalidInput

QUICK = Context(seed=999)


def test_upstream_and_downstream_halve_the_digits():
    experiment = digits.Digits(0.5).experiment(2)
    assert experiment.upstream.network.layer_variances == (0.5,) * 3
    assert experiment.rows == 2 * 898 <= 1797
    assert experiment.downstream.training.readings == tuple(14 * epoch for epoch in range(7))
    assert digits.downstream_epochs(experiment) == 6
    twenty = c1_positive.NEW_LABELS.experiment(2)
    readings = twenty.downstream.training.readings
    assert (readings[0], readings[-1]) == (0, 20 * (300 // 32))
    assert digits.downstream_epochs(twenty) == 20


def test_epochs_need_batches():
    experiment = digits.SMALL_INIT.experiment(2)
    training = msgspec.structs.replace(experiment.downstream.training, batch_size="full")
    whole = msgspec.structs.replace(
        experiment, downstream=msgspec.structs.replace(experiment.downstream, training=training)
    )
    with pytest.raises(InvalidInput, match="must be a number"):
        digits.downstream_epochs(whole)


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_the_factor_is_read_off_the_setting(factor):
    assert digits.init_factor(digits.Digits(factor).experiment(2).upstream_setting) == factor


def test_claims_share_what_they_train():
    """Equal experiments are settled one after the other, and what one claim has trained the next reads."""
    one, four = (claim.CLAIM.cases(QUICK) for claim in (c1_positive, c4_scale))
    assert one[0].trained == four[0].trained
    assert one[1].trained == four[1].trained
    for claim in (c1_positive, c2_covariance, c4_scale):
        for trial in claim.trials(QUICK).values():
            assert trial.study is None
