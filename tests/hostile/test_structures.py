"""Files of a few bytes that ask for any amount of time or memory are refused before the work."""

import gzip
import io
import time
import zipfile

import numpy as np
import pytest
import torch

from reports.check.files import stored
from simulate.datasets import IDX_FILES, load
from theory.errors import InvalidInput
from theory.setting import Data
from theory.setting.array_file import read_array
from theory.setting.limits import memory, require_memory


def itself():
    content = {}
    content["state_dict"] = content
    return content


def in_a_list():
    inside = []
    inside.append(inside)
    return {"w": torch.zeros(2, 2), "z": inside}


def doubled():
    content = [torch.zeros(2, 2)]
    for _ in range(40):
        content = [content, content]
    return content


def doubled_dictionaries():
    content = {"w": torch.zeros(2, 2)}
    for _ in range(40):
        content = {"a": content, "b": content}
    return content


@pytest.mark.parametrize(
    "content",
    [itself, in_a_list, *(pytest.param(each, marks=pytest.mark.slow) for each in (doubled, doubled_dictionaries))],
)
def test_checkpoints_that_contain_themselves(tmp_path, content):
    torch.save(content(), tmp_path / "w.pt")
    began = time.process_time()
    with pytest.raises(InvalidInput, match="holds more than 100000 dictionaries and lists, or more than 64 levels"):
        stored(str(tmp_path / "w.pt"), "weights", (2,))
    assert time.process_time() - began < 20


def test_a_checkpoint_with_long_lists_of_numbers_is_none_of_these(tmp_path):
    torch.save({"losses": [0.5] * 300_000, "model": {"w": torch.ones(2, 3)}}, tmp_path / "w.pt")
    assert stored(str(tmp_path / "w.pt"), "weights", (2,)).shape == (2, 3)


def archive(path, shape, content):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("w.npy", file.getvalue() + content)
    return str(path)


def test_an_archive_that_unpacks_to_more_than_the_limit(tmp_path, monkeypatch):
    source = archive(tmp_path / "w.npz", (4096, 4096), bytes(8 * 4096 * 4096))
    assert (tmp_path / "w.npz").stat().st_size < 200_000
    monkeypatch.setenv("EIGENALIGN_MEMORY", "0.1")
    with pytest.raises(InvalidInput, match=r"need 0\.25 GiB, .* is 0\.1 GiB: .* EIGENALIGN_MEMORY"):
        stored(source, "weights", (2,)).read(0, 1)
    monkeypatch.setenv("EIGENALIGN_MEMORY", "0.3")
    assert stored(source, "weights", (2,)).read(0, 1).shape == (1, 4096)


def test_an_archive_whose_shape_is_not_its_content(tmp_path):
    with pytest.raises(InvalidInput, match="not the numbers of its shape"):
        stored(archive(tmp_path / "w.npz", (10**9, 64), bytes(80)), "weights", (2,))


@pytest.mark.parametrize("text", ["", "3", "many", "-1", "nan", "0"])
def test_the_limit_is_said_by_the_environment(monkeypatch, text):
    monkeypatch.setenv("EIGENALIGN_MEMORY", text)
    if text in ("", "3"):
        assert memory() == int(text or 4) * 2**30
        require_memory(2**31, "a", 1, "rows")
    else:
        with pytest.raises(InvalidInput, match="must be a positive number of GiB"):
            memory()


def odd_archive(kind):
    """A .npz file that is damaged, encrypted, compressed in a way that zipfile does not know, or declares too much."""
    content = io.BytesIO()
    np.savez(content, x=np.ones((4, 3)))
    raw = bytearray(content.getvalue())
    central = raw.index(b"PK\x01\x02")
    if kind == "damaged":
        raw[60:90] = bytes(30)
    elif kind == "encrypted":
        raw[6] |= 1
        raw[central + 8] |= 1
    elif kind == "odd compression":
        raw[8], raw[central + 10] = 99, 99
    elif kind == "cut":
        raw = raw[: len(raw) // 2]
    elif kind == "empty":
        content = io.BytesIO()
        zipfile.ZipFile(content, "w").close()
        raw = content.getvalue()
    return bytes(raw)


@pytest.mark.parametrize("kind", ["damaged", "encrypted", "odd compression", "cut", "empty"])
def test_odd_archives(tmp_path, kind):
    path = tmp_path / "x.npz"
    path.write_bytes(odd_archive(kind))
    with pytest.raises(InvalidInput):
        read_array(str(path), "data.path")
    with pytest.raises(InvalidInput):
        stored(str(path), "weights", (2,)).read(0, 1)


@pytest.mark.parametrize("shape", [(10**9, 64), (-1, 3), (10**30,)])
def test_a_shape_that_the_file_does_not_have(tmp_path, shape):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": shape})
    (tmp_path / "x.npy").write_bytes(file.getvalue() + bytes(80))
    for read in (lambda name: read_array(name, "data.path"), lambda name: stored(name, "weights", (2,)).read(0, 1)):
        with pytest.raises(InvalidInput):
            read(str(tmp_path / "x.npy"))


def test_bombs_of_the_readers_of_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("EIGENALIGN_MEMORY", "0.01")
    np.savez_compressed(tmp_path / "x.npz", np.zeros((1500, 1000)))
    with pytest.raises(InvalidInput, match="EIGENALIGN_MEMORY"):
        read_array(str(tmp_path / "x.npz"), "data.path")
    with pytest.raises(InvalidInput, match="EIGENALIGN_MEMORY"):
        Data(kind="gaussian", moments_of=str(tmp_path / "x.npz"))
    np.save(tmp_path / "wide.npy", np.ones((2, 4000)))
    with pytest.raises(InvalidInput, match=r"the moments of the rows need .* EIGENALIGN_MEMORY"):
        Data(kind="gaussian", moments_of=str(tmp_path / "wide.npy"))
    for name, shape in zip(IDX_FILES, ((60_000, 28, 28), (60_000,)), strict=True):
        header = bytes((0, 0, 8, len(shape))) + b"".join(side.to_bytes(4, "big") for side in shape)
        (tmp_path / name).write_bytes(gzip.compress(header + bytes(int(np.prod(shape)))))
    with pytest.raises(InvalidInput, match="EIGENALIGN_MEMORY"):
        load(Data(kind="fashion-mnist", path=str(tmp_path)), False)
