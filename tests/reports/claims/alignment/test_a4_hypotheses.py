"""The controls of the theorem: what breaks nothing is never said to have been seen."""

from __future__ import annotations

from dataclasses import replace

from reports.claims.alignment import a3_theorem, a4_hypotheses
from tests.reports.claims.alignment.ensembles import outcome_of, smaller_case


def test_a_control_that_breaks_nothing_is_undecided():
    """A4's rule on a setting inside the hypotheses: never "holds"."""
    case = smaller_case(a3_theorem.CLAIM, "ReLU network, Gaussian data", 1500)
    outcome = outcome_of(a4_hypotheses.CLAIM, replace(case, kind="control", study=None))
    (judgement,) = outcome.judgements
    assert judgement.verdict == "undecided"
    seen = replace(outcome.measurement, whole=replace(outcome.measurement.whole, pvalue=1e-7))
    assert a4_hypotheses.decide(case, "", seen)[0].verdict == "holds"
    (table,) = a4_hypotheses.illustrate((outcome,)).tables
    assert table.rows[0][5] == 1500 // 16


def test_sign_sgd_leaves_the_commutant_along_the_axes():
    """Table and figure compare the share along the axes with chance; they say nothing where chance is 1."""
    outcome = outcome_of(a4_hypotheses.CLAIM, smaller_case(a4_hypotheses.CLAIM, "sign SGD", 600))
    axes = outcome.measurement.axes
    assert axes.chance == 5 / 15
    assert axes.share - 6 * axes.standard_error > 0.8
    exhibits = a4_hypotheses.illustrate((outcome,))
    assert exhibits.tables[0].rows[0][2:4] == ((100 * axes.share, 100 * axes.standard_error), 100 * axes.chance)
    (panel,) = exhibits.figures[0].panels
    assert [series.label for series in panel.series] == ["sign SGD", "by chance"]
    silent = replace(outcome, measurement=replace(outcome.measurement, axes=replace(axes, chance=1.0)))
    exhibits = a4_hypotheses.illustrate((silent,))
    assert exhibits.tables[0].rows[0][2] is None
    assert not exhibits.figures
