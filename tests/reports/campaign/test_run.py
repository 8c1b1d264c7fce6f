"""The walk: who computed what, in which order, and how often it was interrupted does not show in a report."""

from dataclasses import replace

import pytest

from reports.campaign.run import assemble, run_campaign, run_shard
from reports.campaign.settle import WITHOUT_CASES, judge_claim
from reports.claims.claim import Context
from reports.record import to_builtins
from tests.reports.campaign import toy
from theory.errors import InvalidInput, NoClosedForm


def found(report):
    """All that a report says of its claims, but for the time that it took."""
    claims = to_builtins(report)["claims"]
    for claim in claims:
        assert claim.pop("seconds") >= 0
    return claims


def test_a_report_is_assembled_again_from_its_records(only_the_toy, tmp_path):
    report = run_campaign(folder=tmp_path)
    assert len(toy.measured) == 3
    again = assemble(tmp_path)
    assert to_builtins(again) == to_builtins(report)
    assert len(toy.measured) == 3
    assert found(report) == found(run_campaign())  # without a folder


def test_one_claim_alone_is_judged_as_within_a_report(only_the_toy):
    alone = to_builtins(judge_claim(toy.CLAIM, Context()))
    assert alone.pop("seconds") >= 0
    assert [alone] == found(run_campaign())


def test_findings_are_stamped(only_the_toy):
    findings = run_campaign().findings
    assert [(f.claim, f.case, f.kind, f.replicas) for f in findings] == [
        ("X1", "factor 1", "exact", 5),
        ("X1", "the largest", "control", 5),
        ("X1", "factor 2", "exact", 5),
        ("X1", "the largest", "control", 5),
        ("X1", "factor 3", "exact", 0),
        ("X1", "all factors", "outside", 10),
    ]
    lost = findings[4]
    assert (lost.quantity, lost.measurement, lost.verdict) == ("training", "diverged", "undecided")
    assert "too large" in lost.note


def test_a_claim_without_cases_says_so_and_shows_its_background_alone(only_the_toy, monkeypatch):
    later = replace(
        toy.CLAIM,
        trials=lambda context: {
            name: replace(trial, since="full") for name, trial in toy.CLAIM.trials(context).items()
        },
    )
    monkeypatch.setattr("reports.campaign.run.CLAIMS", (later,))
    (claim,) = run_campaign().claims
    assert (claim.findings, claim.figures) == ((), ())
    assert [table.name for table in claim.tables] == ["toy-behind"]
    assert claim.method == f"{toy.CLAIM.method} {WITHOUT_CASES}"
    (whole,) = run_campaign(budget="full").claims
    assert whole.method == toy.CLAIM.method


def test_rows_that_no_closed_form_covers_do_not_end_a_report(only_the_toy, tmp_path, monkeypatch):
    def predict(case) -> float:
        if case.study.value == 2:
            raise NoClosedForm("setting", "these rows", "learning rates are too large for them")
        return case.study.value

    claim = replace(toy.CLAIM, predict=predict)
    monkeypatch.setattr("reports.campaign.run.CLAIMS", (claim,))
    report = run_campaign(folder=tmp_path)
    lost = report.findings[2]
    assert (lost.case, lost.quantity, lost.measurement, lost.verdict) == (
        "factor 2", "prediction", "not made", "undecided",
    )  # fmt: skip
    assert "too large for them" in lost.note
    assert toy.measured == [1.0, 3.0]
    assert found(assemble(tmp_path)) == found(report)


def test_tables_that_depend_on_no_case_follow_the_others(only_the_toy):
    (claim,) = run_campaign().claims
    assert [table.name for table in claim.tables] == ["toy", "toy-behind"]


@pytest.mark.parametrize("call", [0, 1, 2])
def test_an_interrupted_report_is_resumed(only_the_toy, tmp_path, call):
    toy.interrupt_at.append(call)
    with pytest.raises(KeyboardInterrupt):
        run_campaign(folder=tmp_path)
    toy.interrupt_at.clear()
    assert len(toy.measured) == call
    resumed = run_campaign(folder=tmp_path)
    assert len(toy.measured) == 3  # none twice
    assert found(resumed) == found(run_campaign())


def test_a_fresh_report_computes_everything_again(only_the_toy, tmp_path):
    run_campaign(folder=tmp_path)
    run_campaign(folder=tmp_path, fresh=True)
    assert len(toy.measured) == 6


def test_shards_share_the_cases_and_a_last_call_computes_nothing(only_the_toy, tmp_path):
    shared = [run_shard(f"{i}/3", tmp_path) for i in (2, 3, 1)]
    assert [(each.kept, each.cases) for each in shared] == [(1, 4), (2, 4), (4, 4)]
    assert sorted(toy.measured) == [1.0, 2.0, 3.0]
    with pytest.raises(InvalidInput, match="holds no report"):
        assemble(tmp_path)
    merged = run_campaign(folder=tmp_path)
    assert len(toy.measured) == 3
    assert found(merged) == found(run_campaign())


def test_a_shard_that_finds_its_cases_there_computes_nothing(only_the_toy, tmp_path):
    run_campaign(folder=tmp_path)
    assert run_shard("1/1", tmp_path).kept == 4
    assert len(toy.measured) == 3


def test_a_cut_case_has_the_bytes_of_a_whole_one(only_the_cut_one, tmp_path):
    whole = to_builtins(judge_claim(toy.CUT_CLAIM, Context()))
    assert toy.trained == [None]
    cut = run_campaign(folder=tmp_path)
    assert toy.trained[1:] == ["1/3", "2/3", "3/3", None]
    assert whole.pop("seconds") < cut.claims[0].seconds + 60
    assert found(cut) == [whole]
    assert not (tmp_path / ".ensembles").exists()


def test_machines_share_the_parts_of_a_case_and_the_last_one_settles_it(only_the_cut_one, tmp_path):
    shared = [run_shard(f"{i}/2", tmp_path) for i in (2, 1)]
    assert [(each.kept, each.cases) for each in shared] == [(1, 2), (2, 2)]  # the tables, then the case
    assert toy.trained == ["2/3", "1/3", "3/3", None]
    merged = run_campaign(folder=tmp_path)
    assert len(toy.trained) == 4
    assert found(merged) == found(run_campaign())


def test_the_seconds_of_a_cut_case_are_those_of_all_its_parts(only_the_cut_one, tmp_path, monkeypatch):
    monkeypatch.setattr("reports.campaign.run.train_part", lambda claim, case, context: 100.0)
    assert 300 < run_campaign(folder=tmp_path).claims[0].seconds < 360


def test_a_damaged_note_of_a_part_costs_nothing_but_its_seconds(only_the_cut_one, tmp_path):
    run_shard("1/2", tmp_path)
    (note,) = (tmp_path / ".ensembles").rglob("*-1-of-3")
    note.write_bytes(b"")
    run_shard("2/2", tmp_path)
    assert found(run_campaign(folder=tmp_path)) == found(run_campaign())


def test_a_part_that_is_there_is_not_trained_again(only_the_cut_one, tmp_path, monkeypatch):
    run_shard("1/3", tmp_path)
    monkeypatch.setattr("simulate.ensemble.train", lambda *_: pytest.fail("trained"))
    run_shard("1/3", tmp_path)
    assert toy.trained == ["1/3", "1/3"]


def test_a_case_that_is_joined_from_its_parts_has_the_bytes_of_a_whole_one(only_the_joined_one, tmp_path):
    whole = to_builtins(judge_claim(toy.JOINED_CLAIM, Context()))
    assert whole.pop("seconds") >= 0
    assert toy.trained == [None]
    shared = [run_shard(f"{i}/2", tmp_path) for i in (2, 1)]
    assert [each.kept for each in shared] == [1, 2]
    assert toy.trained[1:] == ["2/3", "1/3", "3/3"]  # what joins them computes nothing
    assert found(run_campaign(folder=tmp_path)) == [whole]
    assert len(toy.trained) == 4


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"nothing")])
def test_a_case_of_which_a_part_is_lost_is_settled_whole(only_the_joined_one, tmp_path, damage):
    run_shard("2/2", tmp_path)
    (part,) = (tmp_path / ".ensembles").rglob("*-2-of-3.safetensors")
    damage(part)
    run_shard("1/2", tmp_path)
    assert toy.trained == ["2/3", "1/3", "3/3", None]
    assert found(run_campaign(folder=tmp_path)) == found(run_campaign())


def test_a_report_without_a_record_is_refused(only_the_toy, tmp_path):
    run_campaign(folder=tmp_path)
    next(path for path in (tmp_path / "X1").iterdir() if path.stem != "background").unlink()
    with pytest.raises(InvalidInput, match=r"lacks case 'factor \d' of claim X1"):
        assemble(tmp_path)


def test_a_claim_that_this_version_does_not_have_is_named(only_the_toy, tmp_path, monkeypatch):
    run_campaign(folder=tmp_path)
    monkeypatch.setattr("reports.campaign.run.CLAIMS", ())
    with pytest.raises(InvalidInput, match="X1, which this version does not have"):
        assemble(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"only": ["Z9"]}, "Z9"),
        ({"budget": "lavish"}, "lavish"),
        ({"processes": 0}, "processes = 0"),
    ],
)
def test_a_slip_of_the_pen_deletes_nothing(only_the_toy, tmp_path, wrong, why):
    run_campaign(folder=tmp_path)
    with pytest.raises(InvalidInput, match=why):
        run_campaign(folder=tmp_path, fresh=True, **wrong)
    assemble(tmp_path)


def test_a_wrong_shard_is_refused(only_the_toy, tmp_path):
    with pytest.raises(InvalidInput, match="shard"):
        run_shard("4/3", tmp_path)


def test_a_gpu_is_not_shared(only_the_toy, monkeypatch):
    import torch

    monkeypatch.setattr("reports.campaign.run.resolve", lambda device: torch.device("cuda", 0))
    with pytest.raises(InvalidInput, match="a GPU is not shared"):
        run_campaign(processes=2)
    run_campaign(processes=None)


def test_a_log_gets_one_line_per_claim(only_the_toy, tmp_path, caplog):
    with caplog.at_level("INFO", "reports"):
        run_campaign(folder=tmp_path)
        assert caplog.messages == []
        run_campaign(folder=tmp_path, fresh=True, progress=True)
    assert caplog.messages == ["X1 is complete (1 of 1 claims)"]
