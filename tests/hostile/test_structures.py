"""Files of a few bytes that ask for any amount of time or memory are refused before the work."""

import io
import time
import zipfile

import numpy as np
import pytest
import torch

from reports.check.files import stored
from theory.errors import InvalidInput
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


@pytest.mark.parametrize("content", [itself, in_a_list, doubled, doubled_dictionaries])
def test_checkpoints_that_contain_themselves(tmp_path, content):
    torch.save(content(), tmp_path / "w.pt")
    began = time.process_time()
    with pytest.raises(InvalidInput, match="holds more than 100000 dictionaries and lists, or 64 in each other"):
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
    with pytest.raises(InvalidInput, match=r"need 0\.13 GiB, .* is 0\.1 GiB: .* EIGENALIGN_MEMORY"):
        stored(source, "weights", (2,)).read(0, 1)
    monkeypatch.setenv("EIGENALIGN_MEMORY", "0.2")
    assert stored(source, "weights", (2,)).read(0, 1).shape == (1, 4096)


def test_an_archive_whose_shape_is_not_its_content(tmp_path):
    with pytest.raises(InvalidInput, match="not the numbers of its shape"):
        stored(archive(tmp_path / "w.npz", (10**9, 64), bytes(80)), "weights", (2,))


@pytest.mark.parametrize("text", ["", "3", "many", "-1", "nan", "0"])
def test_the_limit_is_said_by_the_environment(monkeypatch, text):
    monkeypatch.setenv("EIGENALIGN_MEMORY", text)
    if text in ("", "3"):
        assert memory() == int(text or 2) * 2**30
        require_memory(2**31, "a", 1, "rows")
    else:
        with pytest.raises(InvalidInput, match="must be a positive number of GiB"):
            memory()
