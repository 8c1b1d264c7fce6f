"""C6, the stages of upstream training: early epochs give most of the gain, late ones specialise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from reports.claims.claim import Case, Claim, Context, Outcomes, Trial
from reports.claims.transfer.effects import in_words, judge_sign
from reports.claims.transfer.stage_gains import EARLY, EPOCHS, StageGains, Stages, measure_stages
from reports.findings import OUTSIDE, Exhibits, Figure, Judgement, Panel, Series, number, table_of, text
from reports.judging.intervals import means_and_halves, sample_mean, simultaneous
from reports.judging.needed import by_interval, with_need
from reports.judging.rules import Ruling, identity_verdict, sign_verdict, worst
from theory.testing import paired_mean

LAST = EPOCHS[-1]
MOST = 0.5  # the share of the largest gain that early epochs must exceed
QUICK_REPLICAS = 12  # the number of replicas in the quick budget, trained as one batch
REGIMES = {
    "half of He's weights, rate 0.04": (Stages(0.5, 0.04, (128, 32), "early"), 20),
    "half of He's weights, rate 0.1": (Stages(0.5, 0.1, (128, 32), "late"), 20),
    "twice He's weights, rate 0.01": (Stages(2.0, 0.01, (128, 32), "nothing"), 20),
}
SAID = {"early": f"more than {MOST:g}", "late": "negative", "nothing": "no sign"}


def trials(context: Context) -> Mapping[str, Trial[Stages]]:
    """Labels that are fitted in a quarter of the epochs; a rate that harms in the end; the weights of claim C3."""
    return {
        f"digits, {name}": Trial(
            stages.digits.experiment(context.replicas(replicas, quick=QUICK_REPLICAS)),
            stages,
            "outside" if stages.asked == "nothing" else "asymptotic",
        )
        for name, (stages, replicas) in REGIMES.items()
    }


def predict(case: Case[Stages]) -> str:
    """The paper's words on stages, where they are judged."""
    return SAID[case.study.asked]


def measure(case: Case[Stages], context: Context) -> StageGains:
    """The gains of the case's networks, stage by stage."""
    return measure_stages(case, context)


def decide(case: Case[Stages], prediction: str, measured: StageGains) -> tuple[Judgement, ...]:
    """What the case is asked; that its first stage is scratch; elsewhere the late epochs as they come."""
    asked = case.study.asked
    if asked == "early":
        return _judge_early(measured, prediction), _judge_start(measured), _judge_late(measured, judged=False)
    return (_judge_late(measured, judged=asked == "late"),)


def early_verdict(measured: StageGains) -> Ruling:
    """The rule for "most": the early gain exceeds `MOST` of that at every other stage, so of the largest one.

    Holds where all 95 % intervals of g_early − MOST g_e lie above 0: every one of them must, so that each may have the
    whole error. Refuted where one of them, simultaneous, lies below.
    """
    count = len(measured.others)
    each = [measured.excess(epoch, MOST, simultaneous(1)) for epoch in measured.others]
    apart = [measured.excess(epoch, MOST, simultaneous(count)) for epoch in measured.others]
    if not all(found.estimable for found in each):
        return "undecided"
    if any(found.high < 0 for found in apart):
        return "refuted"
    rulings = [sign_verdict(found.low, found.high, "positive", measured.diverged) for found in each]
    return "holds" if worst(rulings) == "holds" else "undecided"


def _judge_early(measured: StageGains, prediction: str) -> Judgement:
    share, verdict = measured.early_share(), early_verdict(measured)
    nearest = min(
        (measured.excess(epoch, MOST, simultaneous(1)) for epoch in measured.others), key=lambda found: found.low
    )
    best = measured.best
    note = (
        f"the gain is largest after {best} epochs, {measured.at(best).mean():+.4f}; after {EARLY} epochs it is "
        f"{measured.at(EARLY).mean():+.4f}; a share of {measured.upstream[-1].mean():.2f} of upstream rows is fitted "
        "in the end"
    )
    return Judgement(
        quantity=f"share of the largest gain that the first {EARLY} of {LAST} epochs give",
        prediction=prediction,
        measurement="unknown: the largest gain may be 0" if share is None else share.ratio,
        interval=None if share is None else (share.low, share.high),
        verdict=verdict,
        power="the early gain is compared with that of every other stage",
        note=with_need(note, verdict, by_interval(nearest.replicas, nearest.low, nearest.high, (0.0,))),
    )


def _judge_start(measured: StageGains) -> Judgement:
    largest = float(abs(measured.at(0)).max())
    return Judgement(
        quantity="largest gain after 0 epochs, where the network is the untrained one",
        prediction=0.0,
        measurement=largest,
        verdict=identity_verdict(largest, 0.0, measured.diverged),
        power="detects any difference between the two trainings",
        kind="exact",
    )


def _judge_late(measured: StageGains, *, judged: bool) -> Judgement:
    """What the epochs after the first `EARLY` add, by its sign."""
    found = paired_mean(measured.at(LAST) - measured.at(EARLY))
    quantity = f"gain after {LAST} epochs minus that after {EARLY}"
    if judged:
        note = f"the gain after {EARLY} epochs is in {in_words(paired_mean(measured.at(EARLY)), 4)}"
        return judge_sign(found, "negative", measured.diverged, quantity=quantity, note=note)
    seen = "seen" if found.high < 0 else "absent: late epochs add to it" if found.low > 0 else "neither seen nor absent"
    return Judgement(
        quantity=quantity,
        prediction="no sign",
        measurement=found.mean,
        standard_error=found.standard_error,
        interval=(found.low, found.high),
        verdict=OUTSIDE,
        note=f"specialisation by late epochs is {seen}",
        kind="outside",
    )


def illustrate(outcomes: Outcomes[Stages, str, StageGains]) -> Exhibits:
    """The gain after every stage, in numbers and as curves."""

    def rows() -> Iterator[tuple[str, StageGains, int]]:
        for outcome in outcomes:
            for epoch in outcome.measurement.epochs:
                yield outcome.case.name, outcome.measurement, epoch

    table = table_of(
        "c6-stages",
        "Upstream accuracy and gain in mean train accuracy downstream by the number of epochs of one upstream "
        "training; means over replicas with standard errors, 95 % intervals.",
        rows(),
        text("case", lambda row: row[0], once=True),
        number("epochs", "count", lambda row: row[2]),
        number("upstream accuracy", "1", lambda row: float(row[1].upstream[row[1].epochs.index(row[2])].mean())),
        number("gain", "1", lambda row: sample_mean(row[1].at(row[2])) if row[2] else 0.0),
        text("95 % interval", lambda row: in_words(paired_mean(row[1].at(row[2])), 4) if row[2] else "0 by definition"),
    )
    figure = Figure(
        name="c6-stages",
        caption="The gain of networks taken from one upstream training, by the number of epochs until then. Bars: 95 "
        "% intervals of the mean over replicas; the stages of a replica share the trajectory, and rows, "
        "labels and batches downstream.",
        panels=tuple(_panel(outcome.case.name, outcome.measurement) for outcome in outcomes),
    )
    return Exhibits((table,), (figure,))


def _panel(title: str, measured: StageGains) -> Panel:
    epochs = measured.epochs[1:]
    series = Series("pretrained", np.array(epochs), *means_and_halves(measured.gains[1:].T), "both")
    return Panel(title, "epochs upstream", "gain in mean accuracy", (series,), xlog=True)


CLAIM = Claim(
    id="C6",
    title="Stages of upstream training",
    statement="Early epochs of training on random labels give most of the gain on a fresh task; late ones specialise, "
    "and can take it away.",
    reference="arXiv:2006.10455, Section 4",
    method="An MLP 64-128-32-10 on digits, 300 rows per task, batches of 32, momentum 0.9. One upstream training of "
    f"every replica is read after {', '.join(map(str, EPOCHS))} epochs, and each of these networks is trained "
    "downstream on real labels, on the same rows, labels and batches: stages are paired. Early means the first "
    f"{EARLY} epochs. They give most of the gain if their gain exceeds {MOST:g} of that at every other stage: the "
    "95 % intervals of the paired differences must all lie above 0. This is refuted if one of these intervals, taken "
    "simultaneously, lies below 0. The interval of the share is Fieller's, over all stages that may be the best. That "
    f"late epochs specialise is judged by the sign of the gain after {LAST} epochs minus that after {EARLY}, at a rate "
    f"so large that training ends in harm: it holds if negative. With twice He's weights, where transfer is negative "
    "as in claim C3, the paper gives no setting, so the sign is shown and not judged: there the first epochs do the "
    "harm, and "
    "late ones undo some of it. Rates and widths were chosen on pilot seeds 101 and 102; replicas, first 9, 5 and 4, "
    f"were raised to {QUICK_REPLICAS} at the quick budget, which train in one run, and to 20 or more beyond it; the "
    "verdicts at seed 0 stayed the same. After 0 epochs the gain must "
    "be 0 to the last bit. Command: `eigenalign report --only C6 --budget full`.",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
