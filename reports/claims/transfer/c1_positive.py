"""C1, positive transfer: a fresh task is learnt faster after random labels, also from layers at their initial norms."""

from __future__ import annotations

from collections.abc import Iterable

from reports.claims import paper_networks
from reports.claims.claim import Case, Claim, Context, Outcome
from reports.claims.transfer import paper_transfer
from reports.claims.transfer.digits import (
    PLAIN,
    Digits,
    Effects,
    case,
    curves_panel,
    downstream_epochs,
    gains_table,
    he_init,
    measure_effects,
    sign_finding,
    simultaneous,
    small_init,
)
from reports.findings import Figure, Finding, Table

# random labels are learnt slowly: 20 epochs downstream, of a smaller network
NEW_LABELS = Digits(
    0.5, hidden=(128, 32), rows=300, batch=32, limit=40, until=False, labels="classes", epochs=20, kinds=PLAIN
)
REPLICAS = 20
NAMES = {"pretrained": "as trained", "rescaled": "every layer at its norm at init"}


def cases(context: Context) -> tuple[Case, ...]:
    """Real labels downstream from two sizes of initial weights; new random labels.

    Where CIFAR-10 is given, VGG16 besides, from He's initial weights; learning rate, rows and epochs are ours.
    """
    new = NEW_LABELS.experiment(context.replicas(REPLICAS), context.seed_of("C1", 2))
    digits = small_init(context), he_init(context), case("digits, new random labels, init factor 0.5", new)
    if context.cifar10 is None:
        return digits
    return digits + tuple(
        case(vgg.name, vgg.experiment(context, context.seed_of("C1", number)))
        for number, vgg in enumerate(paper_transfer.GAINS, start=len(digits))
    )


def decide(case: Case, prediction: str, measured: Effects) -> tuple[Finding, ...]:
    """Both gains of a case by simultaneous 95 % intervals: above 0 it holds, below 0 it is refuted."""
    return tuple(
        sign_finding(
            "C1",
            case,
            measured,
            f"gain in mean train accuracy, {words}",
            measured.difference(treatment, confidence=simultaneous(len(NAMES))),
            note=f"from scratch {measured.of('scratch').mean():.3f}; upstream {measured.fitted} fitted "
            f"after {measured.upstream_steps.mean():.0f} steps",
        )
        for treatment, words in NAMES.items()
    )


def illustrate(outcomes: tuple[Outcome, ...]) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """Every gain; accuracy along downstream training."""
    ours, paper = (
        [o.case for o in outcomes if paper_networks.is_paper(o.case.setting) is given] for given in (False, True)
    )
    lengths = "; VGG16: ".join(_lengths(cases) for cases in (ours, paper) if cases)
    table = gains_table(
        "c1-gains",
        f"Train accuracy averaged over downstream training ({lengths}), means over replicas with standard errors, and "
        "the paired difference to training from scratch.",
        outcomes,
    )
    figure = Figure(
        name="c1-curves",
        caption="Downstream training after upstream training on random labels, and from scratch. Bands: 95 % intervals "
        "of the mean over replicas.",
        panels=tuple(curves_panel(outcome.case.name, outcome.measurement, PLAIN) for outcome in outcomes),
    )
    return (table,), (figure,)


def _lengths(cases: Iterable[Case]) -> str:
    """How long the second tasks are trained, each length once."""
    words = []
    for each in cases:
        assert each.experiment is not None
        real, epochs = each.experiment.downstream.labels.kind == "real", downstream_epochs(each)
        words.append(f"{epochs} epochs of real labels" if real else f"{epochs} of new random ones")
    return ", ".join(dict.fromkeys(words))


CLAIM = Claim(
    id="C1",
    title="Positive transfer",
    statement="After training on random labels a fresh task, real or again random, is learnt faster than from "
    "scratch, also where every layer is rescaled to its norm at initialisation.",
    reference="arXiv:2006.10455, Figure 1",
    method="Digits 8x8, half of them with random labels until these are fitted, then the other half with their own; "
    "and new random labels, upstream for 40 epochs. Every replica is trained downstream from scratch, from the trained "
    "weights and from these rescaled, on the same rows, labels and batches: differences of the mean train accuracy are "
    "paired. A gain holds where its 95 % interval, simultaneous over both gains of a case, lies above 0, and is "
    "refuted where it lies below. Settings in which transfer is negative are those of C3 and C4. "
    "`--budget paper --cifar10 DIR` adds VGG16 on CIFAR-10, real and new random labels downstream, from He's initial "
    "weights, where a gain is expected: the paper does not give the values of its settings, and these are ours. "
    "Command: `eigenalign report --only C1 --budget full`.",
    cases=cases,
    predict=lambda case: "positive",
    measure=measure_effects,
    decide=decide,
    illustrate=illustrate,
)
