"""The list of claims: fixed beforehand, typed, seeded by what cases are, and reachable by every closed form."""

import ast
from dataclasses import replace
from inspect import getsource
from pathlib import Path
from typing import get_type_hints

import msgspec
import pytest

import reports.claims
from reports.campaign.records import specification
from reports.claims import CLAIMS
from reports.claims.claim import Context, Trial, at_budget, seeded
from reports.claims.forms import f1_closed_forms
from reports.claims.linear_variants import variants
from reports.claims.shape import b2_shape
from theory import linear
from theory.setting import Data, Ensemble, Experiment, Labels, Setting

QUICK, FULL = Context(seed=5), Context(budget="full", seed=5)
FOLDER = Path(reports.claims.__file__).parent
STEPS = ("trials", "predict", "measure", "decide", "illustrate", "conclude", "background")


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_cases_are_fixed_before_anything_runs(claim):
    cases = claim.cases(FULL)
    assert cases == claim.cases(FULL)
    assert len({case.name for case in cases}) == len(cases)
    assert all(isinstance(case.trained, Setting | Experiment) for case in cases)
    assert claim.cases(Context(budget="full", seed=6)) != cases


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_draws_hang_on_what_a_case_is(claim):
    """Seeds do not depend on a case's name, its place, or its number of replicas."""
    trials = claim.trials(QUICK)
    turned = {f"renamed {name}": trials[name] for name in reversed(trials)}
    more = {
        name: replace(trial, trained=msgspec.structs.replace(trial.trained, ensemble=larger(trial.trained.ensemble)))
        for name, trial in turned.items()
    }
    changed = replace(claim, trials=lambda context: more)
    seeds = [case.trained.ensemble.seed for case in claim.cases(QUICK)]
    assert [case.trained.ensemble.seed for case in changed.cases(QUICK)] == seeds[::-1]


def larger(ensemble):
    return msgspec.structs.replace(ensemble, replicas=3 * ensemble.replicas)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_no_two_cases_of_a_claim_are_the_same(claim):
    """Cases share a seed only if they train the same networks."""
    cases = claim.cases(QUICK)
    assert len({case.trained.ensemble.seed for case in cases}) == len({case.trained for case in cases})
    assert len({specification(case, "quick") for case in cases}) == len(cases)


def test_no_two_claims_share_a_seed_unless_they_share_an_experiment():
    trained = {case.trained for claim in CLAIMS for case in claim.cases(QUICK)}
    assert len({each.ensemble.seed for each in trained}) == len(trained)


def test_a_larger_budget_changes_replicas_alone_and_only_some_add_cases():
    for claim in CLAIMS:
        few, many = claim.cases(QUICK), claim.cases(FULL)
        assert len(many) == len(few) or claim.id in ("A7", "A8", "B5", "B7", "C2", "C3", "C5", "C7", "F4", "F7", "F9")
        named = {case.name: case for case in many}
        for quick in few:
            full = named[quick.name]
            assert (full.study, full.kind) == (quick.study, quick.kind)
            alike = msgspec.structs.replace(full.trained.ensemble, replicas=quick.trained.ensemble.replicas)
            assert msgspec.structs.replace(full.trained, ensemble=alike) == quick.trained


def test_the_quick_budget_takes_its_own_number_and_larger_ones_multiply_the_unit():
    budgets = [Context(budget=budget) for budget in ("quick", "full", "paper")]
    assert [context.replicas(10) for context in budgets] == [10, 60, 320]
    assert [context.replicas(10, quick=7) for context in budgets] == [7, 60, 320]
    trial = Trial(Setting(data=Data(kind="gaussian", spectrum=(1.0, 2.0)), ensemble=Ensemble(replicas=10)), quick=7)
    assert [at_budget(trial, context).trained.ensemble.replicas for context in budgets] == [7, 60, 320]


def test_a_case_begins_with_its_budget():
    setting = Setting(data=Data(kind="gaussian", spectrum=(1.0, 2.0)))
    trials = {since: Trial(setting, since, since=since) for since in ("quick", "full", "paper")}
    claim = replace(CLAIMS[0], trials=lambda context: trials)
    found = [[case.name for case in claim.cases(Context(budget=budget))] for budget in trials]
    assert found == [["quick"], ["quick", "full"], ["quick", "full", "paper"]]


def test_ids_and_references():
    assert [claim.id for claim in CLAIMS] == sorted({claim.id for claim in CLAIMS})
    assert all(claim.reference.startswith("arXiv:2006.10455") for claim in CLAIMS)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_hand_overs_are_typed(claim):
    """Every step says what it takes and gives, and what one gives the next takes."""
    hints = {step: get_type_hints(getattr(claim, step)) for step in ("predict", "measure", "decide", "illustrate")}
    for step, of in hints.items():
        assert "return" in of, step
        assert "Any" not in str([hint for name, hint in of.items() if name != "case"]), step
    assert list(hints["measure"]) == ["case", "context", "return"]  # what is measured is not told what is predicted
    assert list(hints["decide"].values())[1:3] == [hints["predict"]["return"], hints["measure"]["return"]]


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: str(path.relative_to(FOLDER)))
def test_no_claim_imports_another_nor_typesetting(path):
    modules = {claim.decide.__module__ for claim in CLAIMS}
    own = ".".join(["reports.claims", *path.relative_to(FOLDER).with_suffix("").parts])
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            assert not name.startswith(("reports.typesetting", "reports.campaign", "reports.views")), name
            assert name not in modules - {own} or own == "reports.claims.__init__", name


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_nothing_is_decided_by_the_words_of_a_name(claim):
    """A case's name is shown and nothing else: not searched, compared, cut or looked up."""
    for step in STEPS:
        for node in ast.walk(ast.parse(getsource(getattr(claim, step)))):
            if isinstance(node, ast.Compare):
                assert not any(is_name_of_case(each) for each in (node.left, *node.comparators)), step
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                assert not is_name_of_case(node.func.value), step
            if isinstance(node, ast.Subscript):
                assert not is_name_of_case(node.slice), step
                assert not is_name_of_case(node.value), step


def is_name_of_case(node):
    """`case.name` or `outcome.case.name`, however they are called."""
    if not (isinstance(node, ast.Attribute) and node.attr == "name"):
        return False
    of = node.value
    return (isinstance(of, ast.Name) and of.id == "case") or (isinstance(of, ast.Attribute) and of.attr == "case")


def test_every_closed_form_of_linear_models_is_held_against_a_simulation():
    named = {
        getattr(prediction, "prediction", prediction).formula
        for claim in (b2_shape.CLAIM, f1_closed_forms.CLAIM)
        for case in claim.cases(QUICK)
        if case.kind != "control"
        for prediction in [claim.predict(case)]
    }
    assert named == {form.name for form in linear.FORMS}


def test_every_closed_form_of_linear_models_is_a_training_of_the_theorem():
    """Each form describes one of these trainings, with fixed rows or one output where the form requires that."""
    settings = list(variants().values())
    for setting in variants().values():
        if setting.data.samples != "online":
            fixed = msgspec.structs.replace(setting, data=msgspec.structs.replace(setting.data, fixed=True))
            settings += [fixed, msgspec.structs.replace(fixed, labels=Labels())]
    for form in linear.FORMS:
        assert any(form.refusal(setting) is None for setting in settings), form.name


def test_a_seed_is_put_into_settings_and_experiments_alike():
    for trained in {type(case.trained): case.trained for claim in CLAIMS for case in claim.cases(QUICK)}.values():
        assert seeded(trained, 77).ensemble.seed == 77
        assert msgspec.structs.replace(seeded(trained, 77), ensemble=trained.ensemble) == trained
