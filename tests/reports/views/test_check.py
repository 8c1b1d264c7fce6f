"""`eigenalign check` as a user meets it: the contract, and the text."""

import json

import numpy as np
import pytest

from reports.check import check, check_files
from reports.views.check import view
from tests.reports.command_line import run

KEYS = [
    "dimension", "filters", "networks", "rank", "misalignment", "misalignment_squared", "null_floor", "random_basis",
    "aligned", "transfer_function", "verdict", "warnings", "details",
]  # fmt: skip


def test_one_network_gives_the_contract(capfd, files):
    status, out, err = run(capfd, "check", "--weights", files / "w0.npy", "--data", files / "x.npy", "--json")
    record = json.loads(out)
    assert (status, err) == (0, "")
    assert list(record) == KEYS
    assert (record["dimension"], record["filters"], record["networks"], record["rank"]) == (4, 200, 1, 4)
    assert record["misalignment_squared"] == pytest.approx(record["misalignment"] ** 2)
    assert list(record["random_basis"]) == ["pvalue", "effect"]
    assert record["aligned"]["method"] == "randomization"
    assert record["details"]["aligned_turned"] == "filters"
    assert [set(entry) for entry in record["transfer_function"]] == [{"sigma", "f", "multiplicity"}] * 4
    sigma = [entry["sigma"] for entry in record["transfer_function"]]
    assert sigma == sorted(sigma)
    assert record["verdict"] == "aligned"
    assert all(isinstance(text, str) for text in record["warnings"])


def test_several_networks_and_python_agree(capfd, files):
    sources = [str(files / f"w{r}.npy") for r in range(5)]
    arguments = [part for source in sources for part in ("--weights", source)]
    record = json.loads(run(capfd, "check", *arguments, "--data", files / "x.npy", "--json", "--seed", "2")[1])
    assert record["networks"] == 5
    assert record["aligned"]["method"] == "randomization"
    assert record == view(check_files(sources, str(files / "x.npy"), seed=2)).value
    assert record == view(check([np.load(source) for source in sources], np.load(files / "x.npy"), seed=2)).value


def test_what_is_infinite_is_null(capfd, files):
    record = json.loads(run(capfd, "check", "--weights", files / "few.npy", "--data", files / "x.npy", "--json")[1])
    assert record["misalignment"] is None
    assert record["null_floor"] is None
    assert record["details"]["misalignment_interval"] is None


def test_layouts_from_the_command_line(capfd, files):
    arguments = ["--weights", files / "filters.npy", "--data", files / "images.npy", "--channels-last", "--json"]
    assert run(capfd, "check", *arguments)[0] == 2  # read as two filters of 3 × 64
    record = json.loads(run(capfd, "check", *arguments, "--transposed")[1])
    assert (record["dimension"], record["filters"]) == (18, 64)
    assert record["details"]["vectors"] == 30 * 5 * 5
    dilated = json.loads(run(capfd, "check", *arguments, "--transposed", "--dilation", "3")[1])
    assert dilated["details"]["vectors"] == 30 * 3 * 1


def test_the_text_has_the_verdict_the_numbers_and_the_notes(capfd, files):
    status, out, err = run(capfd, "check", "--weights", files / "w0.npy", "--data", files / "x.npy", "--quiet")
    assert (status, err) == (0, "")
    assert out.startswith("aligned: ")
    for word in ("misalignment M", "M from noise alone", "closer than random", "exactly aligned", "sigma", "note: "):
        assert word in out
    few = view(check(np.eye(4)[:2], np.load(files / "x.npy"))).as_text()
    assert "infinite" not in few
    assert "not defined for rank 2 in dimension 4" in few
    assert "would decide" in few
    assert (
        max(map(len, view(check(np.load(files / "w1.npy"), np.load(files / "x.npy"))).as_text().split("\n")[2:14]))
        < 120
    )
