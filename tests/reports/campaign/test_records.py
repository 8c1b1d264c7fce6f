"""What is kept of a case is read again bit for bit, or not at all."""

import dataclasses
import logging

import numpy as np
import pytest

from reports.campaign import records as module
from reports.campaign.records import Asked, Kept, Lost, Records, computed_by, specification
from reports.claims.claim import Case, Context
from simulate.store import read_file, write_file
from tests.reports.campaign import toy
from theory.errors import InvalidInput

CONTEXT = Context()
FIRST, SECOND, THIRD = toy.CLAIM.cases(CONTEXT)


@pytest.fixture
def records(tmp_path):
    return Records(tmp_path / "records", "cpu")


def kept():
    return Kept((1.0, toy.Draws(np.array([0.1, np.nan]), replicas=2)), 0.25)


def test_a_record_comes_back(records):
    assert records.load(toy.CLAIM, FIRST, CONTEXT) is None
    records.save(toy.CLAIM, FIRST, CONTEXT, kept())
    found = records.load(toy.CLAIM, FIRST, CONTEXT)
    assert found.seconds == 0.25
    assert found.value[0] == 1.0
    np.testing.assert_array_equal(found.value[1].values, [0.1, np.nan])
    assert records.load(toy.CLAIM, SECOND, CONTEXT) is None


def test_training_that_diverged_is_kept(records):
    records.save(toy.CLAIM, THIRD, CONTEXT, Kept((3.0, Lost("factor", "is too large")), 0.1))
    assert records.load(toy.CLAIM, THIRD, CONTEXT).value[1] == Lost("factor", "is too large")


@pytest.mark.parametrize("cut", [0, 7, 200, -1])
def test_a_file_that_is_cut_short_is_named_and_not_read(records, caplog, cut):
    records.save(toy.CLAIM, FIRST, CONTEXT, kept())
    path = records.path(toy.CLAIM, FIRST, CONTEXT)
    path.write_bytes(path.read_bytes()[:cut])
    assert records.load(toy.CLAIM, FIRST, CONTEXT) is None
    assert path.name in caplog.text


def test_an_altered_file_is_named_and_not_read(records, caplog):
    records.save(toy.CLAIM, FIRST, CONTEXT, kept())
    path = records.path(toy.CLAIM, FIRST, CONTEXT)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    assert records.load(toy.CLAIM, FIRST, CONTEXT) is None
    assert "altered" in caplog.text


@pytest.mark.parametrize("value", [None, [1.0], [1.0, {"@": "Popen", "args": "true"}], [1.0, {"@": "Draws"}]])
def test_a_file_of_another_shape_is_named_and_not_read(records, caplog, value):
    """A checksum that fits is no reason to trust what a file says."""
    records.save(toy.CLAIM, FIRST, CONTEXT, kept())
    path = records.path(toy.CLAIM, FIRST, CONTEXT)
    about, arrays = read_file(path, module.FORMAT)
    write_file(path, {**about, "value": value}, arrays, module.FORMAT)
    assert records.load(toy.CLAIM, FIRST, CONTEXT) is None
    assert "computed again" in caplog.text


def test_what_another_version_computed_is_computed_again_but_typeset_as_it_is(records, monkeypatch, caplog):
    records.save(toy.CLAIM, FIRST, CONTEXT, kept())
    known = computed_by("cpu")
    monkeypatch.setattr(module, "computed_by", lambda device: {**known, "numpy": "0.1"})
    with caplog.at_level(logging.INFO, logger="reports"):
        assert records.load(toy.CLAIM, FIRST, CONTEXT) is None
    assert "another version" in caplog.text
    assert records.load(toy.CLAIM, FIRST, CONTEXT, any_version=True) is not None


def test_a_record_of_another_device_is_not_taken(records):
    records.save(toy.CLAIM, FIRST, CONTEXT, kept())
    assert Records(records.folder, "cuda").load(toy.CLAIM, FIRST, CONTEXT) is None


def test_names_do_not_enter_a_specification_and_all_else_does():
    renamed = dataclasses.replace(FIRST, name="another name")
    assert specification(renamed, "quick") == specification(FIRST, "quick")
    others = [
        specification(FIRST, "full"),
        specification(SECOND, "quick"),
        specification(dataclasses.replace(FIRST, kind="control"), "quick"),
        specification(dataclasses.replace(FIRST, study=toy.Factor(1.5)), "quick"),
        *(specification(case, "quick") for case in toy.CLAIM.cases(Context(seed=1))),
    ]
    assert len({specification(FIRST, "quick"), *others}) == 1 + len(others)


def test_a_study_holds_no_arrays():
    with pytest.raises(TypeError, match="no arrays"):
        specification(Case("a", FIRST.trained, np.ones(2), "exact"), "quick")


def test_only_what_is_ours_is_deleted(records):
    records.save(toy.CLAIM, FIRST, CONTEXT, kept())
    theirs = [records.folder / "X1" / "mine.safetensors", records.folder / "notes.txt"]
    for path in theirs:
        path.write_text("kept")
    records.ensembles.mkdir(parents=True)
    records.clear()
    assert all(path.exists() for path in theirs)
    assert records.load(toy.CLAIM, FIRST, CONTEXT) is None
    assert not records.ensembles.exists()


def test_what_was_asked_for_comes_back_or_is_refused(records):
    asked = Asked(
        budget="quick", seed=0, device="cpu", claims=("X1",), cifar10=None,
        command="eigenalign report", started="2026-01-01", seconds=1.5, provenance={"python": "3"},
    )  # fmt: skip
    with pytest.raises(InvalidInput, match="holds no report"):
        records.description()
    records.describe(asked)
    assert records.description() == asked
    (records.folder / "report.json").write_text('{"budget": 3}')
    with pytest.raises(InvalidInput, match="cannot be read"):
        records.description()
