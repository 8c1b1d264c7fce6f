"""The condition for transfer: gains by hand, what they are made of, and the signs of real networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reports.testing.strategies import seeds
from simulate.devices import one_thread
from simulate.transfer.experiment import Engine
from tests.theory.small_networks import NETWORKS, REPLICAS, ROWS, classes, draw, mlp
from theory.errors import Diverged
from theory.setting import (
    Data,
    Downstream,
    Ensemble,
    Experiment,
    Labels,
    Network,
    Training,
    Treatments,
    Upstream,
)
from theory.testing import paired_mean
from theory.transfer import linearised_training, training_transfer
from theory.transfer.training_transfer import mean_over_steps

ENTROPY = Training(loss="cross-entropy", learning_rate=0.2, momentum=0.5, steps=(0, 2, 6))


@pytest.fixture(autouse=True)
def _small_products():
    """Run on one thread, on which small products are fastest."""
    with one_thread():
        yield


def two_networks(name: str = "relu", seed: int = 0):
    """Two sets of parameters, rows, classes."""
    network = NETWORKS[name]
    (pretrained, rows), (scratch, _) = draw(network, seed), draw(network, seed + 1)
    return network, pretrained, scratch, rows, classes(seed)


def test_gains_are_differences_of_areas_over_length():
    network, pretrained, scratch, rows, y = two_networks()
    held_out = rows.flip(1), classes(7)
    found = training_transfer(network, ENTROPY, pretrained, scratch, rows, y, held_out=held_out)
    after, before = (
        linearised_training(network, ENTROPY, start, rows, y, held_out=held_out) for start in (pretrained, scratch)
    )
    for name, sign in (("train_loss", -1), ("train_accuracy", 1), ("test_loss", -1), ("test_accuracy", 1)):
        gain, curve = getattr(found, name), (getattr(after, name) - getattr(before, name)).numpy()
        each = sign * ((curve[:, 0] + curve[:, 1]) + 2 * (curve[:, 1] + curve[:, 2])) / 6  # steps 0, 2, 6
        np.testing.assert_allclose(gain.each, each, rtol=1e-12)
        statistics = paired_mean(each)
        assert gain.mean == pytest.approx(statistics.mean, rel=1e-12)
        assert gain.standard_error == pytest.approx(statistics.standard_error, rel=1e-12)
        assert gain.sign == ("positive" if gain.mean > 0 else "negative" if gain.mean < 0 else "none")
        assert gain.diverged == 0


@given(seed=seeds, subtracted=st.booleans())
def test_networks_that_change_places_change_the_sign(seed: int, subtracted: bool) -> None:
    network, pretrained, scratch, rows, y = two_networks(seed=seed % 1000)
    there, back = (
        training_transfer(network, ENTROPY, *pair, rows, y, subtracted=subtracted)
        for pair in ((pretrained, scratch), (scratch, pretrained))
    )
    np.testing.assert_array_equal(there.train_loss.each, -back.train_loss.each)
    np.testing.assert_array_equal(there.train_accuracy.each, -back.train_accuracy.each)


def test_one_network_against_itself_gains_nothing():
    network, pretrained, _, rows, y = two_networks()
    found = training_transfer(network, ENTROPY, pretrained, pretrained, rows, y)
    assert found.train_loss.sign == found.train_accuracy.sign == "none"
    assert found.test_loss is found.test_accuracy is None


def test_without_initial_outputs_only_the_jacobian_counts():
    """A linear model's Jacobian knows nothing of its weights; its outputs do."""
    network, pretrained, scratch, rows, y = two_networks("linear")
    whole = training_transfer(network, ENTROPY, pretrained, scratch, rows, y)
    without = training_transfer(network, ENTROPY, pretrained, scratch, rows, y, subtracted=True)
    assert whole.train_loss.sign != "none"
    assert without.train_loss.sign == without.train_accuracy.sign == "none"
    torch.testing.assert_close(without.scratch.train_loss[:, 0], torch.full((REPLICAS,), np.log(3)).double())


def test_loss_and_accuracy_may_disagree():
    """The network is right on two of three rows and very wrong on the third; constant outputs are right on one."""
    network = Network()
    rows = torch.eye(3).double()[None]
    y = torch.tensor([[0, 1, 2]])
    training = Training(loss="cross-entropy", learning_rate=1e-6, steps=0)
    wrong_once = torch.tensor([[[1.0, 0.0, 9.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]]).double()
    found = training_transfer(network, training, [wrong_once], [0.0 * wrong_once], rows, y)
    assert found.train_accuracy.sign == "positive"
    assert found.train_loss.sign == "negative"


def test_a_single_pair_has_no_error_and_no_mean_without_numbers():
    network, pretrained, scratch, rows, y = two_networks()
    one = [w[:1] for w in pretrained], [w[:1] for w in scratch]
    found = training_transfer(network, ENTROPY, *one, rows[:1], y[:1])
    assert found.train_loss.standard_error is None
    assert found.train_loss.mean == found.train_loss.each[0]
    wild = Training(learning_rate=1e9, steps=(0, 100))
    targets = rows[..., :3]
    with pytest.raises(Diverged, match="lets the linearised training of all 2 pairs of networks diverge"):
        training_transfer(network, wild, pretrained, scratch, rows, targets)


def test_pairs_that_diverge_do_not_count():
    """A million times the rows of one pair."""
    network, pretrained, scratch, rows, _ = two_networks()
    rows = rows * torch.tensor([1.0, 1e6])[:, None, None]
    targets = torch.zeros(REPLICAS, ROWS, 3).double()
    found = training_transfer(network, Training(learning_rate=0.01, steps=(0, 80)), pretrained, scratch, rows, targets)
    assert found.train_loss.diverged == 1
    assert np.isnan(found.train_loss.each[1])
    assert found.train_loss.mean == found.train_loss.each[0]
    assert found.train_loss.standard_error is None


def test_means_over_steps():
    assert mean_over_steps((3,), np.array([[2.0], [5.0]])).tolist() == [2.0, 5.0]
    assert mean_over_steps((0, 2), np.array([[2.0, 4.0]])).tolist() == [3.0]


# ---- real networks


def specialised(factor: float, width: int) -> Experiment:
    """A ReLU network 64-128-width-10 on digits: 40 epochs of random labels, then 6 of real ones, on 300 rows each."""

    def training(steps: int | tuple[int, ...]) -> Training:
        return Training(loss="cross-entropy", learning_rate=0.01, momentum=0.9, batch_size=32, steps=steps)

    return Experiment(
        upstream=Upstream(
            data=Data(kind="digits", samples=300),
            labels=Labels(kind="classes"),
            network=mlp(128, width, init_variance=2 * factor**2),
            training=training(40 * 9),
        ),
        treatment=Treatments(kinds=("scratch", "pretrained")),
        downstream=Downstream(samples=300, labels=Labels(kind="real"), training=training(tuple(range(0, 55, 9)))),
        ensemble=Ensemble(replicas=20, dtype="float32"),
    )


@pytest.mark.slow
@pytest.mark.parametrize(("factor", "width", "sign"), [(2.0, 16, "negative"), (0.5, 32, "positive")])
def test_signs_of_real_networks_and_what_makes_them(factor: float, width: int, sign: str) -> None:
    """The predicted sign is the real one, both decided at 1e-6, and the Jacobian alone has it; sizes within 0.3."""
    experiment = specialised(factor, width)
    engine = Engine(experiment, torch.device("cpu"), weights=False)
    trained = engine.upstream(lambda count: None)
    result = engine.downstream(trained, lambda count: None)
    after, before = (result[kind].curves.mean_accuracy() for kind in ("pretrained", "scratch"))
    real = paired_mean(after - before, confidence=1 - 1e-6)
    down = engine.draws.take(range(20)).downstream
    arguments = (
        experiment.upstream.network,
        experiment.downstream.training,
        [w.double() for w in trained.parameters],
        down.parameters,
        down.x,
        down.y,
    )
    for subtracted in (False, True):
        found = training_transfer(*arguments, batches=down.orders, subtracted=subtracted).train_accuracy
        predicted = paired_mean(found.each, confidence=1 - 1e-6)
        for each in (real, predicted):
            assert each.low > 0 if sign == "positive" else each.high < 0
        assert found.sign == sign
        assert found.mean == pytest.approx(real.mean, abs=0.3)
