"""The list of claims: fixed beforehand, named once, and able to say no; the walk through them."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from reports.campaign import _workers, run_campaign
from reports.claims import CLAIMS
from reports.claims.claim import Context
from reports.claims.linear_variants import variants
from reports.record import to_builtins
from theory import linear
from theory.errors import InvalidInput
from theory.setting import Labels, Setting

QUICK = Context(seed=5)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_cases_are_fixed_before_anything_runs(claim):
    cases = claim.cases(QUICK)
    assert cases == claim.cases(QUICK)
    assert len({case.name for case in cases}) == len(cases)
    assert all(isinstance(case.setting, Setting) for case in cases)
    assert claim.cases(Context(seed=6)) != cases


def test_no_two_cases_share_a_seed_unless_they_share_an_experiment():
    every = [case for claim in CLAIMS for case in claim.cases(QUICK)]
    runs = [case.setting for case in every if case.experiment is None]
    runs += {case.experiment for case in every if case.experiment is not None}
    assert len({run.ensemble.seed for run in runs}) == len(runs)


def test_a_larger_budget_changes_replicas_alone_and_only_c3_and_f7_add_cases():
    for claim in CLAIMS:
        few, many = claim.cases(QUICK), claim.cases(Context(budget="full", seed=5))
        assert len(many) == len(few) or claim.id in ("C3", "F7")
        for quick, full in zip(few, many[: len(few)], strict=True):
            ensemble = replace_replicas(full.setting, quick.setting.ensemble.replicas)
            assert ensemble == quick.setting
            if full.experiment is not None:
                assert quick.experiment == replace_replicas(full.experiment, quick.setting.ensemble.replicas)


def replace_replicas(setting, replicas):
    return msgspec.structs.replace(setting, ensemble=msgspec.structs.replace(setting.ensemble, replicas=replicas))


def test_ids_and_references():
    assert [claim.id for claim in CLAIMS] == sorted({claim.id for claim in CLAIMS})
    assert all(claim.reference.startswith("arXiv:2006.10455") for claim in CLAIMS)


def test_every_closed_form_of_linear_models_is_a_training_of_the_theorem():
    """On rows that are fixed, or of one output, where the form wants that: it describes one of these trainings."""
    settings = list(variants().values())
    for setting in variants().values():
        if setting.data.samples != "online":
            fixed = msgspec.structs.replace(setting, data=msgspec.structs.replace(setting.data, fixed=True))
            settings += [fixed, msgspec.structs.replace(fixed, labels=Labels())]
    for form in linear.FORMS:
        assert any(form.refusal(setting) is None for setting in settings), form.name


def test_an_unknown_claim_or_budget_is_named(tmp_path):
    kept = tmp_path / "store" / "kept"
    kept.parent.mkdir()
    kept.touch()
    with pytest.raises(InvalidInput, match="Z9"):
        run_campaign(only=["Z9"], store=kept.parent, fresh=True)
    assert kept.exists()  # what an interruption left is not lost to a slip of the pen
    with pytest.raises(InvalidInput, match="lavish"):
        run_campaign(budget="lavish")


def test_a_number_of_processes_is_checked():
    with pytest.raises(InvalidInput, match="processes = 0"):
        run_campaign(only=["A2"], processes=0)


def test_a_gpu_is_not_shared(monkeypatch):
    import torch

    monkeypatch.setattr("reports.campaign.resolve", lambda device: torch.device("cuda", 0))
    assert _workers(None, "auto") == 1
    with pytest.raises(InvalidInput, match="a GPU is not shared"):
        _workers(2, "cuda")


def test_a_report_knows_nothing_of_its_processes():
    """Bit by bit: every finding, table, figure and setting, whoever judged the case."""
    alone, shared = (to_builtins(run_campaign(only=["A1", "A2"], seed=5, processes=processes)) for processes in (1, 2))
    for record in (alone, shared):
        for claim in record["claims"]:
            assert claim.pop("seconds") > 0
    assert [claim["id"] for claim in shared["claims"]] == ["A1", "A2"]
    assert alone["claims"] == shared["claims"]


@pytest.mark.slow
def test_an_interrupted_report_of_several_processes_keeps_its_store(tmp_path):
    """Ctrl-C: exit status 3, and shards that --resume goes on from."""
    command = [Path(sys.executable).parent / "eigenalign", "report", "--only", "B2", "--processes", "2"]

    def heeding():
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background processes ignore Ctrl-C

    arguments = {"stderr": subprocess.PIPE, "text": True, "preexec_fn": heeding}
    with subprocess.Popen([*command, "--out", tmp_path], **arguments) as report:
        while not list((tmp_path / ".ensembles").rglob("*.safetensors")):
            assert report.poll() is None
            time.sleep(0.1)
        report.send_signal(signal.SIGINT)
        _, printed = report.communicate()
    assert report.returncode == 3
    assert "--resume goes on" in printed
    assert "Traceback" not in printed
    assert list((tmp_path / ".ensembles").rglob("*.safetensors"))
