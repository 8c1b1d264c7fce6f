"""Files that are damaged, or of another experiment: they are named and computed again."""

from __future__ import annotations

import pytest

import simulate.transfer.experiment as engine
import simulate.transfer.store as files
from simulate.identity import experiment_digest
from simulate.transfer import run
from tests.simulate.transfer.experiments import (
    KINDS,
    content,
    small,
)

pytestmark = pytest.mark.usefixtures("small_ranges")


def _shorten(path, _):
    path.write_bytes(path.read_bytes()[:-5])


def _flip(path, _):
    whole = bytearray(path.read_bytes())
    whole[-3] ^= 1
    path.write_bytes(whole)


def _swap(path, other):
    path.write_bytes(other.read_bytes())


@pytest.mark.parametrize("part", ["upstream", "downstream-of-000005"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_shorten, "is cut short or not a safetensors file"),
        (_flip, "has been altered: its checksum differs"),
        (_swap, "belongs to another experiment (first 0, not 2)"),
    ],
)
def test_a_damaged_file_is_named_and_computed_again(tmp_path, caplog, part, spoil, message):
    experiment = small(kinds=KINDS, replicas=5)
    whole = content(run(experiment, store=tmp_path))
    here = tmp_path / experiment_digest(experiment)
    path = here / f"{part}-000001.safetensors"
    good = path.read_bytes()
    spoil(path, here / f"{part}-000000.safetensors")
    assert path.read_bytes() != good
    assert content(run(experiment, store=tmp_path, resume=True)) == whole
    (warning,) = caplog.messages
    assert warning.startswith(f"{path}: {message}")
    assert warning.endswith("it is computed again")
    assert path.read_bytes() == good


def test_a_file_of_another_experiment_is_foreign(tmp_path, caplog):
    one, two = small(kinds=KINDS, replicas=4), small(kinds=KINDS, replicas=4, seed=1)
    run(one, store=tmp_path)
    whole = content(run(two, store=tmp_path))
    path = tmp_path / experiment_digest(two) / "upstream-000000.safetensors"
    _swap(path, tmp_path / experiment_digest(one) / path.name)
    assert content(run(two, store=tmp_path, resume=True)) == whole
    assert f"belongs to another experiment (digest {experiment_digest(one)}, not" in caplog.text


def test_downstream_files_belong_to_the_upstream_training_that_they_continue(tmp_path, caplog, monkeypatch):
    """Networks with other last bits, as another machine would train them: what was drawn from them is drawn again."""
    experiment = small(kinds=KINDS, replicas=5)
    run(experiment, store=tmp_path)
    (tmp_path / experiment_digest(experiment) / "upstream-000002.safetensors").unlink()
    train = engine.train_upstream

    def nudged(setting, until, inputs):
        ended = train(setting, until, inputs)
        ended.parameters[0][0, 0, 0] += 1e-12
        return ended

    monkeypatch.setattr(engine, "train_upstream", nudged)
    found = content(run(experiment, store=tmp_path, resume=True))
    # All three ranges of drawn weights, and the range of the network itself.
    assert caplog.text.count("continues another upstream training") == 3 + 1
    caplog.clear()
    assert content(run(experiment, store=tmp_path, resume=True)) == found
    assert caplog.text == ""


def test_a_description_that_is_damaged_is_written_again(tmp_path, caplog):
    experiment = small(kinds=("scratch",), replicas=2)
    run(experiment, store=tmp_path)
    path = tmp_path / experiment_digest(experiment) / files.EXPERIMENT
    good = path.read_bytes()
    path.write_bytes(b"{}")
    run(experiment, store=tmp_path, resume=True)
    assert "it is written again" in caplog.text
    assert path.read_bytes() == good
