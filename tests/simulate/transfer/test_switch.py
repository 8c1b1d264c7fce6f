"""Networks at the switch: those that `run` trains on, whoever trained them upstream."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from simulate.transfer import run_with_networks, train_upstream_alone
from simulate.transfer.store import TransferStore
from tests.simulate.transfer.experiments import in_single, small
from theory.errors import InvalidInput


def same(one, other):
    assert [w.numpy().tobytes() for w in one.ends.parameters] == [w.numpy().tobytes() for w in other.ends.parameters]
    np.testing.assert_array_equal(one.ends.loss, other.ends.loss)
    np.testing.assert_array_equal(one.trained.moment, other.trained.moment)


def test_upstream_training_alone_has_the_bits_of_the_whole(tmp_path):
    experiment = in_single(small())
    _, whole = run_with_networks(experiment)
    alone = train_upstream_alone(experiment, store=tmp_path)
    same(alone, whole)
    assert [path.name[:8] for path in sorted(tmp_path.rglob("*.safetensors"))] == ["experime", "upstream"]
    with pytest.raises(InvalidInput, match="resume"):
        train_upstream_alone(experiment, store=tmp_path)
    same(train_upstream_alone(experiment, store=tmp_path, resume=True), whole)


def test_a_run_goes_on_from_it(tmp_path, monkeypatch):
    experiment = small(kinds=("scratch", "pretrained"))
    train_upstream_alone(experiment, store=tmp_path)
    monkeypatch.setattr(TransferStore, "save_upstream", lambda *arguments: pytest.fail("trained again"))
    result, _ = run_with_networks(experiment, store=tmp_path, resume=True)
    assert result.replicas == 7


@pytest.mark.slow
def test_processes_give_the_same_bits():
    experiment = small(replicas=40)
    same(train_upstream_alone(experiment, processes=2), train_upstream_alone(experiment))


def test_it_starts_where_downstream_training_does():
    """The losses of the treated parameters are those of the first reading."""
    from simulate.transfer.measures import scores

    experiment = small(replicas=4)
    result, switched = run_with_networks(experiment)
    inputs = switched.downstream([0, 1, 2, 3])
    for treated in result.treated:
        start = switched.start(treated.treatment, [0, 1, 2, 3])
        loss, _ = scores(switched.engine.network, start, inputs.x, inputs.y, classes=True)
        np.testing.assert_allclose(loss.numpy(), treated.curves.train_loss[:, 0], rtol=1e-10)
        assert all(w.dtype == torch.float64 for w in start)


def test_resuming_needs_a_store():
    with pytest.raises(InvalidInput, match="store"):
        train_upstream_alone(small(), resume=True)
