"""Exported programs and chains of words are the models they were made from; nothing in a file runs."""

import json
import shutil
import zipfile

import numpy as np
import pytest
import torch

from reports.check import check
from reports.models.chain import chain
from reports.models.files import load_model, read_state
from reports.models.layers import taps
from reports.models.program import load_program
from reports.models.program_file import is_program
from tests.reports.models.networks import Sentences, convolutional, images, tokens
from tests.reports.models.test_model import ROWS, mlp, numbers
from theory.errors import InvalidInput

nn = torch.nn
STEPS = "0(padding=1,stride=2) 1 relu 3(groups=2) relu flatten 6"


def linear_program(path, rows=3, strides=(5, 1)):
    """A program of one dense layer, written by hand; its file may claim more rows than the weights have."""
    weight = nn.Linear(5, 3).weight.detach()
    sizes = [[{"as_int": rows}, {"as_int": 5}], [{"as_int": stride} for stride in strides]]
    meta = {"dtype": 7, "sizes": sizes[0], "strides": sizes[1], "storage_offset": {"as_int": 0}}
    tensor = {name: {"as_tensor": {"name": name}} for name in ("x", "w", "y")}
    node = {
        "target": "torch.ops.aten.linear.default",
        "inputs": [{"name": "input", "arg": tensor["x"]}, {"name": "weight", "arg": tensor["w"]}],
        "outputs": [tensor["y"]],
    }
    specs = [
        {"parameter": {"arg": {"name": "w"}, "parameter_name": "fc.weight"}},
        {"user_input": {"arg": tensor["x"]}},
    ]
    graph = {"nodes": [node], "tensor_values": {"x": {"sizes": [{"as_expr": {}}, {"as_int": 5}]}}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("p/archive_format", "pt2")
        archive.writestr("p/byteorder", "little")
        program = {"graph_module": {"graph": graph, "signature": {"input_specs": specs}}}
        archive.writestr("p/models/model.json", json.dumps(program))
        config = {"config": {"fc.weight": {"path_name": "weight_0", "use_pickle": False, "tensor_meta": meta}}}
        archive.writestr("p/data/weights/model_weights_config.json", json.dumps(config))
        archive.writestr("p/data/weights/weight_0", weight.numpy().tobytes())
    return path, weight


@pytest.fixture
def program(tmp_path):
    return linear_program(tmp_path / "linear.pt2")[0]


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """A convolutional network for any number of samples, one for 16 at a time, a transformer."""
    folder = tmp_path_factory.mktemp("programs")
    batch = {0: torch.export.Dim("n", min=2)}
    network = convolutional().eval()
    torch.export.save(torch.export.export(network, (images(4),), dynamic_shapes=(batch,)), folder / "any.pt2")
    torch.export.save(torch.export.export(network, (images(16),)), folder / "sixteen.pt2")
    torch.export.save(
        torch.export.export(Sentences().eval(), (tokens(4),), dynamic_shapes=(batch,)), folder / "words.pt2"
    )
    return folder


def changed(path, out, change):
    """A copy of a program whose graph `change` has altered."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            content = old.read(info)
            if info.filename.endswith("models/model.json"):
                graph = json.loads(content)
                change(graph["graph_module"])
                content = json.dumps(graph).encode()
            new.writestr(info.filename, content)
    return out


def test_a_program_is_read_as_it_is_written(tmp_path):
    path, weight = linear_program(tmp_path / "linear.pt2")
    found, alone = check(load_program(path), ROWS), check(weight, ROWS)
    assert is_program(path)
    assert [(layer.name, layer.kind) for layer in found.layers] == [("fc", "dense")]
    assert found["fc"].rank == alone.rank == 3
    torch.testing.assert_close(load_program(path).taps()[0][0].layer.weights(), weight, rtol=0, atol=0)


@pytest.mark.slow
def test_a_program_is_its_model(programs):
    found = check(load_program(programs / "any.pt2"), images())
    network = check(convolutional(), images())
    assert [layer.name for layer in found.layers] == [layer.name for layer in network.layers]
    assert [layer.kind for layer in found.layers] == [layer.kind for layer in network.layers]
    assert numbers(found) == numbers(network)


@pytest.mark.slow
def test_a_program_takes_the_weights_of_its_model_before_training(programs):
    """Weights are found by their names in the model; the result is a new program, and the given one stays as it is."""
    torch.manual_seed(5)
    initial = convolutional().state_dict()
    state = {name: torch.randn_like(each) if each.is_floating_point() else each for name, each in initial.items()}
    given = load_program(programs / "any.pt2")
    earlier = given.with_weights(state)
    for tap in earlier.taps()[0]:
        assert torch.equal(tap.layer.weights().flatten(), _vectors(state, tap.layer.name).flatten())
    both = zip(earlier.taps()[0], given.taps()[0], strict=True)
    assert not any(torch.equal(new.layer.weights(), old.layer.weights()) for new, old in both)
    state["0.weight"] = state["0.weight"][:, :, :1]
    with pytest.raises(InvalidInput, match="it has the shape"):
        given.with_weights(state)


def _vectors(state, name):
    """The weights of a layer, or of one of two groups of its filters."""
    key, _, group = name.partition(" ")
    weight = state[f"{key}.weight"]
    return weight if not group else weight.chunk(2)[int(group[1]) - 1]


def test_a_program_of_one_batch_size_is_run_by_it(programs):
    found = check(load_program(programs / "sixteen.pt2"), images(100))
    assert found.samples == 96
    with pytest.raises(InvalidInput, match="at least 16 samples"):
        check(load_program(programs / "sixteen.pt2"), images(15))


@pytest.mark.slow
def test_a_program_shows_what_attention_hides(programs):
    found = check(load_program(programs / "words.pt2"), tokens())
    names = ["embed", "block.self_attn.in_proj_weight", "block.self_attn.out_proj"]
    assert [layer.name for layer in found.layers][:3] == names
    hooked = check(Sentences(), tokens())
    for name in ("embed", "block.linear2", "head"):
        assert found[name].transfer_function.sigma == pytest.approx(hooked[name].transfer_function.sigma, rel=1e-4)


@pytest.mark.parametrize("target", ["torch.os.system", "torch.ops.aten.from_file.default", "_operator.methodcaller"])
def test_functions_that_are_not_listed_are_refused_unrun(program, tmp_path, target):
    def hostile(graph):
        node = graph["graph"]["nodes"][0]
        node["target"] = target
        node["inputs"] = [{"name": "command", "arg": {"as_string": f"touch {tmp_path}/ran"}, "kind": 1}]

    path = changed(program, tmp_path / "hostile.pt2", hostile)
    with pytest.raises(InvalidInput, match="not among the functions"):
        load_program(path)
    assert not (tmp_path / "ran").exists()


def test_sizes_that_would_fill_memory_are_refused(program, tmp_path):
    def hostile(graph):
        zeros = {
            "target": "torch.ops.aten.zeros.default",
            "inputs": [{"name": "size", "arg": {"as_ints": [2**40]}, "kind": 1}],
            "outputs": [{"as_tensor": {"name": "huge"}}],
        }
        graph["graph"]["nodes"].append(zeros)

    path = changed(program, tmp_path / "hostile.pt2", hostile)
    with pytest.raises(InvalidInput, match="more than"):
        check(load_program(path), ROWS)


@pytest.mark.parametrize("strides", [(5, 1), (0, 1), (-5, 1)])
def test_few_bytes_cannot_stand_for_much_memory(tmp_path, strides):
    path, _ = linear_program(tmp_path / "hostile.pt2", rows=10**9, strides=strides)
    with pytest.raises(InvalidInput, match="shorter than its shape"):
        load_program(path)


def forget_sizes(graph):
    graph["graph"]["tensor_values"] = {}


def forget_inputs(graph):
    graph["signature"]["input_specs"] = [s for s in graph["signature"]["input_specs"] if "user_input" not in s]


def unknown_weights(graph):
    graph["signature"]["input_specs"][0]["parameter"]["parameter_name"] = "elsewhere"


@pytest.mark.parametrize("change", [forget_sizes, forget_inputs, unknown_weights])
def test_damaged_graphs_are_bad_input(program, tmp_path, change):
    with pytest.raises(InvalidInput):
        load_program(changed(program, tmp_path / "damaged.pt2", change))


def test_damaged_and_compressed_files_are_bad_input(program, tmp_path):
    with (
        zipfile.ZipFile(program) as old,
        zipfile.ZipFile(tmp_path / "z.pt2", "w", zipfile.ZIP_DEFLATED) as z,
    ):
        for info in old.infolist():
            z.writestr(info.filename, old.read(info))
    with pytest.raises(InvalidInput, match="compressed"):
        load_program(tmp_path / "z.pt2")
    with zipfile.ZipFile(program) as old, zipfile.ZipFile(tmp_path / "short.pt2", "w") as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info)[: 8 if info.filename.endswith("weight_0") else None])
    with pytest.raises(InvalidInput, match="shorter than its shape"):
        load_program(tmp_path / "short.pt2")
    shutil.copy(program, tmp_path / "cut.pt2")
    with open(tmp_path / "cut.pt2", "r+b") as file:
        file.truncate(1000)
    assert not is_program(tmp_path / "cut.pt2")


def test_a_chain_is_its_model():
    network = convolutional().eval()
    found = check(network.state_dict(), images(), forward=STEPS)
    assert [layer.name for layer in found.layers] == ["0", "3 (1/2)", "3 (2/2)", "6"]
    torch.testing.assert_close(chain(network.state_dict(), STEPS)(images()), network(images()))
    assert numbers(found) == numbers(check(network, images()))


def test_steps_may_be_the_ends_of_names():
    """Steps name the ends of keys in a file whose model is part of a larger one; an ambiguous end is refused."""
    network = convolutional().eval()
    state = {f"net_g.module.{key}": value for key, value in network.state_dict().items()}
    torch.testing.assert_close(chain(state, STEPS)(images()), network(images()))
    with pytest.raises(InvalidInput, match="neither a layer"):
        chain({**state, "net_d.0.weight": torch.ones(2, 2)}, STEPS)


def test_state_dicts_of_several_trainings_are_models_too():
    steps, states = "0 tanh 2 relu 4", [mlp(0).state_dict(), mlp(1).state_dict()]
    assert numbers(check(states, ROWS, forward=steps, layers="0")) == numbers(check([mlp(0), mlp(1)], ROWS, layers="0"))


def test_dense_layers_follow_each_other():
    """Layers are sorted by number, not by letter; a note says that relu is assumed between them."""
    layers = {f"net.{i}": nn.Linear(4, 4) for i in (2, 10)}
    state = {f"{key}.{name}": value for key, layer in layers.items() for name, value in layer.state_dict().items()}
    found = check(state, torch.randn(50, 4, generator=torch.Generator().manual_seed(0)))
    assert [layer.name for layer in found.layers] == ["net.2", "net.10"]
    assert "net.2 relu net.10 is assumed" in found.notes[0]


def test_a_model_and_its_mean_are_not_one_network(tmp_path):
    state = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)).state_dict()
    torch.save({"ema": state, "net": state}, tmp_path / "w.pt")
    with pytest.raises(InvalidInput, match="ema and net have the same layers: choose one of them, as FILE:ema"):
        load_model(str(tmp_path / "w.pt"))
    assert load_model(f"{tmp_path}/w.pt:ema")[1] == (
        "a file of weights does not say what is between the layers: 0 relu 2 is assumed",
    )
    torch.save({"ema": state, "state_dict": state}, tmp_path / "w.pt")
    assert [tap.layer.name for tap in taps(load_model(str(tmp_path / "w.pt"))[0])[0]] == ["0", "2"]


def test_files_without_layers_as_torch_names_them(tmp_path):
    np.savez(tmp_path / "w.npz", **{"dense.vars.0": np.ones((3, 4))})
    with pytest.raises(InvalidInput, match=r"called NAME\.weight, .* \(dense\.vars\.0\): check one layer at a time"):
        load_model(str(tmp_path / "w.npz"), "dense relu")


OPERATIONS = {
    "gelu": nn.functional.gelu,
    "leaky_relu(0.2)": lambda x: nn.functional.leaky_relu(x, 0.2),
    "max_pool(3,stride=1,padding=1)": lambda x: nn.functional.max_pool2d(x, 3, 1, 1),
    "avg_pool": lambda x: nn.functional.avg_pool2d(x, 2),
    "global_pool": lambda x: x.mean((2, 3)),
}


@pytest.mark.parametrize("word", OPERATIONS)
def test_words_are_functions(word):
    torch.testing.assert_close(chain({}, word)(images(4)), OPERATIONS[word](images(4)))


def test_layer_norm_is_a_step():
    norm = nn.LayerNorm(5)
    nn.init.normal_(norm.weight)
    torch.testing.assert_close(chain({f"n.{k}": v for k, v in norm.state_dict().items()}, "n")(ROWS), norm(ROWS))


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (None, "does not say what is between its layers"),
        ("0 os.system", "neither a layer"),
        ("0 rleu", r"did you mean 'relu'\?"),
        ("0(stride=x)", "must be a number"),
        ("0(stride=-1)", "must not be negative"),
        ("0(kernel=3)", "has the options"),
        ("6(stride=2)", "has the options: none"),
        ("0 (1)", "must be a name"),
        ("", "at least one step"),
        ("relu " * 10_001, "10000 steps"),
    ],
)
def test_steps_that_are_refused(steps, message):
    with pytest.raises(InvalidInput, match=message):
        chain(convolutional().state_dict(), steps)


def test_models_are_read_from_files(program, tmp_path):
    network = convolutional()
    torch.save({"net_g": network.state_dict(), "net_d": mlp(0).state_dict(), "epoch": 3}, tmp_path / "gan.pt")
    model, notes = load_model(f"{tmp_path}/gan.pt:net_g", STEPS)
    torch.testing.assert_close(model.eval()(images()), network.eval()(images()))
    assert notes == ()
    torch.save(mlp(0).state_dict(), tmp_path / "mlp.pt")
    assert "is assumed" in load_model(str(tmp_path / "mlp.pt"))[1][0]
    assert set(read_state(tmp_path / "gan.pt", "net_d")) == set(mlp(0).state_dict())
    with pytest.raises(InvalidInput, match="names begin with net_d, net_g"):
        load_model(f"{tmp_path}/gan.pt:net_x")
    with pytest.raises(InvalidInput, match="a program knows its steps"):
        load_model(str(program), "relu")
