"""What layers see, times their weights, is their output: for every kind of layer that is checked."""

import pytest
import torch

from reports.models.layers import chosen, taps
from theory.errors import InvalidInput

nn = torch.nn


def taken(module, *inputs, **named):
    """The taps of a module with the input that each of them takes, as hooks read it, and the module's output."""
    found, _ = taps(module)
    seen = {}
    for tap in found:

        def read(_, args, kwargs, tap=tap):
            seen.setdefault(tap.layer.name, []).append(tap.take(args, kwargs))

        tap.module.register_forward_pre_hook(read, with_kwargs=True)
    with torch.no_grad():
        output = module(*inputs, **named)
    return [(tap.layer, seen[tap.layer.name]) for tap in found], output


def products(layer, values):
    """(rows, m): every row that the layer sees, times every weight vector."""
    with torch.no_grad():
        rows = torch.cat([strip.to(torch.float64) for strip in layer.seen(values)])
        vectors = layer.weights().to(torch.float64)
    assert vectors.shape == (layer.filters, layer.dimension)
    assert rows.shape[1] == layer.dimension
    return rows @ vectors.T


CONVOLUTIONS = {
    "plain": (nn.Conv2d(3, 8, 3), (4, 3, 7, 9)),
    "strided, padded, dilated": (nn.Conv2d(3, 8, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(2, 1)), (4, 3, 9, 8)),
    "grouped": (nn.Conv2d(6, 8, 3, groups=2, padding=1), (4, 6, 5, 5)),
    "depthwise": (nn.Conv2d(12, 24, 3, groups=12), (4, 12, 5, 6)),
    "reflected": (nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect"), (4, 3, 5, 6)),
    "circular": (nn.Conv2d(3, 8, 3, padding=2, padding_mode="circular"), (4, 3, 5, 6)),
    "same, of an even side": (nn.Conv1d(3, 8, 4, padding="same"), (4, 3, 11)),
    "valid": (nn.Conv1d(3, 8, 4, padding="valid"), (4, 3, 11)),
    "three-dimensional": (nn.Conv3d(2, 5, (2, 3, 2), padding=(0, 1, 0)), (3, 2, 4, 5, 6)),
}


@pytest.mark.filterwarnings("ignore:Using padding=.same. with even kernel:UserWarning")
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_convolution_is_its_patches_times_its_filters(name):
    module, shape = CONVOLUTIONS[name]
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(shape, generator=generator)
    layers, output = taken(module, images)
    output = (output - module.bias.reshape(-1, *[1] * (output.ndim - 2))).double()
    places = output[0, 0].numel()
    if (
        len(layers) == 1 and module.groups > 1
    ):  # pooled: rows are (sample, group, place), and each group has its filters
        ((layer, (values,)),) = layers
        found = products(layer, values).reshape(len(images), module.groups, places, module.groups, -1)
        found = torch.stack([found[:, j, :, j] for j in range(module.groups)], dim=1)
        torch.testing.assert_close(found.transpose(2, 3).reshape(output.shape), output, atol=1e-5, rtol=1e-5)
        assert "together" in layer.note
        return
    assert len(layers) == module.groups
    found = torch.cat([products(layer, values[0]).reshape(len(images), places, -1) for layer, values in layers], dim=2)
    torch.testing.assert_close(found.transpose(1, 2).reshape(output.shape), output, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("groups", [1, 2])
def test_a_transposed_convolution_multiplies_every_place(groups):
    """Each place adds its products to the patch around it."""
    module = nn.ConvTranspose2d(4, 6, 3, stride=2, groups=groups, bias=False)
    images = torch.randn(3, 4, 4, 5, generator=torch.Generator().manual_seed(1))
    layers, output = taken(module, images)
    parts = []
    for layer, (values,) in layers:
        columns = products(layer, values).reshape(3, 20, -1).transpose(1, 2)
        parts.append(nn.functional.fold(columns, output.shape[2:], 3, stride=2))
    torch.testing.assert_close(torch.cat(parts, dim=1), output.double(), atol=1e-5, rtol=1e-5)


def test_a_dense_layer_takes_the_last_axis():
    module = nn.Linear(5, 7, dtype=torch.float64)
    tokens = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    (((layer, (values,)),), output) = taken(module, tokens)
    torch.testing.assert_close(products(layer, values), (output - module.bias).reshape(12, 7))


def test_an_embedding_is_multiplied_with_unit_vectors():
    module = nn.Embedding(9, 4)
    indices = torch.tensor([[0, 3, 8], [3, 3, 1]])
    (((layer, (values,)),), output) = taken(module, indices)
    torch.testing.assert_close(products(layer, values), output.double().reshape(6, 4))


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("sizes", [{}, {"kdim": 5, "vdim": 7}])
def test_attention_projects_queries_keys_and_values(batch_first, sizes):
    """The attention that is computed from the projections is the module's."""
    torch.manual_seed(3)
    module = nn.MultiheadAttention(6, 1, batch_first=batch_first, bias=False, **sizes)
    shapes = [(2, 3, 6), (2, 4, sizes.get("kdim", 6)), (2, 4, sizes.get("vdim", 6))]
    inputs = [torch.randn(shape) for shape in shapes]
    given = inputs if batch_first else [x.transpose(0, 1) for x in inputs]
    layers, (output, _) = taken(module, given[0], key=given[1], value=given[2])
    assert [layer.name.split(".")[-1] for layer, _ in layers] == ["query", "key", "value"]
    q, k, v = (products(layer, x[0]).reshape(*s[:2], 6) for (layer, x), s in zip(layers, shapes, strict=True))
    mixed = torch.softmax(q @ k.mT / 6**0.5, dim=-1) @ v @ module.out_proj.weight.double().T
    torch.testing.assert_close(mixed if batch_first else mixed.transpose(0, 1), output.double(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("batch_first", [True, False])
def test_recurrent_input_weights_see_the_input(batch_first):
    """A recurrent layer whose recurrent weights are zero is its input times its input weights, through tanh."""
    torch.manual_seed(4)
    module = nn.RNN(5, 3, batch_first=batch_first, bias=False)
    nn.init.zeros_(module.weight_hh_l0)
    tokens = torch.randn(2, 4, 5)
    layers, (output, _) = taken(module, tokens if batch_first else tokens.transpose(0, 1))
    ((layer, (values,)),) = layers
    found = torch.tanh(products(layer, values)).reshape(2, 4, 3)
    torch.testing.assert_close(found if batch_first else found.transpose(0, 1), output.double(), atol=1e-5, rtol=1e-5)


def test_packed_sequences_are_rows():
    module = nn.LSTM(5, 3, bidirectional=True)
    packed = nn.utils.rnn.pack_sequence([torch.ones(4, 5), torch.ones(2, 5)])
    layers, _ = taken(module, packed)
    assert [layer.name for layer, _ in layers] == ["LSTM.weight_ih_l0", "LSTM.weight_ih_l0_reverse"]
    assert all(torch.cat(list(layer.seen(values[0]))).shape == (6, 5) for layer, values in layers)


def test_what_cannot_be_checked_is_named_with_its_reason():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Parameter(torch.ones(2, 3))

    model = nn.ModuleDict(
        {
            "known": nn.Linear(4, 4),
            "own": Scaled(),
            "lazy": nn.LazyLinear(3),
            "two": nn.GRU(4, 4, num_layers=2),
            "attention": nn.MultiheadAttention(4, 2),
            "norm": nn.BatchNorm1d(4),
        }
    )
    found, left = taps(model)
    names = ["known", "two.weight_ih_l0", *(f"attention.{key}" for key in ("query", "key", "value"))]
    assert [tap.layer.name for tap in found] == names
    assert {entry.name for entry in left} == {
        "own", "lazy", "two.weight_hh_l0", "two.weight_ih_l1", "two.weight_hh_l1", "attention.out_proj",
    }  # fmt: skip
    assert all(entry.reason and entry.kind for entry in left)


@pytest.mark.parametrize("normalise", [nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm])
def test_parametrised_weights_are_those_that_are_used(normalise):
    module = normalise(nn.Linear(5, 7)).eval()
    rows = torch.randn(6, 5, generator=torch.Generator().manual_seed(5))
    (((layer, (values,)),), output) = taken(module, rows)
    torch.testing.assert_close(products(layer, values), (output - module.bias).double(), atol=1e-6, rtol=1e-6)
    assert taps(nn.Sequential(module))[1] == []


def test_patterns_choose_layers_in_the_order_of_the_model():
    names = ["conv1", "conv2 (1/2)", "conv2 (2/2)", "fc"]
    assert chosen(names, None) == names
    assert chosen(names, ["fc", "conv1"]) == ["conv1", "fc"]
    assert chosen(names, "conv2") == names[1:3]
    assert chosen(names, "*(2/*") == names[2:3]
    with pytest.raises(InvalidInput, match=r"matches no layer .* did you mean 'conv1'"):
        chosen(names, "con1")
    with pytest.raises(InvalidInput, match="matches no layer that can be checked; there are conv1"):
        chosen(names, "zeta*")
