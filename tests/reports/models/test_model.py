"""A model's check: the same as that of each layer with its recorded input; data of every kind; what is refused."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from reports.check import check
from reports.models import check_model
from reports.models.batches import batches_of
from reports.models.collect import collect
from reports.models.layers import taps
from reports.views.check import view as view_of_layer
from tests.reports.models.networks import Sentences, convolutional, images, tokens
from theory.errors import InvalidInput

nn = torch.nn


def mlp(seed, width=8):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, width), nn.Tanh(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 3))


ROWS = torch.randn(200, 5, generator=torch.Generator().manual_seed(3)) * torch.arange(1.0, 6.0)


def collected(data):
    """The moments of the layers' inputs, without a judgement."""
    model = mlp(0)
    return collect(model, taps(model)[0], batches_of(data))


def numbers(found):
    return [view_of_layer(layer.check).value for layer in found.layers]


def test_a_layer_is_judged_as_with_its_recorded_input():
    """Numbers that do not rest on how samples are grouped are the same bit by bit or nearly so."""
    model = mlp(0)
    found = check(model, ROWS, seed=4)
    assert [layer.name for layer in found.layers] == ["0", "2", "4"]
    with torch.no_grad():
        inputs = [ROWS, model[:2](ROWS), model[:4](ROWS)]
    for layer, module, values in zip(found.layers, (model[0], model[2], model[4]), inputs, strict=True):
        alone = check(module.weight, values, seed=4)
        assert (layer.check.filters, layer.check.dimension) == (alone.filters, alone.dimension)
        assert (layer.check.samples, layer.check.vectors) == (200, 200)
        exact = layer.check.dropped == alone.dropped == 0 and len(alone.joined) == len(layer.check.joined) == 0
        if exact:
            assert layer.check.misalignment == pytest.approx(alone.misalignment, rel=1e-6)
            np.testing.assert_allclose(layer.check.transfer_function.f, alone.transfer_function.f, rtol=1e-6)


def test_moments_are_those_of_all_patches():
    """The data moment of a padded convolution is that of its unfolded images; groups of channels have their own."""
    model, x = convolutional(), images()
    model.eval()
    found = check(model, x)
    names = ["0", "3 (1/2)", "3 (2/2)", "6"]
    assert [layer.name for layer in found.layers] == names
    assert found["0"].vectors == 96 * 4 * 4
    with torch.no_grad():
        unfolded = nn.functional.unfold(x, 3, padding=1, stride=2).transpose(1, 2).reshape(-1, 9).double()
    values = torch.linalg.eigvalsh(unfolded.T @ unfolded / len(unfolded))
    f = found["0"].transfer_function
    trace = sum(m * sigma**2 for m, sigma in zip(f.multiplicity, f.sigma, strict=True))
    assert trace == pytest.approx(float(values.sum()), rel=1e-6)


@pytest.mark.parametrize(
    "given",
    [
        lambda x: DataLoader(TensorDataset(x, torch.zeros(len(x))), batch_size=64),
        lambda x: TensorDataset(x),
        lambda x: x.numpy(),
        lambda x: x.double(),
        lambda x: list(x.split(64)),
        lambda x: iter(x.split(64)),
        lambda x: [{"input": part, "labels": 0} for part in x.split(64)],
    ],
    ids=["loader", "dataset", "array", "double", "list", "generator", "dictionaries"],
)
def test_data_of_every_kind_are_the_same_data(given):
    (reference, _), (found, samples) = (collected(data) for data in (ROWS, given(ROWS)))
    assert samples == 200
    for a, b in zip(reference, found, strict=True):
        np.testing.assert_array_equal(a.moment().groups, b.moment().groups)


def test_files_and_folders_are_data(tmp_path):
    from PIL import Image

    np.save(tmp_path / "x.npy", ROWS.numpy())
    assert numbers(check(mlp(0), str(tmp_path / "x.npy"), layers="0")) == numbers(check(mlp(0), ROWS, layers="0"))
    (tmp_path / "photos").mkdir()
    pixels = (np.random.default_rng(0).random((70, 8, 8)) * 255).astype(np.uint8)
    for i, pixel in enumerate(pixels):
        Image.fromarray(pixel).save(tmp_path / "photos" / f"{i:03}.png")
    x = torch.from_numpy(pixels[:, None] / 255)
    found = check(convolutional(), tmp_path / "photos", layers="0")
    assert numbers(found) == numbers(check(convolutional(), x, layers="0"))


def test_the_model_is_left_as_it_was():
    model = convolutional().train()
    model[1].eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    check(model, images(), layers="0")
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_weights_of_any_precision(dtype):
    found = check(mlp(0).to(dtype), ROWS)
    assert len(found.layers) == 3


def test_transformers_take_dictionaries():
    found = check(Sentences(), [{"tokens": tokens(), "labels": torch.zeros(96)}])
    names = [layer.name for layer in found.layers]
    projections = [f"block.self_attn.{key}" for key in ("query", "key", "value")]
    assert names == ["embed", *projections, "block.linear1", "block.linear2", "head"]
    assert (found.samples, found["block.linear1"].vectors, found["head"].vectors) == (96, 480, 96)
    assert [entry.name for entry in found.unchecked] == ["block.self_attn.out_proj"]


def test_forward_replaces_the_call():
    found = check(mlp(0), [{"x": ROWS}], forward=lambda model, batch: model(batch["x"]))
    assert numbers(found) == numbers(check(mlp(0), [ROWS]))


def test_layers_are_chosen_by_pattern_and_size():
    assert [layer.name for layer in check(mlp(0), ROWS, layers=["4", "0"]).layers] == ["0", "4"]
    small = check(mlp(0), ROWS, largest=6)
    assert [layer.name for layer in small.layers] == ["0"]
    assert [entry.name for entry in small.unchecked] == ["2", "4"]
    assert [layer.name for layer in check(mlp(0), ROWS, layers="2", largest=6).layers] == ["2"]


def test_layers_that_fail_are_left_out_with_the_reason():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle, self.zero = nn.Linear(5, 8), nn.Linear(5, 8), nn.Linear(5, 8)
            nn.init.zeros_(self.zero.weight)
            self.constant, self.broken = nn.Linear(3, 4), nn.Linear(3, 4)

        def forward(self, x):
            one = torch.ones(len(x), 3)
            return self.used(x), self.zero(x), self.constant(one), self.broken(one * x[:, :1] / 0)

    found = check(Odd(), ROWS)
    assert [layer.name for layer in found.layers] == ["used"]
    reasons = {entry.name: entry.reason for entry in found.unchecked}
    assert set(reasons) == {"idle", "zero", "constant", "broken"}
    assert "never reach" in reasons["idle"]
    assert "zero" in reasons["zero"]
    assert "never varies" in reasons["constant"]
    assert "finite" in reasons["broken"]


def test_several_trainings_are_judged_together_where_they_see_the_same():
    found = check([mlp(0), mlp(1)], ROWS)
    assert [(layer.name, layer.network) for layer in found.layers] == [
        ("0", None), ("2", 1), ("2", 2), ("4", 1), ("4", 2),
    ]  # fmt: skip
    first = check([mlp(0)[0].weight, mlp(1)[0].weight], ROWS)
    assert found["0"].misalignment == pytest.approx(first.misalignment, rel=1e-6)
    assert found["0"].networks == 2
    assert numbers(check(mlp(1), ROWS))[1] == view_of_layer(found.layers[2].check).value
    assert found.summary.startswith("3 layers of 2 networks on ")
    assert ", 5 checks: " in found.summary


def test_tokens_of_one_sample_stay_together():
    """The sampling error is that of independent samples: copies of a sample as tokens add nothing to it."""
    rows = ROWS[:, None].expand(-1, 7, -1)
    once, often = check(nn.Linear(5, 9), ROWS), check(nn.Linear(5, 9), rows)
    assert often["Linear"].vectors == 7 * once["Linear"].vectors
    assert often["Linear"].samples == once["Linear"].samples
    np.testing.assert_allclose(often["Linear"].joined, once["Linear"].joined)


def test_rows_may_be_folded_into_the_first_axis():
    """Samples are then runs of rows, all of which are seen."""
    folded = nn.Sequential(nn.Flatten(0, 1), nn.Linear(5, 9))
    rows = ROWS.reshape(50, 4, 5)
    found, plain = check(folded, rows)["1"], check(nn.Sequential(nn.Identity(), nn.Linear(5, 9)), rows)["1"]
    assert (found.samples, found.vectors) == (plain.samples, plain.vectors) == (50, 200)
    np.testing.assert_allclose(found.transfer_function.sigma, plain.transfer_function.sigma, rtol=1e-12)


@pytest.mark.parametrize(
    ("model", "data", "options", "message"),
    [
        (mlp(0), torch.zeros(10, 4), {}, "cannot be run on it"),
        (mlp(0), torch.zeros(0, 5), {}, "none must be empty"),
        (mlp(0), [], {}, "at least one sample"),
        (mlp(0), 3, {}, "must be a DataLoader"),
        (mlp(0), ["x"], {}, "a batch must be a tensor"),
        (mlp(0), ROWS, {"layers": "conv*"}, "matches no layer that can be checked; there are"),
        (mlp(0), ROWS, {"layers": "0.weight"}, "matches no layer"),
        (mlp(0), ROWS, {"transposed": True}, "are for the weights of one layer"),
        (mlp(0), ROWS, {"forward": "0 relu 2"}, "is for state dicts"),
        ([mlp(0), mlp(0, 9)], ROWS, {}, "must have the same layers"),
        ([mlp(0), mlp(1)], (row for row in [ROWS]), {}, "read once only"),
        (torch.zeros(3, 5), ROWS, {"layers": "conv*"}, "is for whole models"),
        ([], ROWS, {}, "at least one network"),
    ],
)
def test_what_is_refused(model, data, options, message):
    with pytest.raises(InvalidInput, match=message):
        check(model, data, **options)


def test_images_with_their_channels_last_are_named():
    turned = images().movedim(1, -1)
    for data in (turned, [(turned, torch.zeros(len(turned)))]):
        with pytest.raises(InvalidInput, match=r"with their channels first, \(\d+, 1, 8, 8\)$"):
            check(convolutional(), data)
    with pytest.raises(InvalidInput, match=r"cannot be run on it \(.*\)$"):
        check(convolutional(), torch.zeros(3, 5, 5, 5))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_named():
    with pytest.raises(InvalidInput, match=r"its state_dict\(\)"):
        check(torch.jit.trace(nn.Linear(5, 3), ROWS), ROWS)


def test_a_model_without_layers_is_no_error():
    found = check_model(nn.Sequential(nn.ReLU(), nn.Flatten()), ROWS)
    assert found.layers == found.unchecked == ()
    assert found.summary.startswith("No layer was checked")


@pytest.mark.gpu
def test_a_gpu_gives_the_same():
    reference = check(convolutional(), images(), seed=1)
    found = check(convolutional(), images(), seed=1, device="cuda")
    for a, b in zip(reference.layers, found.layers, strict=True):
        assert a.check.verdict == b.check.verdict
        np.testing.assert_allclose(a.check.transfer_function.sigma, b.check.transfer_function.sigma, rtol=1e-4)


def trained(model):
    """A copy some steps later, and the state dict of the model as it is now."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    labels = torch.randint(3, (len(ROWS),), generator=torch.Generator().manual_seed(1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(ROWS), labels).backward()
        optimizer.step()
    return model, before


def test_initial_models_tell_what_training_has_written():
    """Shares are those of each layer checked by itself; a module and its state dict give the same."""
    model, before = trained(mlp(0))
    found = check(model, ROWS, layers=["0"], initial=before)
    alone = check(model[0].weight, ROWS, initial=before["0.weight"])
    assert "eigenalign fresh" in str(found)
    assert "eigenalign fresh" not in str(check(model, ROWS, layers=["0"]))
    np.testing.assert_allclose(found["0"].composition.share, alone.composition.share, rtol=1e-6)
    shown = str(found).splitlines()
    assert shown[2].endswith("written by training")
    share, low, high = alone.composition.share
    assert shown[3].endswith(f"{share:.2g} ({low:.2g} to {high:.2g})")
    earlier = mlp(1)
    earlier.load_state_dict(before)
    again = check(model, ROWS, layers=["0"], initial=earlier).to_dict()["layers"]
    assert [layer["written"] for layer in again] == [layer["written"] for layer in found.to_dict()["layers"]]


@pytest.mark.slow
def test_several_networks_are_each_compared_with_their_own_initial_weights():
    pairs = [trained(mlp(seed)) for seed in range(3)]
    several = check([after for after, _ in pairs], ROWS, initial=[state for _, state in pairs])
    assert several["0"].composition.over == "networks"
    for number, (model, before) in enumerate(pairs, 1):
        (found,) = [layer.check for layer in several.layers if (layer.name, layer.network) == ("2", number)]
        alone = check(model, ROWS, layers=["2"], initial=before)["2"]
        np.testing.assert_allclose(found.composition.share, alone.composition.share, rtol=1e-6)
    swapped = check([after for after, _ in pairs], ROWS, layers=["0"], initial=[state for _, state in pairs[::-1]])
    assert swapped["0"].composition.share[0] > several["0"].composition.share[0] + 0.05


@pytest.mark.parametrize("weight", [torch.zeros(8, 5), torch.eye(8, 5)[:, :1] * torch.ones(5)])
def test_layers_without_initial_variance_are_checked_all_the_same(weight):
    model, before = trained(mlp(0))
    found = check(model, ROWS, layers=["0"], initial=before | {"0.weight": weight})
    assert found["0"].composition is None
    assert "nothing is said of its initial weights" in found.layers[0].note


@pytest.mark.parametrize(
    ("initial", "why"),
    [
        (mlp(0, width=9), "must have the layer 0 of 8 × 5"),
        ({"0.weight": torch.ones(8, 5)}, "does not fit the model"),
        ([mlp(0), mlp(1)], "must be given for each of 1 models"),
        (3, "must be a torch.nn.Module"),
    ],
)
def test_initial_models_that_do_not_fit(initial, why):
    with pytest.raises(InvalidInput, match=why):
        check(mlp(0), ROWS, initial=initial)
