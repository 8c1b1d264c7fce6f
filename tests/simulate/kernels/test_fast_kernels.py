"""The fast kernels against one nn.Module and torch.optim per replica, over all that they train; and their promises."""

import msgspec
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import simulate
from simulate import networks
from simulate.inputs import Draws
from simulate.kernels import KERNELS, choose_kernel, general, linear, module, one_hidden
from simulate.kernels.descent import Descent
from simulate.kernels.minibatches import Minibatches
from simulate.tiles import tile_size
from tests.oracles.training import naive_train
from tests.simulate.image_settings import setting_of
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

CPU = torch.device("cpu")


@st.composite
def fast_settings(draw):
    """Linear models and one hidden layer, every loss, batch, variant of SGD and parametrization."""
    d, n, steps = draw(st.integers(1, 6)), draw(st.integers(2, 7)), draw(st.integers(1, 9))
    hidden = draw(st.sampled_from([(), (1,), (5,)]))
    network = Network(
        kind="mlp" if hidden else "linear",
        hidden=hidden,
        activation=draw(st.sampled_from(["relu", "tanh", "erf", "identity"])),
        parametrization=draw(st.sampled_from(["standard", "ntk"])),
        bias=draw(st.booleans()),
        train=draw(st.sampled_from(["all", "first"])),
    )
    momentum = draw(st.sampled_from([0.0, 0.9]))
    loss = draw(st.sampled_from(["mse", "cross-entropy"]))
    online = draw(st.booleans()) and draw(st.booleans())
    training = Training(
        loss=loss,
        learning_rate=0.1,
        momentum=momentum,
        nesterov=momentum > 0 and draw(st.booleans()),
        weight_decay=draw(st.sampled_from([0.0, 0.1])),
        drops=draw(st.sampled_from([(), ((2, 0.5),), ((0, 2.0), (4, 0.1))])),
        batch_size=draw(st.integers(1, n)) if online else draw(st.one_of(st.just("full"), st.integers(1, n))),
        sampling="fresh" if online else draw(st.sampled_from(["epochs", "fresh", "replacement"])),
        steps=draw(st.sampled_from([(steps,), (0, steps), (steps, steps + 1)])),
    )
    classes = draw(st.integers(2, 4))
    labels = (
        Labels(kind="classes", classes=classes) if loss == "cross-entropy" else Labels(outputs=draw(st.integers(1, 3)))
    )
    fixed = not online and draw(st.booleans())
    data = Data(kind="gaussian", spectrum=(1.0,) * d, samples="online" if online else n, fixed=fixed)
    return Setting(data=data, labels=labels, network=network, training=training)


@given(fast_settings(), st.integers(1, 3))
def test_fast_kernels_are_the_naive_loop(setting, replicas):
    assert choose_kernel(setting) in (linear, one_hidden)
    inputs = simulate.replica_inputs(setting, range(replicas))
    before = [tensor.clone() for tensor in (inputs.x, inputs.y, *inputs.parameters)]
    oracle = naive_train(setting, inputs)
    for kernel in (choose_kernel(setting), module):
        trained = kernel.train(setting, inputs)
        assert list(trained) == list(oracle)
        for step in oracle:
            for mine, naive, start in zip(trained[step], oracle[step], inputs.parameters, strict=True):
                scale = max(1.0, naive.abs().max().item())
                torch.testing.assert_close(mine, naive, rtol=0, atol=1e-10 * scale)
                assert mine.is_contiguous()
                assert mine.data_ptr() != start.data_ptr()
    # Inputs are left as they are, also where a layout with one row or neuron could share its memory with them.
    assert all(torch.equal(a, b) for a, b in zip(before, (inputs.x, inputs.y, *inputs.parameters), strict=True))


def large(outputs=1, loss="mse", **training):
    labels = Labels(outputs=outputs) if loss == "mse" else Labels(kind="classes", classes=outputs)
    return Setting(
        data=Data(kind="gaussian", spectrum=(1.0,) * 30, samples=64),
        labels=labels,
        network=Network(kind="mlp", hidden=(256,)),
        training=Training(loss=loss, learning_rate=0.01, **training),
    )


@pytest.mark.parametrize(
    "setting",
    [
        large(steps=20),
        large(steps=40, batch_size=16, momentum=0.9, nesterov=True, weight_decay=0.01),
        large(10, steps=20, weight_decay=0.01),
        large(10, "cross-entropy", steps=40, batch_size=16, momentum=0.9),
    ],
)
def test_sizes_that_are_measured(setting):
    """The kernel agrees with plain loops at the size of the benchmarks, where BLAS uses its fast code paths."""
    inputs = simulate.replica_inputs(setting, [0, 1])
    step = setting.training.readings[0]
    for mine, naive in zip(one_hidden.train(setting, inputs)[step], naive_train(setting, inputs)[step], strict=True):
        torch.testing.assert_close(mine, naive, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("steps", "takes"), [(7, "rows"), (8, "moments")])
def test_linear_models_on_all_rows(steps, takes, monkeypatch):
    """Long trainings go through second moments; both ways are the same numbers."""
    data = Data(kind="gaussian", spectrum=(1.0,) * 8, samples=20)
    setting = Setting(data=data, labels=Labels(outputs=2), training=Training(steps=steps, momentum=0.5))
    inputs = simulate.replica_inputs(setting, [0, 1])
    used = []
    for name in ("AllRows", "SomeRows"):
        kind = getattr(linear, name)
        monkeypatch.setattr(linear, name, lambda *args, kind=kind: used.append(kind) or kind(*args))
    trained = linear.train(setting, inputs)[steps][0]
    assert [kind.__name__ for kind in used] == ["SomeRows" if takes == "rows" else "AllRows"]
    torch.testing.assert_close(trained, naive_train(setting, inputs)[steps][0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("keys", [{"optimizer": "adam"}, {"optimizer": "signsgd"}, {"l1": 0.1}])
@pytest.mark.parametrize("hidden", [(), (5,)])
def test_other_optimizers_are_left_to_other_kernels(keys, hidden):
    data = Data(kind="gaussian", spectrum=(1.0, 2.0), samples=5)
    network = Network(kind="mlp" if hidden else "linear", hidden=hidden)
    setting = Setting(data=data, network=network, training=Training(steps=3, **keys))
    assert [name for name, kernel in KERNELS.items() if kernel.applies(setting)] == ["dense", "general"]


def test_a_gradient_that_is_a_product_can_be_wrong():
    """The folded Nesterov step, against the textbook's; without its correction of the decay it is seen to differ."""
    generator = torch.Generator().manual_seed(1)
    w = torch.randn(2, 3, 4, generator=generator, dtype=torch.float64)
    training = Training(momentum=0.9, nesterov=True, weight_decay=0.5)
    descent, v, expected = Descent(training, w.clone()), torch.zeros_like(w), w.clone()
    wrong, u = w.clone(), torch.zeros_like(w)
    for rate in (0.1, 0.1, 0.03):
        left = torch.randn(2, 3, 5, generator=generator, dtype=torch.float64)
        right = torch.randn(2, 5, 4, generator=generator, dtype=torch.float64)
        descent.step(left, right, 0.5, rate)
        gradient = 0.5 * left @ right + 0.5 * expected
        v = 0.9 * v + gradient
        expected = expected - rate * (gradient + 0.9 * v)
        u = 0.9 * u + 0.5 * left @ right + 0.5 * (wrong + rate * 0.9 * u)
        wrong = wrong + rate * 0.9 * u - rate * 1.9 * u
    torch.testing.assert_close(descent.weights, expected, rtol=1e-13, atol=1e-13)
    assert (wrong - expected).abs().max() > 1e-3


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize(("batch", "steps"), [(3, 10), (4, 5), (7, 3)])
def test_batches_are_the_rows_that_were_drawn(batch, steps, outputs, fixed):
    """Batches hold the drawn rows, also in a shorter last group of steps and when steps are asked for out of order."""
    data = Data(kind="gaussian", spectrum=(1.0, 2.0), samples=9, fixed=fixed)
    training = Training(steps=steps, batch_size=batch, sampling="replacement")
    setting = Setting(data=data, labels=Labels(outputs=outputs), training=training)
    inputs = simulate.replica_inputs(setting, [0, 1, 2])
    batches = Minibatches(setting, inputs, scale=2.0, ones=True)
    for step in (*range(steps), 0, steps - 1):
        x, y = batches.at(step)
        for r in range(3):
            chosen = inputs.orders[r, step]
            rows = (inputs.x if fixed else inputs.x[r])[chosen]
            assert torch.equal(x[r], torch.cat((2 * rows, torch.ones(batch, 1)), 1))
            assert torch.equal(y[r], inputs.y[r][chosen])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "setting",
    [
        large(steps=3),
        large(3, "cross-entropy", steps=6, batch_size=5),
        Setting(data=Data(kind="gaussian", spectrum=(1.0,) * 17, samples=33), training=Training(steps=40)),
        Setting(data=Data(kind="gaussian", spectrum=(1.0,) * 17, samples=33), training=Training(steps=9, batch_size=5)),
    ],
)
def test_bits_do_not_depend_on_chunks(setting, dtype):
    setting = msgspec.structs.replace(setting, ensemble=Ensemble(dtype=dtype))
    whole = simulate.run(setting, replicas=40).readings[0]
    for chunk in (1, 7):
        pieces = simulate.run(setting, replicas=11, chunk=chunk).readings[0]
        assert pieces.second_moments.tobytes() == whole.second_moments[:11].tobytes()
        assert pieces.losses.tobytes() == whole.losses[:11].tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_of_replicas_trained_one_by_one(dtype):
    setting = msgspec.structs.replace(large(3, "cross-entropy", steps=6, batch_size=5), ensemble=Ensemble(dtype=dtype))
    whole = simulate.run(setting, replicas=9, kernel="module").readings[0]
    for chunk in (1, 4):
        pieces = simulate.run(setting, replicas=5, chunk=chunk, kernel="module").readings[0]
        assert pieces.second_moments.tobytes() == whole.second_moments[:5].tobytes()
        assert pieces.losses.tobytes() == whole.losses[:5].tobytes()
    # Nor on who else is in the batch, nor on the slot.
    inputs = simulate.replica_inputs(setting, [3, 0]).to(CPU, getattr(torch, dtype))
    alone = simulate.replica_inputs(setting, [0]).to(CPU, getattr(torch, dtype))
    for a, b in zip(module.train(setting, inputs)[6], module.train(setting, alone)[6], strict=True):
        assert torch.equal(a[1], b[0])


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("name", ["mse", "no dense hidden layer", "bias, nesterov, cross-entropy", "ntk, tanh, first"])
def test_filters_one_by_one_are_the_naive_loop(name, fixed, path, monkeypatch):
    setting = setting_of(name, path, fixed=fixed)
    inputs = simulate.replica_inputs(setting, [0, 1, 5])
    oracle = naive_train(setting, inputs)
    for held in (networks.HELD, 1500):  # all rows at once, and in parts
        monkeypatch.setattr(networks, "HELD", held)
        for step, parameters in module.train(setting, inputs).items():
            for mine, naive in zip(parameters, oracle[step], strict=True):
                torch.testing.assert_close(mine, naive, rtol=1e-10, atol=1e-10)


def test_torchs_generator_is_left_alone():
    state = torch.get_rng_state()
    setting = large(3, steps=1)
    module.train(setting, simulate.replica_inputs(setting, [0]))
    assert torch.equal(torch.get_rng_state(), state)


def test_replicas_are_trained_one_by_one_where_filters_feed_many_weights():
    def chosen(filters, *hidden, **training):
        network = Network(kind="conv", filters=filters, hidden=hidden)
        return choose_kernel(Setting(data=Data(kind="photographs"), network=network, training=Training(**training)))

    assert chosen(256, 64) is chosen(128, 64) is module
    assert chosen(64, 64) is chosen(256) is general
    assert chosen(256, 64, optimizer="adam") is chosen(256, 64, l1=0.1) is general
    assert (
        choose_kernel(msgspec.structs.replace(large(), network=Network(kind="mlp", hidden=(4096, 4096)))) is not module
    )


def test_tiles_are_as_large_as_the_kernel_likes():
    single = Ensemble(dtype="float32")
    data = Data(kind="gaussian", spectrum=(1.0,) * 64, samples=256)
    shuffled = Setting(data=data, training=Training(steps=256, batch_size=8), ensemble=single)
    whole = Setting(data=data, training=Training(steps=256), ensemble=single)
    assert tile_size(shuffled, Draws(shuffled), CPU) == 64
    assert tile_size(whole, Draws(whole), CPU) == 252
    wide = msgspec.structs.replace(large(steps=9, batch_size=32), ensemble=single)
    sizes = {
        name: tile_size(wide, Draws(wide), CPU, kernel) for name, kernel in KERNELS.items() if kernel.applies(wide)
    }
    assert sizes["one-hidden"] > sizes["dense"] > 1


def test_a_lost_replica_stays_lost():
    """Weights that overflow are not hidden by a product with zero, nor spread to other replicas."""
    setting = large(steps=30, batch_size=16)
    inputs = simulate.replica_inputs(setting, [0, 1, 2])
    inputs.parameters[0][1] *= 1e200
    trained = one_hidden.train(setting, inputs)[30]
    assert not trained[0][1].isfinite().all()
    alone = one_hidden.train(setting, simulate.replica_inputs(setting, [0, 1, 2]))[30]
    for a, b in zip(trained, alone, strict=True):
        assert torch.equal(a[[0, 2]], b[[0, 2]])


def test_settings_reach_every_way():
    """The strategy above does draw what it says, each of it."""
    seen = {"online": 0, "moments": 0, "single": 0, "several": 0, "first": 0, "fixed": 0, "bias": 0}

    @settings(derandomize=True, max_examples=200)
    @given(fast_settings())
    def count(setting):
        seen["online"] += setting.data.samples == "online"
        seen["fixed"] += setting.data.fixed
        seen["bias"] += setting.network.bias
        seen["first"] += setting.network.train == "first"
        hidden = bool(setting.network.widths)
        seen["single"] += hidden and setting.outputs == 1
        seen["several"] += hidden and setting.outputs > 1
        long = setting.data.dimension <= setting.training.readings[-1]
        seen["moments"] += not hidden and setting.full_batch and setting.training.loss == "mse" and long

    count()
    assert all(number >= 5 for number in seen.values()), seen
