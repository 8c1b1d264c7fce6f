"""Transfer experiments: reproducible, paired, against identities, laws and plain loops; divergence."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch
from scipy import stats

import simulate.transfer.experiment as engine
from simulate.inputs import Inputs
from simulate.networks import forward
from simulate.transfer import TransferResult, run
from simulate.transfer.draws import TransferDraws
from tests.oracles.training import naive_train
from tests.simulate.transfer.experiments import ALL, TRAINING, bits, small
from theory.setting import (
    Data,
    Downstream,
    Ensemble,
    Experiment,
    InvalidInput,
    Labels,
    Network,
    Training,
    Treatments,
    Until,
    Upstream,
)

# ---- reproducible


@pytest.mark.parametrize("tile", [3, 4])
def test_no_bit_depends_on_the_chunk(monkeypatch, tile):
    monkeypatch.setattr(engine, "tile_size", lambda *arguments: tile)
    experiment = small(until=Until(accuracy=0.8), bias=True)
    whole = run(experiment)
    for chunk in (1, 2, 5, 100):
        cut = run(experiment, chunk=chunk)
        assert bits(whole) == bits(cut)
        for a, b in zip(whole.treated, cut.treated, strict=True):
            assert a.weights[-1].second_moments.tobytes() == b.weights[-1].second_moments.tobytes()


def test_more_replicas_leave_the_first_ones_as_they_are(monkeypatch):
    monkeypatch.setattr(engine, "tile_size", lambda *arguments: 4)
    experiment = small(kinds=ALL[:5])
    assert bits(run(experiment, replicas=3)) == bits(run(experiment), 3)
    assert bits(run(small(kinds=ALL[:5], seed=1), replicas=3)) != bits(run(experiment), 3)


@pytest.mark.parametrize("key", ["replicas", "chunk"])
def test_numbers_of_replicas_are_positive(key):
    with pytest.raises(InvalidInput, match=f"{key} = 0: must be at least 1"):
        run(small(), **{key: 0})


# ---- paired


def test_all_treatments_of_a_replica_see_the_same_rows_labels_and_batches(monkeypatch):
    experiment = small()
    seen: list[Inputs] = []
    choose = engine.kernels.choose_kernel

    class Recorder:
        """A kernel that keeps what the downstream training is given."""

        def __init__(self, kernel):
            self.kernel = kernel

        def __getattr__(self, name):
            return getattr(self.kernel, name)

        def train(self, setting, inputs):
            if setting == experiment.downstream_setting:
                seen.append(inputs)
            return self.kernel.train(setting, inputs)

    monkeypatch.setattr(engine.kernels, "choose_kernel", lambda *arguments: Recorder(choose(*arguments)))
    run(experiment)
    assert len(seen) == len(ALL)
    for inputs in seen[1:]:
        assert torch.equal(inputs.x, seen[0].x)
        assert torch.equal(inputs.y, seen[0].y)
        assert torch.equal(inputs.orders, seen[0].orders)
    # and they do begin with other weights, but for the treatments that are the same
    starts = {inputs.parameters[0].numpy().tobytes() for inputs in seen}
    assert len(starts) == len(ALL) - 3  # both first-layers keep pretrained's first layer, recursive has covariance's


def test_rows_are_disjoint_and_labels_are_theirs(tmp_path):
    """Rows that carry their own numbers: none occurs twice in a replica, and each real label is its row's."""
    count = 30
    np.save(tmp_path / "x.npy", np.arange(count)[:, None] * [1.0, 2.0])
    np.save(tmp_path / "y.npy", np.arange(count))
    experiment = Experiment(
        upstream=Upstream(
            data=Data(
                kind="array",
                path=str(tmp_path / "x.npy"),
                labels_path=str(tmp_path / "y.npy"),
                center=False,
                scale=False,
                samples=12,
            ),
            labels=Labels(kind="classes", classes=count),
            network=Network(kind="mlp", hidden=(4,)),
            training=msgspec.structs.replace(TRAINING, steps=1),
        ),
        downstream=Downstream(
            samples=11, held_out=7, labels=Labels(kind="real"), training=msgspec.structs.replace(TRAINING, steps=(0, 1))
        ),
    )
    draws = TransferDraws(experiment)
    inputs = draws.take([0, 1, 2])
    assert inputs.held_out is not None
    for replica in range(3):
        parts = [x[replica, :, 0].tolist() for x in (inputs.upstream.x, inputs.downstream.x, inputs.held_out[0])]
        assert [len(part) for part in parts] == [12, 11, 7]
        assert sorted(row for part in parts for row in part) == list(range(count))
        assert inputs.downstream.y[replica].tolist() == parts[1]
        assert inputs.held_out[1][replica].tolist() == parts[2]
        assert inputs.upstream.y[replica].tolist() != parts[0]
        np.testing.assert_array_equal(draws.upstream_rows(replica), inputs.upstream.x[replica])


@pytest.mark.parametrize(("up", "down"), [(5, 10), (50, 10)])
@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("loss", ["cross-entropy", "mse"])
def test_tasks_of_other_numbers_of_classes_share_the_larger_output_layer(up, down, real, loss):
    labels = Labels(kind="real") if real else Labels(kind="classes", classes=down)
    training = Training(loss=loss, learning_rate=0.01, batch_size=20, steps=12)
    experiment = Experiment(
        upstream=Upstream(
            data=Data(kind="digits", samples=400),
            labels=Labels(kind="classes", classes=up),
            network=Network(kind="mlp", hidden=(6,)),
            training=training,
        ),
        treatment=Treatments(kinds=("scratch", "pretrained")),
        downstream=Downstream(samples=300, labels=labels, training=msgspec.structs.replace(training, steps=(0, 12))),
        ensemble=Ensemble(replicas=2),
    )
    inputs = TransferDraws(experiment).take([0, 1])
    classes = [y if loss == "cross-entropy" else y.argmax(2) for y in (inputs.upstream.y, inputs.downstream.y)]
    # 400 labels of 50 classes, uniform: one is missing with probability below .02 per replica, all fifty hardly ever
    assert [int(y.max()) for y in classes] == [up - 1, down - 1]
    if loss == "mse":
        assert inputs.upstream.y.shape[2] == inputs.downstream.y.shape[2] == max(up, down)
    assert len(inputs.init[-1][0]) == max(up, down)
    found = run(experiment)
    assert found.diverged == 0


def test_too_few_rows_for_both_trainings():
    downstream = Downstream(samples=1000, labels=Labels(kind="classes"), training=Training(steps=1))
    upstream = Upstream(data=Data(kind="digits", samples=1000), labels=Labels(kind="classes"))
    with pytest.raises(InvalidInput) as caught:
        run(Experiment(upstream=upstream, downstream=downstream), replicas=2)
    assert (caught.value.key, caught.value.value) == (
        "upstream.data.samples + downstream.samples + downstream.held_out",
        2000,
    )


# ---- identities and laws


def test_keeping_all_layers_is_pretrained():
    result = run(small())
    assert bits_of(result, "first-layers 3") == bits_of(result, "pretrained")
    assert bits_of(result, "first-layers 1") != bits_of(result, "pretrained")


def test_without_upstream_steps_a_trained_network_is_scratch():
    result = run(small(steps=0, bias=True))
    assert bits_of(result, "pretrained") == bits_of(result, "rescaled") == bits_of(result, "scratch")
    assert bits_of(result, "covariance") != bits_of(result, "scratch")


def bits_of(result: TransferResult, name: str) -> list[bytes]:
    curves = result[name].curves
    return [
        array.tobytes() for array in (curves.train_loss, curves.train_accuracy, curves.test_loss, curves.test_accuracy)
    ]


def test_weights_drawn_from_the_moments_of_untrained_ones_have_the_law_of_scratch():
    """Independent seeds, Kolmogorov–Smirnov at 1e-6; after upstream training the same test rejects."""

    def drawn(name: str, seed: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """The loss downstream, and the share of the first layer along the data's first direction, one per replica."""
        experiment = small(kinds=("scratch", "covariance"), replicas=400, seed=seed, steps=steps, hidden=(6,))
        result = run(experiment)
        moments = result[name].weights[0].second_moments
        v = np.linalg.eigh(result.data_moment)[1][:, -1]
        return result[name].curves.train_loss[:, -1], v @ moments @ v / moments.trace(axis1=1, axis2=2)

    scratch, untrained, trained = drawn("scratch", 1, 0), drawn("covariance", 2, 0), drawn("covariance", 2, 400)
    for mine, theirs in zip(untrained, scratch, strict=True):
        assert stats.ks_2samp(mine, theirs).pvalue > 1e-6
    assert stats.ks_2samp(trained[1], scratch[1]).pvalue < 1e-6


def test_a_planted_effect_is_found():
    """Upstream and downstream have one linear teacher: the trained network is ahead, and so is its covariance."""
    experiment = Experiment(
        upstream=Upstream(
            data=Data(kind="gaussian", spectrum=(1.0,) * 12, samples=200),
            labels=Labels(kind="teacher"),
            network=Network(kind="mlp", hidden=(30,), init_variance=(0.1, 1.0)),
            training=Training(learning_rate=0.1, batch_size=20, steps=300),
        ),
        treatment=Treatments(kinds=("scratch", "pretrained", "covariance", "spectrum")),
        downstream=Downstream(
            samples=100,
            labels=Labels(kind="teacher"),
            training=Training(learning_rate=0.1, batch_size=20, steps=(0, 10, 20)),
        ),
        ensemble=Ensemble(replicas=48),
    )
    result = run(experiment)
    scratch = result["scratch"].curves.mean_loss()
    for name, found in (("pretrained", True), ("covariance", True), ("spectrum", False)):
        pvalue = stats.ttest_1samp(result[name].curves.mean_loss() - scratch, 0, alternative="less").pvalue
        assert (pvalue < 1e-6) == found, (name, pvalue)


def test_the_whole_walk_against_plain_loops():
    """One nn.Module and torch.optim.SGD per replica: upstream, rescaling, downstream."""
    experiment = small(kinds=("scratch", "pretrained", "rescaled"), replicas=3)
    result, inputs = run(experiment), TransferDraws(experiment).take(range(3))
    trained = naive_train(experiment.upstream_setting, inputs.upstream)[30]
    sizes = [[w.flatten(1).norm(dim=1)[:, None, None] for w in found] for found in (inputs.init, trained)]
    rescaled = [w * before / after for w, before, after in zip(trained, *sizes, strict=True)]
    setting, down = experiment.downstream_setting, inputs.downstream
    for name, start in (("scratch", inputs.init), ("pretrained", trained), ("rescaled", rescaled)):
        read = naive_train(setting, Inputs(down.x, down.y, tuple(start), down.orders))
        for k, step in enumerate((0, 4, 9)):
            outputs = forward(setting.network, tuple(read[step]), down.x)
            loss = torch.nn.functional.cross_entropy(outputs.transpose(1, 2), down.y, reduction="none").mean(1)
            right = (outputs.argmax(2) == down.y).double().mean(1)
            np.testing.assert_allclose(result[name].curves.train_loss[:, k], loss.detach(), rtol=1e-9)
            np.testing.assert_allclose(result[name].curves.train_accuracy[:, k], right, rtol=1e-12)


# ---- divergence


def test_replicas_that_diverge_are_left_out_of_all_treatments(monkeypatch):
    experiment = small(kinds=("scratch", "pretrained", "covariance"), replicas=5)
    whole = run(experiment)
    train = engine.train_upstream

    def spoiled(setting, until, inputs):
        ended = train(setting, until, inputs)
        ended.parameters[1][2] = torch.nan
        return ended

    monkeypatch.setattr(engine, "train_upstream", spoiled)
    result = run(experiment)
    assert (result.replicas, result.diverged) == (5, 1)
    kept = [0, 1, 3, 4]
    for name in ("scratch", "pretrained"):
        np.testing.assert_array_equal(result[name].curves.train_loss, whole[name].curves.train_loss[kept])
        assert result[name].weights[0].replicas == 4
    assert np.isfinite(result["covariance"].curves.train_loss).all()


def test_nothing_finite_upstream_is_said():
    experiment = small(replicas=3, activation="identity")
    training = Training(loss="mse", learning_rate=1e6, steps=60)
    upstream = msgspec.structs.replace(experiment.upstream, training=training)
    with pytest.raises(InvalidInput, match=r"upstream.training.learning_rate = 1000000.0: leaves 0 of 3 replicas"):
        run(msgspec.structs.replace(experiment, upstream=upstream))
