"""Files of strangers: every format, precision and layout that is read."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from reports.check import files
from reports.check.array_names import plain_name
from reports.check.files import contents, split, stored
from reports.check.stored_array import printable, readable
from reports.check.weights import filters, read_filters
from reports.models.files import read_state
from tests.reports.check.layers import DENSE, FILTERS, ROWS, written
from tests.reports.command_line import run_quietly
from theory.errors import InvalidInput

KINDS = ["npy", "npz", "safetensors", "tensor.pt", "legacy.pt", "compiled.pt", "parallel.pt", "nested.pt"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_gives_the_same_weights(tmp_path, kind):
    source = written(tmp_path, kind, DENSE)
    np.testing.assert_array_equal(read_filters(source).vectors, DENSE)
    if kind not in ("npy", "tensor.pt"):
        np.testing.assert_array_equal(read_filters(f"{source}:layer.weight").vectors, DENSE)


@pytest.mark.parametrize("kind", ["npz", "safetensors", "legacy.pt", "tensor.pt", "npy"])
def test_every_format_is_read_as_data(tmp_path, capfd, kind):
    weight = written(tmp_path, "npz", DENSE) + ":layer.weight"
    data = _npz(tmp_path) if kind == "npz" else written(tmp_path, kind, ROWS)
    status, out, err = run_quietly(capfd, "check", "--weights", weight, "--data", data, "--json")
    assert (status, err) == (0, "")
    assert json.loads(out)["details"]["samples"] == 50


def test_an_array_in_an_archive_needs_memory_for_itself_and_a_copy(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(files, "require_memory", lambda *arguments: asked.append(arguments[0]))
    source = stored(f"{_npz(tmp_path)}:rows", "data", (2,))
    np.testing.assert_array_equal(source.read(0, 50), ROWS)
    np.save(tmp_path / "rows.npy", ROWS)
    assert asked == [2 * (tmp_path / "rows.npy").stat().st_size]


def _npz(folder: Path) -> Path:
    np.savez(folder / "rows.npz", rows=ROWS, labels=np.arange(50))
    return folder / "rows.npz"


def test_a_header_whose_length_begins_as_a_pickle_does(tmp_path, monkeypatch):
    """Headers of 128, 384, … bytes, of all names up to 300 letters; newer versions of torch.load read them, too."""
    monkeypatch.delattr(torch, "load")
    began = set()
    for letters in range(1, 300):
        path = tmp_path / "w.safetensors"
        save_file({"n" * letters: torch.arange(6.0).reshape(2, 3)}, path)
        began.add(path.read_bytes()[:1])
        (array,) = contents(path, "weights")
        assert (array.name, array.shape) == ("n" * letters, (2, 3))
    assert b"\x80" in began


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["safetensors", "pt"])
def test_precisions_become_float64(tmp_path, dtype, kind):
    tensor = torch.from_numpy(DENSE).to(dtype)
    path = tmp_path / f"w.{kind}"
    save_file({"w": tensor}, path) if kind == "safetensors" else torch.save({"w": tensor}, path)
    np.testing.assert_array_equal(read_filters(str(path)).vectors, tensor.double().numpy())
    np.testing.assert_array_equal(filters(tensor).vectors, tensor.double().numpy())


def test_a_key_may_be_written_with_its_wrapping(tmp_path):
    source = written(tmp_path, "compiled.pt", DENSE)
    np.testing.assert_array_equal(read_filters(f"{source}:_orig_mod.layer.weight").vectors, DENSE)


def test_names_that_would_collide_are_left_as_they_are(tmp_path):
    torch.save({"w": torch.zeros(2, 3) + 1, "module.w": torch.ones(2, 3) * 2}, tmp_path / "w.pt")
    assert read_filters(f"{tmp_path}/w.pt:module.w").vectors[0, 0] == 2
    assert read_filters(f"{tmp_path}/w.pt:w").vectors[0, 0] == 1


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("_orig_mod.a.weight", "a.weight"),
        ("module.module.a", "a"),
        ("features._orig_mod.0.weight", "features.0.weight"),
        ("encoder.module.0", "encoder.module.0"),
        ("my_orig_mod.a", "my_orig_mod.a"),
    ],
)
def test_plain_names(name, plain):
    assert plain_name(name) == plain


def test_a_colon_in_a_file_name_is_no_key(tmp_path):
    path = tmp_path / "a:b.npy"
    np.save(path, DENSE)
    assert split(str(path)) == (path, None)
    assert split(f"{path}:w") == (path, "w")


def test_names_cannot_steer_a_terminal():
    assert printable("a\x1b[31m\nb") == "a\\x1b[31m\\nb"


@pytest.mark.parametrize("array", [DENSE, FILTERS, FILTERS[:, :, 0]])
def test_transposed_layouts(array):
    turned = array.T if array.ndim < 4 else array.transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(filters(turned, transposed=True).vectors, filters(array).vectors)
    assert filters(turned, transposed=True).kernel == filters(array).kernel


# names that are not quite those in the file
def wrapped_file(folder):
    tensors = {"bert.encoder.layer.0.weight": torch.ones(3, 2), "bert.pooler.weight": torch.ones(4, 2)}
    path = folder / "wrapped.pt"
    torch.save({"net_g": tensors, "ema": {"decay": torch.zeros(2, 2)}}, path)
    return path


@pytest.mark.parametrize(
    "key", ["encoder.layer.0.weight", "model.net_g.bert.encoder.layer.0.weight", "net_g.bert.encoder.layer.0.weight"]
)
def test_a_key_is_found_by_its_end(tmp_path, key):
    assert stored(f"{wrapped_file(tmp_path)}:{key}", "weights", (2,)).shape == (3, 2)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("weight", "several names end with weight; it holds .*layer.0.weight .* net_g.bert.pooler.weight"),
        ("head.bias", "no array head.bias in the file; it holds .*ema"),
        (
            "bert.poler.weight",
            "no array bert.poler.weight in the file; did you mean 'net_g.bert.pooler.weight'. It holds",
        ),
    ],
)
def test_a_key_with_several_ends_or_none_is_refused(tmp_path, key, message):
    with pytest.raises(InvalidInput, match=message):
        stored(f"{wrapped_file(tmp_path)}:{key}", "weights", (2,))


def averaged_file(folder):
    """A model, averaged weights beside it, and the state of an optimizer, which has the shapes of weights."""
    state = {0: {"exp_avg": torch.full((3, 2), 3.0)}}
    content = {"ema": {"w": torch.full((3, 2), 2.0)}, "optimizer": {"state": state}}
    torch.save({"state_dict": {"w": torch.ones(3, 2)}, **content}, folder / "named.pt")
    torch.save({"params": {"w": torch.ones(3, 2)}, "optimizer": {"state": state}}, folder / "any.pt")


@pytest.mark.parametrize(
    ("key", "value"), [("w", 1), ("state_dict.w", 1), ("ema.w", 2), ("state.0.exp_avg", 3), ("model.ema.w", 2)]
)
def test_weights_beside_a_model_have_their_own_names(tmp_path, key, value):
    averaged_file(tmp_path)
    assert stored(f"{tmp_path}/named.pt:{key}", "weights", (2,)).read(0, 1)[0, 0] == value


def test_another_network_is_not_taken_for_the_one_that_is_named(tmp_path):
    averaged_file(tmp_path)
    with pytest.raises(InvalidInput, match=r"no array teacher\.w in the file; it holds w \(3 × 2\)$"):
        stored(f"{tmp_path}/named.pt:teacher.w", "weights", (2,))
    assert read_state(tmp_path / "named.pt", "ema")["w"][0, 0] == 2
    assert read_state(tmp_path / "named.pt")["w"][0, 0] == 1


def test_the_state_of_an_optimizer_is_not_part_of_a_model(tmp_path):
    averaged_file(tmp_path)
    assert stored(f"{tmp_path}/any.pt", "weights", (2,)).name == "params.w"


@pytest.mark.parametrize(("others", "proposed"), [(999, True), (1000, False)])
def test_a_thousand_names_are_compared_with_the_key(tmp_path, others, proposed):
    """Names that share no part with the key are compared in the order of the file."""
    names = [f"layers.{k}.bias" for k in range(others)] + ["embedding"]
    np.savez(tmp_path / "many.npz", **{name: np.ones(1) for name in names})
    with pytest.raises(InvalidInput) as refused:
        stored(f"{tmp_path}/many.npz:embeding", "weights", (2,))
    assert ("did you mean 'embedding'?" in str(refused.value)) is proposed


def test_a_message_names_the_arrays_that_are_most_like_the_key(tmp_path):
    names = [f"a{k}.weight" for k in range(20)] + ["layers.3.query.weight"]
    np.savez(tmp_path / "many.npz", **{name: np.ones((2, 3)) for name in names})
    with pytest.raises(
        InvalidInput,
        match=r"did you mean 'layers\.3\.query\.weight'\? It holds layers\.3\.query.* a0\.weight .* and 13 more",
    ):
        stored(f"{tmp_path}/many.npz:layers.3.self.query.weight", "weights", (2,))


def test_a_folder_of_safetensors_is_one_file(tmp_path):
    """A folder of safetensors files, as large models are published, is read as one file; its index is not needed."""
    save_file({"a.weight": torch.ones(3, 2)}, tmp_path / "model-00001-of-00002.safetensors")
    save_file({"b.weight": torch.ones(4, 2)}, tmp_path / "model-00002-of-00002.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    assert stored(f"{tmp_path}:b.weight", "weights", (2,)).shape == (4, 2)
    assert [array.name for array in contents(tmp_path, "model")] == ["a.weight", "b.weight"]
    save_file({"b.weight": torch.ones(4, 2)}, tmp_path / "other.safetensors")
    with pytest.raises(InvalidInput, match=r"b\.weight in several files"):
        contents(tmp_path, "model")


def test_programs_are_named_with_what_to_do(tmp_path):
    for name, hint in (("constants.pkl", r"torch\.jit\.load"), ("archive_format", "--model")):
        with zipfile.ZipFile(tmp_path / "program.pt", "w") as archive:
            archive.writestr("m/data.pkl", b"")
            archive.writestr(f"m/{name}", b"")
        with pytest.raises(InvalidInput, match=hint):
            stored(str(tmp_path / "program.pt"), "weights", (2,))


def test_long_names_are_cut_and_many_are_counted(tmp_path):
    assert printable("a" * 60) == "a" * 60
    assert printable("a" * 61) == "a" * 59 + "…"
    for count, more in ((8, ""), (9, " and 1 more"), (11, " and 3 more")):
        np.savez(tmp_path / "many.npz", **{f"n{k:02}": np.ones((2, 3)) for k in range(count)})
        with pytest.raises(InvalidInput, match=r"name one of its arrays") as found:
            stored(str(tmp_path / "many.npz"), "weights", (2,))
        assert str(found.value).endswith(f"n07 (2 × 3){more}")


@pytest.mark.parametrize(("scale", "fits"), [(1e-100, False), (1.1e-100, True), (9.9e99, True), (1e100, False)])
def test_weights_have_squares_in_double_precision(scale, fits):
    array = np.array([[scale, 0.5 * scale], [-0.1 * scale, 0.0]])
    if fits:
        assert filters(array).vectors[0, 0] == scale
    else:
        with pytest.raises(InvalidInput, match="must lie between 1e-100 and 1e100"):
            filters(array)


def test_groups_are_counted_from_one():
    array = np.arange(24.0).reshape(6, 2, 2) + 1
    for j in (1, 2, 3):
        found = filters(array, group=(j, 3))
        np.testing.assert_array_equal(found.vectors, array[2 * j - 2 : 2 * j].reshape(2, 4))
        assert (found.kernel, found.group) == ((2, 1, 2), (j, 3))
    for group in ((0, 3), (4, 3), (1, 4), (-1, 1)):
        with pytest.raises(InvalidInput, match="must be J/G with 1 <= J <= G"):
            filters(array, group=group)


def test_dictionaries_in_each_other_and_their_number_are_bounded(tmp_path, monkeypatch):
    """64 levels are read, and 100,000 in all, each counted once per reference."""
    path = tmp_path / "w.pt"
    torch.save({}, path)
    for depth in (64, 65):
        content = {"w": torch.ones(2, 3)}
        for _ in range(depth):
            content = {"a": content}
        monkeypatch.setattr(torch, "load", lambda *_, content=content, **__: content)
        if depth == 64:
            assert [array.name for array in contents(path, "w")] == ["a." * depth + "w"]
        else:
            with pytest.raises(InvalidInput, match="more than 100000 dictionaries and lists, or more than 64 levels"):
                contents(path, "w")
    for count in (99_999, 100_000):
        monkeypatch.setattr(torch, "load", lambda *_, count=count, **__: [[]] * count)
        if count == 99_999:
            assert contents(path, "w") == []
        else:
            with pytest.raises(InvalidInput, match="more than 100000 dictionaries"):
                contents(path, "w")


def test_only_arrays_that_fit_are_proposed(tmp_path):
    np.savez(tmp_path / "w.npz", first=DENSE, second=DENSE, bias=np.zeros(3))
    with pytest.raises(InvalidInput, match="name one of its arrays as FILE:KEY") as refused:
        read_filters(str(tmp_path / "w.npz"))
    assert "first" in str(refused.value)
    assert "second" in str(refused.value)
    assert "bias" not in str(refused.value)


def test_an_array_of_a_single_row_has_its_entries(tmp_path):
    np.save(tmp_path / "one.npy", DENSE[:1])
    (found,) = contents(tmp_path / "one.npy", "w")
    np.testing.assert_array_equal(found.read(0, 1), DENSE[:1])


def test_an_empty_array_has_no_entries_of_its_shape(tmp_path):
    np.save(tmp_path / "none.npy", np.empty((0, 3, 2)))
    (found,) = contents(tmp_path / "none.npy", "w")
    assert (found.shape, found.read(0, 4).shape) == ((0, 3, 2), (0, 3, 2))


@pytest.mark.parametrize(("version", "fits"), [((1, 0), True), ((2, 0), True), ((3, 0), False)])
def test_two_versions_of_numpys_format_are_read(tmp_path, version, fits):
    with open(tmp_path / "w.npy", "wb") as file:
        np.lib.format.write_array(file, DENSE, version=version)
    if fits:
        np.testing.assert_array_equal(read_filters(str(tmp_path / "w.npy")).vectors, DENSE)
    else:
        with pytest.raises(InvalidInput, match=r"version \(3, 0\) of the format"):
            read_filters(str(tmp_path / "w.npy"))


@pytest.mark.parametrize(("repeated", "fits"), [(1, True), (3, False), (6, False)])
def test_a_tensor_that_repeats_its_numbers_is_none(tmp_path, repeated, fits):
    """A tensor that repeats ten stored numbers (40 bytes) to make 30 or 60 does not count as numbers."""
    torch.save({"w": torch.arange(1.0, 11)[:, None].expand(10, repeated)}, tmp_path / "w.pt")
    assert [array.numbers for array in contents(tmp_path / "w.pt", "w")] == [fits]


@pytest.mark.parametrize(("length", "said"), [(100, "x" * 100), (101, "x" * 99 + "…")])
def test_what_a_reader_says_is_cut_at_100_characters(length, said):
    with pytest.raises(InvalidInput) as found, readable(Path("w.npy"), "weights"):
        raise ValueError("x" * length + "\nmore")
    assert str(found.value).endswith(f"is damaged or has the wrong type ({said})")
