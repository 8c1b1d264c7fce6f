"""The theorem's rule says no where a hypothesis is broken, and waits where replicas are few."""

from __future__ import annotations

from dataclasses import replace

from reports.claims.alignment import a3_theorem, a4_hypotheses
from reports.claims.alignment.a3_theorem import OutsideTheorem, ShownAlone, ShownByTraining, TheoremTests
from reports.claims.linear_variants import linear_variants
from tests.reports.claims.alignment.ensembles import QUICK, case_of, outcome_of, smaller_case


def test_every_variant_is_trained_and_those_that_scatter_with_more_replicas():
    trials = a3_theorem.trials(QUICK)
    by_training = {t.study.training: t.trained for t in trials.values() if isinstance(t.study, ShownByTraining)}
    for variant in linear_variants():
        assert f"linear: {variant.name}" in trials
        replicas = a3_theorem.QUICK_VARIANTS.get(variant.name, 3072 * variant.effort)
        assert by_training[variant.name].ensemble.replicas == replicas
    assert {variant.effort for variant in linear_variants()} == {1, 3}


def test_the_theorem_would_be_refuted_for_adam():
    """The very test that lets A3 hold says no when a hypothesis is broken."""
    case = replace(case_of(a4_hypotheses.CLAIM, "Adam"), kind="exact", study=ShownByTraining("Adam"))
    first, _ = outcome_of(a3_theorem.CLAIM, case).judgements
    assert first.verdict == "refuted"
    assert first.pvalue < 1e-6


def test_the_theorem_is_undecided_with_few_replicas():
    case = smaller_case(a3_theorem.CLAIM, "ReLU network, Gaussian data", 100)
    outcome = outcome_of(a3_theorem.CLAIM, case)
    assert isinstance(outcome.measurement, TheoremTests)
    assert outcome.judgements[0].verdict == "undecided"
    told = f"anisotropy after training: {outcome.measurement.alignment.learned:.0%}"
    linear = case_of(a3_theorem.CLAIM, "linear: shuffled epochs").setting
    for changed, note in (
        (case, told),
        (replace(case, study=ShownByTraining("SGD")), ""),
        (replace(case, trained=linear), ""),
        (replace(case, study=ShownByTraining("SGD"), trained=linear), ""),
    ):
        assert a3_theorem.decide(changed, 0.0, outcome.measurement)[0].note == note
    enough = replace(
        outcome.measurement,
        alignment=replace(outcome.measurement.alignment, detectable=0.04),
        mean_weight=replace(outcome.measurement.mean_weight, detectable=0.04),
    )
    assert [j.verdict for j in a3_theorem.decide(case, 0.0, enough)] == ["holds", "holds"]
    broken = replace(enough, mean_weight=replace(enough.mean_weight, pvalue=1e-7))
    assert [j.verdict for j in a3_theorem.decide(case, 0.0, broken)] == ["holds", "refuted"]
    diverged = replace(enough, alignment=replace(enough.alignment, diverged=1))
    assert [j.verdict for j in a3_theorem.decide(case, 0.0, diverged)] == ["undecided", "undecided"]


def test_real_data_get_no_verdict_and_are_drawn():
    outcome = outcome_of(
        a3_theorem.CLAIM,
        smaller_case(a3_theorem.CLAIM, "photograph patches 3x3x3, ReLU network, random classes", 8, steps=(0, 4)),
    )
    assert isinstance(outcome.measurement, OutsideTheorem)
    assert outcome.case.study == ShownAlone("photograph patches 3x3x3")
    (judgement,) = outcome.judgements
    assert (judgement.verdict, judgement.prediction) == ("outside the hypotheses", "none")
    distance = outcome.measurement.distance
    first, last = distance.along
    longer = replace(outcome.measurement, distance=replace(distance, along=(first, first, last)))
    assert a3_theorem.decide(outcome.case, "none", longer) == (judgement,)
    assert judgement.note == f"{last.effect:.0%} below a random basis ($p$ = {last.pvalue:.2g})"
    assert f"{first.effect:.0%}" != f"{last.effect:.0%}"
    shown = a3_theorem.illustrate((outcome,))
    assert [len(table.rows) for table in shown.tables] == [1, 0]
    assert [[panel.title for panel in figure.panels] for figure in shown.figures] == [["photograph patches 3x3x3"]] * 2
