"""C1, positive transfer: a fresh task is learnt faster after random labels, also from layers at their initial norms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reports.claims import paper_networks
from reports.claims.claim import Case, Claim, Context, Outcomes, Trial
from reports.claims.transfer import paper_transfer
from reports.claims.transfer.digits import (
    BATCH,
    HIDDEN,
    PLAIN,
    ROWS,
    Digits,
    downstream_epochs,
    he_init,
    small_init,
)
from reports.claims.transfer.effects import Effects, curves_panel, gains_table, judge_sign, measure_effects
from reports.counted import counted
from reports.findings import Exhibits, Figure, Judgement
from reports.judging.intervals import simultaneous
from reports.judging.rules import Sign
from theory.setting import Experiment

# Digits with new random labels downstream, which are learnt slowly: for 20 epochs.
NEW_LABELS = Digits(0.5, HIDDEN, ROWS, BATCH, limit=40, until=False, labels="classes", epochs=20, kinds=PLAIN)
REPLICAS, QUICK_REPLICAS = 20, 12
JUDGED = {"pretrained": "as trained", "rescaled": "every layer at its norm at init"}


def trials(context: Context) -> Mapping[str, Trial[None]]:
    """Real labels downstream from two sizes of initial weights; new random labels.

    Where CIFAR-10 is given, VGG16 besides, from He's initial weights; learning rate, rows and epochs are ours.
    """
    found = {
        "digits, init factor 0.5": small_init(context),
        "digits, init factor 1.0": he_init(context),
        "digits, new random labels, init factor 0.5": Trial(
            NEW_LABELS.experiment(context.replicas(REPLICAS, quick=QUICK_REPLICAS)), kind="asymptotic"
        ),
    }
    if context.cifar10 is not None:
        found |= {vgg.name: Trial(vgg.experiment(context), kind="asymptotic") for vgg in paper_transfer.GAINS}
    return found


def predict(case: Case[None]) -> Sign:
    """Both gains of every case."""
    return "positive"


def measure(case: Case[None], context: Context) -> Effects:
    """The gains of the case's experiment."""
    return measure_effects(case, context)


def decide(case: Case[None], prediction: Sign, measured: Effects) -> tuple[Judgement, ...]:
    """Both gains of a case by simultaneous 95 % intervals: above 0 it holds, below 0 it is refuted."""
    return tuple(
        judge_sign(
            measured.difference(treatment, confidence=simultaneous(len(JUDGED))),
            prediction,
            measured.diverged,
            quantity=f"gain in mean train accuracy, {words}",
            note=f"accuracy from scratch {measured.of('scratch').mean():.3f}; {measured.fitted} of "
            f"{measured.replicas} replicas fit all upstream labels, in {measured.upstream_steps.mean():.0f} steps on "
            "average",
        )
        for treatment, words in JUDGED.items()
    )


def illustrate(outcomes: Outcomes[None, Sign, Effects]) -> Exhibits:
    """Every gain, and accuracy along downstream training."""
    ours, paper = (
        [o.case.experiment for o in outcomes if paper_networks.is_paper(o.case.setting) is given]
        for given in (False, True)
    )
    lengths = "; VGG16: ".join(_lengths(experiments) for experiments in (ours, paper) if experiments)
    found = {outcome.case.name: outcome.measurement for outcome in outcomes}
    table = gains_table(
        "c1-gains",
        f"Train accuracy averaged over downstream training ({lengths}), means over replicas with standard errors, and "
        "the paired difference to training from scratch.",
        found,
    )
    figure = Figure(
        name="c1-curves",
        caption="Downstream training after upstream training on random labels, and from scratch. Bands: 95 % intervals "
        "of the mean over replicas.",
        panels=tuple(curves_panel(name, effects, PLAIN) for name, effects in found.items()),
    )
    return Exhibits((table,), (figure,))


def _lengths(experiments: Iterable[Experiment]) -> str:
    """How long the second tasks are trained, each length once."""
    words = []
    for each in experiments:
        real, epochs = each.downstream.labels.kind == "real", downstream_epochs(each)
        words.append(f"{counted(epochs, 'epoch')} of real labels" if real else f"{epochs} of new random ones")
    return ", ".join(dict.fromkeys(words))


CLAIM = Claim(
    id="C1",
    title="Positive transfer",
    statement="After training on random labels a fresh task, real or again random, is learnt faster than from "
    "scratch, even if every layer is rescaled to its norm at initialisation.",
    reference="arXiv:2006.10455, Figure 1",
    method="Networks are trained on 300 digits 8x8 with random labels until these are fitted, then on 300 others with "
    "their own; or for 40 epochs, then on new random labels. Every replica is trained downstream from "
    "scratch, from the trained weights, and from these rescaled, on the same rows, labels and batches: differences "
    "of the mean train accuracy are paired. A gain holds if its 95 % interval, simultaneous over both gains of a case, "
    "lies above 0, and is refuted if it lies below. Settings in which transfer is negative are those of C3 and C4. "
    "`--budget paper --cifar10 DIR` adds VGG16 on CIFAR-10, real and new random labels downstream, from He's initial "
    "weights, where a gain is expected. The paper does not give the values of its settings; these are ours. Command: "
    "`eigenalign report --only C1 --budget full`.",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
