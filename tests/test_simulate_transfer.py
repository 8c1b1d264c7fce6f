"""Transfer experiments: pairing, disjoint rows, upstream training that ends, and what is measured."""

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
from simulate.transfer.measures import PROBED, layer_states, scores
from simulate.transfer.upstream import train_upstream
from tests.oracles.training import naive_train
from theory.setting import (
    Data,
    Downstream,
    Ensemble,
    Experiment,
    InvalidInput,
    Labels,
    Network,
    Setting,
    Training,
    Treatments,
    Until,
    Upstream,
)

TRAINING = Training(loss="cross-entropy", learning_rate=0.1, momentum=0.9, batch_size=8, steps=30)
ALL = (
    "scratch",
    "pretrained",
    "rescaled",
    {"kind": "first-layers", "layers": 1},
    {"kind": "first-layers", "layers": 3},
    "covariance",
    "recursive",
    "eigenvectors",
    "spectrum",
)


def small(*, kinds=ALL, replicas=7, seed=0, steps=30, until=None, **network) -> Experiment:
    """Random classes upstream and downstream: a network so small that all treatments take a moment."""
    return Experiment(
        upstream=Upstream(
            data=Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0, 3.0), samples=26),
            labels=Labels(kind="classes", classes=3),
            network=Network(**{"kind": "mlp", "hidden": (8, 6), **network}),
            training=msgspec.structs.replace(TRAINING, steps=steps),
            until=until,
        ),
        treatment=Treatments(kinds=kinds),
        downstream=Downstream(
            samples=20,
            held_out=9,
            labels=Labels(kind="classes", classes=3),
            training=msgspec.structs.replace(TRAINING, steps=(0, 4, 9)),
        ),
        ensemble=Ensemble(replicas=replicas, seed=seed),
    )


def bits(result: TransferResult, replicas: int | None = None) -> list[bytes]:
    """Every array of a result, of the first replicas."""
    arrays = [result.upstream.steps, result.upstream.fitted, result.upstream.loss, result.upstream.accuracy]
    for treated in result.treated:
        for record in (treated.curves, treated.layers):
            arrays += [getattr(record, name) for name in record.__dataclass_fields__ if name != "steps"]
    return [array[:replicas].tobytes() for array in arrays]


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
    seen: list[Inputs] = []

    class Recorder:
        def __init__(self, kernel):
            self.kernel = kernel

        def train(self, setting, inputs):
            seen.append(inputs)
            return self.kernel.train(setting, inputs)

    made = engine.Engine.__init__

    def recording(self, *arguments, **options):
        made(self, *arguments, **options)
        self._kernel = Recorder(self._kernel)

    monkeypatch.setattr(engine.Engine, "__init__", recording)
    run(small())
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
        """The loss downstream, and the share of the first layer along the data's first direction, one a replica."""
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
    """One nn.Module and torch.optim.SGD a replica: upstream, rescaling, downstream."""
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


# ---- upstream


@pytest.mark.parametrize("until", [Until(accuracy=0.7), Until(loss=0.8, every=5), Until(accuracy=1.0)])
@pytest.mark.parametrize("network", [{}, {"bias": True, "train": "first"}])
def test_each_replica_ends_at_its_own_first_good_check(until, network):
    """Against a loop of nn.Module and torch.optim, read at every check."""
    experiment = small(replicas=6, until=until, **network)
    setting, inputs = experiment.upstream_setting, TransferDraws(experiment).take(range(6)).upstream
    ended = train_upstream(setting, until, inputs)
    every = 26 // 8 if until.every == "epoch" else until.every
    checks = (*range(0, 30, every), 30)
    read = naive_train(with_steps(setting, checks), inputs)
    for replica in range(6):
        step, fitted = first_good(setting, until, read, inputs, checks, replica)
        assert (int(ended.steps[replica]), bool(ended.fitted[replica])) == (step, fitted)
        for mine, theirs in zip(ended.parameters, read[step], strict=True):
            torch.testing.assert_close(mine[replica], theirs[replica], rtol=1e-9, atol=1e-11)


def test_the_checks_of_replicas_differ():
    """Or the test above would show nothing."""
    steps = run(small(kinds=("scratch",), replicas=12, until=Until(accuracy=0.7))).upstream.steps
    assert len(set(steps.tolist())) > 2


def with_steps(setting: Setting, steps: tuple[int, ...]) -> Setting:
    return msgspec.structs.replace(setting, training=msgspec.structs.replace(setting.training, steps=steps))


def first_good(setting, until, read, inputs, checks, replica) -> tuple[int, bool]:
    y = inputs.y[replica]
    for step in checks:
        one = tuple(w[replica : replica + 1] for w in read[step])
        outputs = forward(setting.network, one, inputs.x[replica : replica + 1])[0]
        accuracy = (outputs.argmax(1) == y).double().mean()
        loss = torch.nn.functional.cross_entropy(outputs, y)
        if (accuracy >= until.accuracy) if until.accuracy else (loss <= until.loss):
            return step, True
    return checks[-1], False


def filters(path: str) -> Experiment:
    """A small convolution on images (40, 2, 5, 5)."""
    training = Training(loss="cross-entropy", learning_rate=0.1, batch_size=6, steps=300)
    return Experiment(
        upstream=Upstream(
            data=Data(kind="array", path=path, samples=12),
            labels=Labels(kind="classes", classes=2),
            network=Network(kind="conv", filters=5, hidden=(6,), bias=True),
            training=training,
            until=Until(accuracy=1.0),
        ),
        treatment=Treatments(kinds=("scratch", "rescaled", "covariance", "eigenvectors", "spectrum")),
        downstream=Downstream(
            samples=12,
            held_out=4,
            labels=Labels(kind="classes", classes=2),
            training=msgspec.structs.replace(training, steps=(0, 10)),
        ),
        ensemble=Ensemble(replicas=3),
    )


def test_filters_are_trained_until_they_fit(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((40, 2, 5, 5)))
    experiment = filters(str(tmp_path / "x.npy"))
    result = run(experiment)
    assert result.upstream.fitted.all()
    assert (result.upstream.accuracy == 1).all()
    assert result["covariance"].weights[0].second_moment.shape == (18, 18)
    assert result["scratch"].layers.active.shape == (3, 2, 2)
    assert bits(run(experiment, chunk=1)) == bits(result)


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


# ---- measures


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_layer_states_are_what_their_words_say(activation):
    network = Network(kind="mlp", hidden=(7, 5), activation=activation)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, PROBED + 40, 3))
    weights = [rng.standard_normal((2, *shape)) for shape in ((7, 3), (5, 7), (2, 5))]
    weights[1][1] = -np.abs(weights[1][1])  # relu: the second replica's second layer is dead
    found = layer_states(network, tuple(map(torch.tensor, weights)), torch.tensor(x)).numpy()
    act = {"relu": lambda z: np.maximum(z, 0), "tanh": np.tanh}[activation]
    for replica in range(2):
        h = x[replica, :PROBED]
        for layer in range(2):
            h = act(h @ weights[layer][replica].T)
            spectrum = np.linalg.eigvalsh(np.cov(h.T))
            rank = spectrum.sum() ** 2 / np.square(spectrum).sum() if h.any() else 0.0
            expected = [(h > 0).mean(), (h > 0).any(axis=0).mean(), rank]
            np.testing.assert_allclose(found[replica, layer], expected, rtol=1e-10)


def test_wide_layers_have_the_rank_of_their_rows():
    network = Network(kind="mlp", hidden=(50,))
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((1, 12, 3)), rng.standard_normal((1, 50, 3))
    parameters = (torch.tensor(w), torch.zeros(1, 1, 50, dtype=torch.float64))
    spectrum = np.linalg.eigvalsh(np.cov(np.maximum(x[0] @ w[0].T, 0).T))
    rank = layer_states(network, parameters, torch.tensor(x))[0, 0, 2]
    np.testing.assert_allclose(rank, spectrum.sum() ** 2 / np.square(spectrum).sum(), rtol=1e-9)


def test_accuracy_of_classes_and_of_centred_targets():
    network = Network(kind="linear")
    x, w = torch.eye(3).expand(2, 3, 3), torch.eye(3).expand(2, 3, 3)
    classes = torch.tensor([[0, 1, 2], [1, 1, 0]])
    targets = torch.nn.functional.one_hot(classes).float() - 1 / 3
    for y in (classes, targets):
        assert scores(network, (w,), x, y, classes=True)[1].tolist() == [1.0, 1 / 3]
    loss, accuracy = scores(network, (w,), x, targets, classes=False)
    assert accuracy is None
    np.testing.assert_allclose(loss, 0.5 * (torch.eye(3) - targets).square().sum(2).mean(1), rtol=1e-6)


def test_curves_are_averaged_over_steps_not_readings():
    curves = run(small(kinds=("scratch",), replicas=3))["scratch"].curves
    loss = curves.train_loss
    expected = (4 * (loss[:, 0] + loss[:, 1]) / 2 + 5 * (loss[:, 1] + loss[:, 2]) / 2) / 9
    np.testing.assert_allclose(curves.mean_loss(), expected, rtol=1e-14)
    np.testing.assert_allclose(curves.mean_loss(4), (loss[:, 0] + loss[:, 1]) / 2, rtol=1e-14)
    np.testing.assert_array_equal(curves.mean_accuracy(0), curves.train_accuracy[:, 0])
    with pytest.raises(InvalidInput, match="last = 5: must be a reading"):
        curves.mean_loss(5)


def test_steps_to_an_accuracy():
    curves = run(small(kinds=("scratch",), replicas=2))["scratch"].curves
    given = with_accuracy(curves, np.array([[0.1, 0.9, 0.5], [0.1, 0.2, 0.3]]))
    assert given.steps_to(0.9).tolist() == [4, np.inf]
    assert given.steps_to(0.1).tolist() == [0, 0]


def with_accuracy(curves, accuracy):
    return type(curves)(curves.steps, curves.train_loss, accuracy, None, None)


def test_readings_hold_the_weights_and_their_norms():
    result = run(small(kinds=("scratch", "pretrained")))
    for treated in result.treated:
        for k, reading in enumerate(treated.weights):
            sizes = np.square(treated.layers.norm[:, k, 0])
            np.testing.assert_allclose(8 * reading.second_moments.trace(axis1=1, axis2=2), sizes, rtol=1e-12)
    with pytest.raises(InvalidInput, match="treatment = 'recursive': must be one of scratch, pretrained"):
        result["recursive"]


def test_labels_that_are_reals_have_no_accuracy():
    experiment = Experiment(
        upstream=Upstream(
            data=Data(kind="gaussian", spectrum=(1.0, 2.0), samples=10),
            network=Network(kind="linear"),
            training=Training(learning_rate=0.01, steps=3),
        ),
        treatment=Treatments(kinds=("scratch", "rescaled", "spectrum")),
        downstream=Downstream(samples=6, training=Training(learning_rate=0.01, steps=(0, 3))),
        ensemble=Ensemble(replicas=3),
    )
    result = run(experiment)
    curves = result["rescaled"].curves
    assert curves.train_accuracy is curves.test_loss is result.upstream.accuracy is None
    assert result["rescaled"].layers.active.shape == (3, 2, 0)
    with pytest.raises(InvalidInput, match="must be classes for an accuracy to exist"):
        curves.mean_accuracy()
