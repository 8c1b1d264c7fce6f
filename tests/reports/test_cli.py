"""The commands as a user meets them: exit status, one JSON value on stdout, one line for bad input."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest

from reports import cli
from reports.claims import CLAIMS
from tests.reports.command_line import run_quietly, write

FULL_BATCH = """
[data]
kind = "gaussian"
spectrum = [0.5, 1.0, 2.0]
samples = 12
fixed = true
[training]
learning_rate = 0.1
steps = [0, 8]
[ensemble]
replicas = {replicas}
"""


@pytest.fixture
def no_latex(monkeypatch):
    """No LaTeX engine, whose passes take longer than a small report; the PDF has tests of its own."""
    monkeypatch.setattr("reports.typesetting.latex.find_engine", lambda: None)


@pytest.fixture
def setting(tmp_path):
    def written(text=FULL_BATCH, **values):
        return write(tmp_path, text.format(**{"replicas": 50000, **values}) if "{" in text else text)

    return written


def test_predict_gives_the_contract(capfd, setting):
    status, out, err = run_quietly(capfd, "predict", setting(), "--json")
    record = json.loads(out)
    assert (status, err) == (0, "")
    assert list(record) == [
        "formula", "status", "order", "error_budget", "assumptions", "neglected", "readings"
    ]  # fmt: skip
    reading = record["readings"][1]
    assert list(reading) == ["step", "sigma", "multiplicity", "tau", "f"]
    assert reading["step"] == 8
    assert reading["sigma"] == sorted(reading["sigma"])
    np.testing.assert_allclose(np.square(reading["f"]), reading["tau"])


def test_simulate_gives_the_contract(capfd, setting):
    status, out, _ = run_quietly(capfd, "simulate", setting(), "--replicas", "64", "--json")
    record = json.loads(out)
    assert status == 0
    assert record["replicas"] == 64
    assert record["diverged"] == 0
    assert list(record["readings"][0]) == [
        "step", "sigma", "multiplicity", "tau", "tau_se", "mean_weight_norm", "misalignment", "alignment_pvalue"
    ]  # fmt: skip


def test_one_replica_has_no_error_and_singular_weights_no_misalignment(capfd, setting):
    status, out, _ = run_quietly(capfd, "simulate", setting(), "--replicas", "1", "--json")
    reading = json.loads(out)["readings"][1]
    assert status == 0
    assert reading["tau_se"] == [None] * 3
    assert reading["misalignment"] is None
    assert reading["alignment_pvalue"] is None


def test_verify_holds_with_enough_replicas(capfd, setting):
    status, out, _ = run_quietly(capfd, "verify", setting(), "--json")
    record = json.loads(out)
    assert status == 0
    assert [reading["verdict"] for reading in record["comparison"]] == ["holds", "holds"]
    assert max(reading["detectable"] for reading in record["comparison"]) <= 0.05


def test_verify_is_undecided_with_few(capfd, setting):
    status, out, _ = run_quietly(capfd, "verify", setting(replicas=200))
    assert status == 1
    assert "replicas: an error of 5% in one tau would too often be missed" in out


def test_verify_says_no_closed_form_before_simulating(capfd, setting, monkeypatch):
    import simulate

    monkeypatch.setattr(simulate, "run", lambda *a, **k: pytest.fail("simulated"))
    status, out, err = run_quietly(
        capfd, "verify", setting() and setting(FULL_BATCH + '[network]\nkind = "mlp"\n'), "--json"
    )
    assert status == 2
    assert json.loads(out)["error"] == "no closed form"
    head, *reasons = err.splitlines()
    assert head.startswith("eigenalign: no closed form: none applies to gaussian data, mlp network")
    assert any("linear-full-batch" in reason for reason in reasons[-1:])
    assert len(set(reasons)) == len(reasons) > 1


def test_text_output_names_formula_and_values(capfd, setting):
    assert "linear-full-batch (exact)" in run_quietly(capfd, "predict", setting())[1]
    assert "alignment p" in run_quietly(capfd, "simulate", setting(), "--replicas", "20")[1]


def test_claims_lists_every_claim_with_its_reference(capfd):
    status, out, _ = run_quietly(capfd, "claims", "--json")
    claims = json.loads(out)
    assert status == 0
    assert [claim["id"] for claim in claims][:5] == ["A1", "A2", "A3", "A4", "A5"]
    assert all("arXiv:2006.10455" in claim["reference"] and claim["checked"] for claim in claims)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["fly"], "No such command"),
        (["predict"], "Missing argument"),
        (["predict", "absent.toml"], "no such file"),
        (["predict", "{setting}", "--formula", "magic"], "is not a closed form"),
        (["simulate", "{setting}", "--replicas", "0"], "not in the range"),
        (["simulate", "{setting}", "--replicas", "many"], "not a valid integer"),
        (["report", "--budget", "lavish"], "not one of"),
        (["report", "--only", "Z9"], "is not a claim; there are A1"),
        (["report", "--only", " ,"], "names no claim"),
        (["report", "--seed", "-1"], "not in the range"),
        (["verify", "{setting}", "--device", "tpu"], "not one of"),
    ],
)
def test_bad_usage_is_exit_2_and_one_line(capfd, setting, arguments, why):
    status, out, err = run_quietly(capfd, *(setting() if a == "{setting}" else a for a in arguments), "--json")
    assert status == 2
    assert why.lower() in " ".join(err.split()).lower()
    assert len(err.splitlines()) == 1
    assert set(json.loads(out)) == {"error", "key", "value", "why"}


def test_no_command_is_one_line_too(capfd):
    assert cli.main([]) == 2
    assert capfd.readouterr().err == "eigenalign: bad usage: Missing command.\n"


def test_cuda_where_there_is_none_is_bad_input(capfd, setting):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    status, _, err = run_quietly(capfd, "simulate", setting(), "--device", "cuda")
    assert status == 2
    assert "cuda" in err.lower()


def test_an_array_of_nan_and_a_missing_array(capfd, setting, tmp_path):
    np.save(tmp_path / "x.npy", np.full((20, 3), np.nan))
    text = '[data]\nkind = "array"\npath = "{name}"\nsamples = 10\n'
    for name in ("x.npy", "absent.npy"):
        status, _, err = run_quietly(capfd, "simulate", setting(text, name=name), "--replicas", "4")
        assert status == 2
        assert len(err.splitlines()) == 1


def test_what_was_done_to_an_array_is_said(capfd, setting, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((40, 3)) + 5)
    text = '[data]\nkind = "array"\npath = "x.npy"\nfixed = true\n[training]\nsteps = 3\n'
    done = "data: 40 rows; the mean was subtracted (data.center), all rows were divided by one number"
    for command in (["predict"], ["simulate", "--replicas", "4"]):
        status, out, _ = run_quietly(capfd, command[0], setting(text), *command[1:])
        assert status == 0
        assert done in " ".join(out.split())
        assert "data:" not in run_quietly(capfd, command[0], setting(text), *command[1:], "--json")[1]


def test_interrupt_is_exit_3(capfd, setting, monkeypatch):
    import simulate

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(simulate, "run", interrupted)
    assert run_quietly(capfd, "simulate", setting())[0] == 3


def test_report_on_one_claim_writes_everything(capfd, tmp_path):
    out = tmp_path / "report"
    status, printed, _ = run_quietly(
        capfd, "report", "--only", "A1,A2", "--out", str(out), "--processes", "1", "--strict", "--json"
    )
    record = json.loads(printed)
    assert status == 0
    assert record == json.loads((out / "results.json").read_text())
    assert [claim["id"] for claim in record["claims"]] == ["A1", "A2"]
    for name in ("results.csv", "report.tex", "report.html", "tables/summary.tex", "figures/a1-equivariance.svg"):
        assert (out / name).stat().st_size > 0
    for finding in (finding for claim in record["claims"] for finding in claim["findings"]):
        assert finding["pvalue"] is not None or finding["interval"] is not None
        assert finding["power"]


def test_an_interrupted_report_goes_on(capfd, tmp_path, monkeypatch, no_latex):
    arguments = ("report", "--only", "A2", "--out", str(tmp_path), "--processes", "1", "--json")

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("reports.typesetting.document.write", interrupted)
        assert run_quietly(capfd, *arguments)[0] == 3
    assert len(list((tmp_path / "records" / "A2").iterdir())) == 3
    with monkeypatch.context() as patch:
        patch.setattr("simulate.inputs.Draws.take", lambda *a, **k: pytest.fail("drawn again"))
        resumed = json.loads(run_quietly(capfd, *arguments, "--resume")[1])
    (tmp_path / "store").mkdir()
    whole = json.loads(run_quietly(capfd, *arguments)[1])
    assert resumed["claims"][0]["findings"] == whole["claims"][0]["findings"]
    assert (tmp_path / "store").exists()  # a folder of the user's is left alone


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_report_is_typeset_again_from_its_records_alone(capfd, tmp_path, no_latex):
    first, again = tmp_path / "first", tmp_path / "again"
    run_quietly(capfd, "report", "--only", "A1,A2", "--out", str(first), "--processes", "1")
    shutil.copytree(first / "records", again / "records")
    status, printed, _ = run_quietly(capfd, "typeset", str(again), "--json")
    assert status == 0
    assert [claim["id"] for claim in json.loads(printed)["claims"]] == ["A1", "A2"]
    written, rewritten = files(first), files(again)
    assert rewritten == written


def test_what_cannot_be_typeset_is_refused(capfd, tmp_path):
    status, _, printed = run_quietly(capfd, "typeset", str(tmp_path))
    assert status == 2
    assert "holds no report" in printed
    assert len(printed.splitlines()) == 1


@pytest.mark.parametrize("told", ["shards", "ranks"])
def test_shares_of_a_report_make_the_whole(capfd, tmp_path, monkeypatch, told, no_latex):
    """Shards on several machines, or the ranks of torchrun; then a last call, which trains nothing."""
    shared, alone = tmp_path / "shared", tmp_path / "alone"
    arguments = ("report", "--only", "A2", "--seed", "3", "--processes", "1")
    for i in range(3):
        with monkeypatch.context() as patch:
            if told == "ranks":
                for name, value in {"RANK": i, "WORLD_SIZE": 3, "LOCAL_RANK": i}.items():
                    patch.setenv(name, str(value))
                status, printed, _ = run_quietly(capfd, *arguments, "--out", str(shared))
            else:
                status, printed, _ = run_quietly(capfd, *arguments, "--out", str(shared), "--shard", f"{i + 1}/3")
        assert status == 0
        assert f"shard {i + 1}/3" in printed
        assert "--resume" in printed
        assert not (shared / "results.json").exists()
    with monkeypatch.context() as patch:
        patch.setattr("reports.campaign.settle.settle", lambda *a: pytest.fail("computed again"))
        run_quietly(capfd, *arguments, "--out", str(shared), "--resume")
    run_quietly(capfd, *arguments, "--out", str(alone))
    for folder in ("tables", "figures"):
        assert files(shared / folder) == files(alone / folder)
    assert (shared / "results.csv").read_bytes() == (alone / "results.csv").read_bytes()


def test_the_installed_command_answers():
    done = subprocess.run(
        [Path(sys.executable).parent / "eigenalign", "--version"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "eigenalign" in done.stdout


@pytest.mark.parametrize("name", sorted(cli.eigenalign.commands))
def test_every_option_says_what_it_does_and_every_command_its_duration_with_an_example(name):
    command = cli.eigenalign.commands[name]
    options = [option for option in command.params if isinstance(option, click.Option)]
    assert [option.name for option in options if not option.help] == []
    assert f"eigenalign {name}" in command.help
    assert re.search(r"\b(seconds?|minutes?|at once)\b", " ".join([command.help, *(option.help for option in options)]))


def test_the_list_of_commands_cuts_no_sentence():
    listed = cli.eigenalign.get_help(click.Context(cli.eigenalign, terminal_width=80)).split("Commands:\n")[1]
    assert len(listed.strip().splitlines()) == len(cli.eigenalign.commands)  # one line per command
    assert all(line.endswith(".") and not line.endswith("...") for line in listed.strip().splitlines())


def test_help_of_the_report_names_every_claim():
    named = cli.eigenalign.commands["report"].help.split("The claims are")[1].split("\b")[0]
    found = set()
    for first, last in re.findall(r"([A-Z]\d)(?: to ([A-Z]\d))?", named):
        found |= {f"{first[0]}{number}" for number in range(int(first[1]), int((last or first)[1]) + 1)}
    assert found == {claim.id for claim in CLAIMS}
