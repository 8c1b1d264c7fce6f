"""Ensembles: the same bits whatever the chunks and threads, blocks, divergence, memory, bad arguments."""

import tracemalloc

import msgspec
import numpy as np
import pytest
import torch

import simulate
from simulate.devices import one_thread
from simulate.moments import Blocks, block_count
from theory.setting import Data, Ensemble, InvalidInput, Labels, Network, Setting, Training

DATA = Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples=9)
MLP = Network(kind="mlp", hidden=(5,))


def test_public_names():
    assert simulate.__all__ == [
        "FeatureReading",
        "Features",
        "InitialOverlaps",
        "Inputs",
        "Population",
        "SequenceResult",
        "SimulatedReading",
        "Simulation",
        "TaskCurves",
        "digest",
        "features",
        "initial_overlaps",
        "merge",
        "population",
        "replica_inputs",
        "rows",
        "run",
        "run_sequence",
        "task_inputs",
        "train",
    ]


def test_moments_are_those_of_the_trained_weights():
    setting = Setting(data=DATA, network=MLP, training=Training(steps=(0, 4, 9), batch_size=4))
    simulation = simulate.run(setting, replicas=7)
    inputs = simulate.replica_inputs(setting, range(7))
    trained = simulate.train(setting, inputs)
    assert [reading.step for reading in simulation.readings] == [0, 4, 9]
    assert (simulation.replicas, simulation.diverged, simulation.width) == (7, 0, 5)
    assert np.array_equal(simulation.data_moment, simulate.population(setting).second_moment)
    for reading in simulation.readings:
        w, a = (p.numpy() for p in trained[reading.step])
        assert np.array_equal(reading.counts, np.ones(7))
        for r in range(7):
            np.testing.assert_allclose(reading.second_moments[r], w[r].T @ w[r] / 5, rtol=1e-12)
            np.testing.assert_allclose(reading.means[r], w[r].mean(0), rtol=1e-9, atol=1e-15)
            f = np.maximum(inputs.x[r].numpy() @ w[r].T, 0) @ a[r].T
            np.testing.assert_allclose(reading.losses[r], 0.5 * np.mean((f - inputs.y[r].numpy()) ** 2), rtol=1e-12)


def bits(simulation):
    return [
        array.tobytes()
        for reading in simulation.readings
        for array in (reading.counts, reading.second_moments, reading.means, reading.losses)
    ]


SHAPES = {
    # Products of 33 × 31 and 31 × 17 matrices of float64 round differently at odd places of a batch.
    "odd": Setting(
        data=Data(kind="gaussian", spectrum=(1.0,) * 31, samples=33),
        network=Network(kind="mlp", hidden=(17,), bias=True),
        training=Training(steps=(0, 3)),
    ),
    "linear": Setting(data=DATA, training=Training(steps=(2, 5), momentum=0.9)),
    "tanh, shuffled": Setting(
        data=DATA,
        labels=Labels(kind="classes", classes=3),
        network=Network(kind="mlp", hidden=(7, 3), activation="tanh"),
        training=Training(steps=5, batch_size=2, loss="cross-entropy"),
    ),
    "online": Setting(
        data=msgspec.structs.replace(DATA, samples="online"),
        network=MLP,
        training=Training(steps=4, batch_size=3, sampling="fresh"),
    ),
    "fixed": Setting(data=msgspec.structs.replace(DATA, fixed=True), network=MLP, training=Training(steps=4)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SHAPES)
def test_bits_do_not_depend_on_chunks(name, dtype):
    setting = msgspec.structs.replace(SHAPES[name], ensemble=Ensemble(dtype=dtype))
    whole = bits(simulate.run(setting, replicas=70))
    for chunk in (7, 64, 1000):
        assert bits(simulate.run(setting, replicas=70, chunk=chunk)) == whole
    alone = simulate.run(setting, replicas=5, chunk=1).readings
    for reading, other in zip(simulate.run(setting, replicas=70).readings, alone, strict=True):
        assert reading.second_moments[:5].tobytes() == other.second_moments.tobytes()
        assert reading.losses[:5].tobytes() == other.losses.tobytes()


def test_bits_do_not_depend_on_threads():
    threads = torch.get_num_threads()
    runs = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            runs.append(bits(simulate.run(SHAPES["odd"], replicas=20)))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    assert runs[0] == runs[1]


def test_threads_are_restored_after_an_error():
    @one_thread()
    def fail():
        assert torch.get_num_threads() == 1
        raise RuntimeError

    threads = torch.get_num_threads()
    with pytest.raises(RuntimeError):
        fail()
    assert torch.get_num_threads() == threads


def test_a_growing_ensemble_keeps_its_replicas():
    setting = SHAPES["linear"]
    some, all_blocks, twice = (simulate.run(setting, replicas=replicas).readings[0] for replicas in (300, 512, 1024))
    assert some.second_moments.tobytes() == all_blocks.second_moments[:300].tobytes()
    assert np.array_equal(twice.counts, np.full(512, 2))
    w = simulate.train(setting, simulate.replica_inputs(setting, range(512, 1024)))[2][0]
    new = (w.transpose(1, 2) @ w).numpy()
    np.testing.assert_allclose(twice.second_moments, (all_blocks.second_moments + new) / 2, rtol=1e-12)


def test_seeds_are_different_ensembles():
    runs = [
        simulate.run(msgspec.structs.replace(SHAPES["linear"], ensemble=Ensemble(seed=seed)), replicas=3)
        for seed in (0, 1)
    ]
    assert bits(runs[0]) != bits(runs[1])


def test_blocks_against_a_literal_sum():
    rng = np.random.default_rng(0)
    replicas, d, count = 53, 2, 8
    moments, means, losses = rng.random((replicas, d, d)), rng.random((replicas, d)), rng.random(replicas)
    kept = rng.random(replicas) < 0.7
    kept[5::8] = False  # a block without replicas
    blocks = Blocks(3, d, count)
    for first, last in ((0, 1), (1, 4), (4, 29), (29, 53)):
        here = slice(first, last)
        blocks.add(first, moments[here], means[here], losses[here], kept[here])
    reading = blocks.reading()
    members = [[r for r in range(replicas) if r % count == k and kept[r]] for k in range(count)]
    members = [block for block in members if block]
    assert len(members) == count - 1
    assert reading.counts.tolist() == [len(block) for block in members]
    assert reading.replicas == kept.sum()
    for k, block in enumerate(members):
        np.testing.assert_allclose(reading.second_moments[k], moments[block].mean(0), rtol=1e-13)
        np.testing.assert_allclose(reading.means[k], means[block].mean(0), rtol=1e-13)
        np.testing.assert_allclose(reading.losses[k], losses[block].mean(), rtol=1e-13)
    np.testing.assert_allclose(reading.second_moment, moments[kept].mean(0), rtol=1e-13)


def test_memory_does_not_grow_with_replicas():
    setting = Setting(data=DATA, training=Training(steps=1))
    simulate.run(setting, replicas=10)
    peaks = []
    for replicas in (1000, 4000):
        tracemalloc.start()
        simulation = simulate.run(setting, replicas=replicas)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(simulation.readings[0].counts) == block_count(3) == 512
    assert peaks[1] < 1.1 * peaks[0]


def test_divergence_is_counted_and_excluded():
    """One weight, two rows: a replica diverges when |1 − η s| > 1, by far for some of them."""
    data = Data(kind="gaussian", spectrum=(1.0,), samples=2)
    setting = Setting(data=data, training=Training(learning_rate=2.0, steps=(0, 3000)))
    simulation = simulate.run(setting, replicas=200)
    inputs = simulate.replica_inputs(setting, range(200))
    x, y, w = (t.numpy() for t in (inputs.x[:, :, 0], inputs.y[:, :, 0], inputs.parameters[0][:, 0, 0]))
    s, limit = (x**2).mean(1), (x * y).mean(1) / (x**2).mean(1)
    size = 3000 * np.log10(np.abs(1 - 2 * s)) + np.log10(np.abs(w - limit))  # of w_t − limit, in digits
    # Squares overflow beyond 154 digits; no replica is so near to it that the count would be a matter of rounding.
    assert not ((size > 152) & (size < 156)).any()
    lost = size > 154
    assert 20 < lost.sum() < 180
    assert simulation.diverged == lost.sum()
    for reading in simulation.readings:
        assert reading.replicas == 200 - lost.sum()
        assert np.isfinite(reading.second_moments).all()
    np.testing.assert_allclose(simulation.readings[0].second_moments[:, 0, 0], w[~lost] ** 2, rtol=1e-13)
    # Excluded, they change no bit of the others.
    assert bits(simulate.run(setting, replicas=200, chunk=130)) == bits(simulation)


def test_all_diverged():
    setting = Setting(data=DATA, training=Training(learning_rate=1e9, steps=100))
    simulation = simulate.run(setting, replicas=5)
    assert simulation.diverged == 5
    assert simulation.readings[0].counts.shape == (0,)
    assert simulation.readings[0].second_moments.shape == (0, 3, 3)


def test_online_has_no_training_loss():
    reading = simulate.run(SHAPES["online"], replicas=4).readings[0]
    assert np.isnan(reading.losses).all()
    assert np.isfinite(reading.second_moments).all()


@pytest.mark.parametrize("name", SHAPES)
def test_no_step_at_all(name):
    setting = SHAPES[name]
    still = msgspec.structs.replace(setting, training=msgspec.structs.replace(setting.training, steps=0))
    reading = simulate.run(still, replicas=3).readings[0]
    w = simulate.replica_inputs(still, range(3)).parameters[0]
    expected = (w.transpose(1, 2) @ w / w.shape[1]).numpy()
    np.testing.assert_allclose(reading.second_moments, expected, rtol=1e-12)


def test_alignment_emerges():
    """τ of full-batch gradient descent on fixed rows, against the closed form: derived in docs/theory.md, 1.1."""
    data = Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0, 4.0), samples=12, fixed=True)
    setting = Setting(data=data, training=Training(steps=20, weight_decay=0.1))
    reading = simulate.run(setting, replicas=4000).readings[0]
    x = simulate.rows(setting)
    s, v = np.linalg.eigh(x.T @ x / 12)
    h = s + 0.1
    p = (1 - 0.05 * h) ** 20
    tau = p**2 / 4 + s * ((1 - p) / h) ** 2 / 12
    samples = np.einsum("ji,kjl,li->ki", v, reading.second_moments, v)
    z = (reading.counts @ samples / 4000 - tau) / (samples.std(0) / np.sqrt(len(samples)))
    assert np.abs(z).max() < 5.5
    assert np.abs(tau / tau.mean() - 1).max() > 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"replicas": 0}, "replicas = 0: must be at least 1"),
        ({"chunk": 0}, "chunk = 0: must be at least 1"),
        ({"device": "tpu"}, "device = 'tpu': must be 'auto', 'cpu', 'cuda' or 'cuda:N'"),
        ({"device": "cpu:1"}, "device = 'cpu:1': must be"),
        ({"device": "cuda:x"}, "device = 'cuda:x': must be"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InvalidInput) as caught:
        simulate.run(SHAPES["linear"], **arguments)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("replicas", [[], [-1], [0, 2**64 - 1]])
def test_bad_replica_numbers(replicas):
    with pytest.raises(InvalidInput, match=r"replicas = .*: must name at least one replica"):
        simulate.replica_inputs(SHAPES["linear"], replicas)


def test_progress_goes_to_stderr_only(capsys):
    simulate.run(SHAPES["linear"], replicas=3, progress=True)
    simulate.run(SHAPES["linear"], replicas=3)
    assert capsys.readouterr().out == ""


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SHAPES)
def test_a_gpu_runs_the_same_ensemble(name, dtype):
    setting = msgspec.structs.replace(SHAPES[name], ensemble=Ensemble(dtype=dtype))
    here, there = simulate.run(setting, replicas=70), simulate.run(setting, replicas=70, device="cuda")
    assert there.device.startswith("cuda:")
    tolerance = 1e-9 if dtype == "float64" else 1e-3
    for a, b in zip(here.readings, there.readings, strict=True):
        np.testing.assert_allclose(a.second_moments, b.second_moments, rtol=tolerance, atol=tolerance)
    assert bits(simulate.run(setting, replicas=70, device="cuda", chunk=7)) == bits(there)
