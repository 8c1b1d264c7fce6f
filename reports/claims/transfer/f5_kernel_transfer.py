"""F5, transfer in wide networks: through the kernel of pre-trained weights, and with the output layer kept."""

from __future__ import annotations

import numpy as np
from scipy import stats

from reports.claims.claim import Case, Claim, Context, Outcome
from reports.claims.transfer.kernel_gains import Gains, Kept, Study, Weights, measured, predicted
from reports.findings import CONTINUED, Column, Figure, Finding, Panel, Series, Table, Verdict
from reports.judging.compare import CONFIDENCE, asymptotic_verdict, control_verdict
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

FEATURES_STEPS, KEPT_STEPS = (5, 40), (5, 30)
HIGH, LOW = "weights, target of high variance", "weights, target of low variance"
RANDOM, LITTLE = "weights, random labels", "kept output layer, little to remember"
MUCH, NEW = "kept output layer, much to remember", "kept output layer, new inputs"
CONTROL = "kept output layer, its memory of the labels left out"
STUDIES: dict[str, Study] = {
    HIGH: Weights("high variance", FEATURES_STEPS),
    LOW: Weights("low variance", FEATURES_STEPS),
    RANDOM: Weights("random", FEATURES_STEPS),
    LITTLE: Kept(20, False, KEPT_STEPS),
    MUCH: Kept(100, False, KEPT_STEPS),
    NEW: Kept(100, True, KEPT_STEPS),
    CONTROL: Kept(100, False, KEPT_STEPS),
}
REPLICAS = 24
SEEN = 0.01  # a sign is seen where simultaneous 99 % intervals exclude 0


def cases(context: Context) -> tuple[Case, ...]:
    """The networks of each; what is done with them stands in `STUDIES`."""
    return tuple(
        Case(
            name,
            Setting(
                data=Data(
                    kind="gaussian",
                    spectrum=tuple(np.geomspace(4.0, 0.2, 20 if isinstance(study, Weights) else 10).round(3).tolist()),
                    samples=100 if isinstance(study, Weights) else 40,
                    fixed=True,
                ),
                labels=Labels(variance=1.0 if isinstance(study, Weights) else 0.09 if name == LITTLE else 4.0),
                network=Network(
                    kind="mlp", hidden=(2048 if isinstance(study, Weights) else 1024,), parametrization="ntk"
                ),
                training=Training(learning_rate=1.0, steps=study.steps),
                ensemble=Ensemble(replicas=context.replicas(REPLICAS), seed=context.seed_of("F5", number)),
            ),
            kind="control" if name == CONTROL else "asymptotic",
        )
        for number, (name, study) in enumerate(STUDIES.items())
    )


def budget(case: Case) -> float:
    """What the width may add to a gain, as a share of the loss at the start.

    Fixed on other networks (theory/derivations.md, section 2.5).
    """
    (width,) = case.setting.network.widths
    return (0.5 if isinstance(STUDIES[case.name], Weights) else 2.0) / float(np.sqrt(width))


def predict(case: Case) -> Gains:
    """By the kernels of infinitely wide networks; the control's mistake is labels of variance 0 upstream."""
    return predicted(STUDIES[case.name], case.setting, variance=0.0 if case.kind == "control" else None)


def measure(case: Case, context: Context) -> Gains:
    """Networks trained after the prediction's experiment, and fresh ones from the same random numbers."""
    return measured(STUDIES[case.name], case.setting)


def decide(case: Case, prediction: Gains, found: Gains) -> tuple[Finding, ...]:
    """Over each reference: both steps within the budget, and the signs that the budget leaves no doubt of are seen."""
    return tuple(_finding(case, prediction, found, k) for k in range(len(found.references)))


def _finding(case: Case, prediction: Gains, found: Gains, k: int) -> Finding:
    assert found.errors is not None
    expected, value, error = prediction.gains[k], found.gains[k], found.errors[k]
    (early, late), tests, allowed = found.steps, len(found.steps), budget(case)
    law = stats.t(found.replicas - found.diverged - 1)
    off = value - expected
    half = law.isf((1 - CONFIDENCE) / 2 / tests) * error
    pvalue = min(1.0, tests * float(law.sf(((np.abs(off) - allowed) / error).max())))
    seen = np.sign(value) * (np.abs(value) > law.isf(SEEN / 2 / tests) * error)
    if case.kind == "control":
        verdict: Verdict = control_verdict(pvalue, found.diverged)
    else:
        bounds = zip(off - half, off + half, strict=True)
        verdicts = {asymptotic_verdict(low, high, allowed, found.diverged) for low, high in bounds}
        verdict = "refuted" if "refuted" in verdicts else "undecided" if "undecided" in verdicts else "holds"
        clear = np.abs(expected) > allowed
        if verdict == "holds" and not np.array_equal(seen[clear], np.sign(expected[clear])):
            verdict = "undecided"
    return Finding(
        claim="F5",
        case=case.name,
        kind=case.kind,
        quantity=f"gain after step {early} over {found.references[k]}, as a share",
        prediction=f"not {expected[0]:.4f}" if case.kind == "control" else float(expected[0]),
        measurement=float(value[0]),
        standard_error=float(error[0]),
        interval=(float(value[0] - half[0]), float(value[0] + half[0])),
        pvalue=pvalue if case.kind == "control" else None,
        power=f"within {allowed:.1%} of the loss; {_words(seen)} seen, early and late",
        verdict=verdict,
        note=f"after step {late} predicted {expected[1]:+.4f}, measured {value[1]:+.4f} ± {error[1]:.4f}",
        replicas=found.replicas,
        diverged=found.diverged,
    )


def _words(signs: np.ndarray) -> str:
    return ", ".join("positive" if sign > 0 else "negative" if sign < 0 else "no sign" for sign in signs)


def illustrate(outcomes: tuple[Outcome, ...]) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """Every gain, predicted and measured; the predicted ones along the whole training, with the measured points."""
    rows = []
    for outcome in outcomes:
        prediction, found = outcome.prediction, outcome.measurement
        for k, reference in enumerate(found.references):
            for i, step in enumerate(found.steps):
                rows.append(
                    (
                        outcome.case.name if k == i == 0 else CONTINUED,
                        reference if i == 0 else CONTINUED,
                        step,
                        100 * float(prediction.gains[k, i]),
                        (100 * float(found.gains[k, i]), 100 * float(found.errors[k, i])),
                    )
                )
    table = Table(
        name="f5-gains",
        caption="What pre-training takes off the downstream loss of wide ReLU networks, in per cent of the loss at the "
        "start: through first-layer weights of covariance $\\propto S^{3/4}$, second layer trained, against isotropic "
        "weights of the same trace and of the same $\\mathrm{tr}\\,\\Sigma_w S$; and with the output layer kept after "
        "training on random labels, against a fresh network. The last case is the control: predicted as if nothing of "
        "the labels were remembered.",
        columns=(
            Column("case", "text"),
            Column("against", "text"),
            Column("step"),
            Column("predicted, %"),
            Column("measured, %"),
        ),
        rows=tuple(rows),
    )
    figure = Figure(
        name="f5-gains",
        caption="The gain as a share of the loss at the start, along the downstream training: kernel regime (lines) "
        "and networks (points, 95 % intervals). Below zero pre-training hurts.",
        panels=tuple(_panel(outcome) for outcome in outcomes if outcome.case.kind != "control"),
    )
    return (table,), (figure,)


def _panel(outcome: Outcome) -> Panel:
    case, found = outcome.case, outcome.measurement
    study = STUDIES[case.name]
    every = tuple(range(found.steps[-1] + 1))
    line = predicted(_along(study, every), case.setting)
    series = [Series("none", np.array([every[0], every[-1]]), np.zeros(2), style="dashed")]
    for k, reference in enumerate(found.references):
        series.append(Series(f"over {reference}", np.array(every), line.gains[k], style="line"))
        series.append(Series("networks", np.array(found.steps), found.gains[k], 1.96 * found.errors[k]))
    return Panel(case.name, "step", "gain", tuple(series))


def _along(study: Study, steps: tuple[int, ...]) -> Study:
    """The same study, read at other steps."""
    if isinstance(study, Weights):
        return Weights(study.target, steps)
    assert isinstance(study, Kept)
    return Kept(study.length, study.new, steps)


CLAIM = Claim(
    id="F5",
    title="Transfer in wide networks",
    statement="In the kernel regime the downstream loss after pre-training has a closed form, and with it the sign of "
    "transfer. Weights of an aligned covariance help where the target lies along their large directions and hurt where "
    "it lies along the small ones; much of what they seem to gain at equal trace is the larger scale of their kernel. "
    "With the output layer kept, the memory of random labels works against what pre-training forgot of the init.",
    reference="arXiv:2006.10455 asks when transfer is positive; the conditions are derived in theory/derivations.md",
    method="ReLU networks with one hidden layer are trained downstream, the compared ones from the same random "
    "numbers, and read early and late; a control variate with a known mean takes out noise. The closed form neglects "
    "what a finite width adds, by a budget of $0.5\\,m^{-1/2}$ of the loss at the start for weights and "
    "$2\\,m^{-1/2}$ for kept networks, whose kernel has moved: simultaneous 95 % intervals must lie within it, and "
    "every predicted gain larger than that must be seen with its sign. As a control, the form without the memory of "
    "the upstream labels must be refuted.",
    cases=cases,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
