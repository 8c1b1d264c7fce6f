"""C2, the covariance explains the gain of the first layer: drawn afresh from N(0, Σ_w) it gives as much."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reports.claims import paper_networks
from reports.claims.claim import Case, Claim, Context, Outcomes, Trial
from reports.claims.transfer import paper_transfer
from reports.claims.transfer.digits import FIRST_LAYER, LAYER, Digits
from reports.claims.transfer.effects import Effects, curves_panel, gains_table, judge_sign, measure_effects
from reports.findings import Exhibits, Figure, Judgement, Panel, number, table_of, text
from reports.judging.intervals import simultaneous
from reports.judging.needed import by_interval, with_need
from reports.judging.rules import above_verdict
from theory.setting import Data, Downstream, Ensemble, Experiment, Labels, Network, Training, Treatments, Upstream
from theory.testing import MeanRatio, paired_mean

SAMPLES, BATCH = 200, 25
UPSTREAM_EPOCHS, EPOCHS = 40, (0, 3, 6, 9, 12, 16, 20)
NO_RESCALING = "first-layers 1"
FILTERS_REPLICAS = 4
# one hidden layer, of whose gain the share is known best for its cost; and two, wide ones, for the second to be drawn
ONE_LAYER = Digits(0.5, (64,), 150, 16, kinds=(*FIRST_LAYER, "eigenvectors"))
TWO_LAYERS = Digits(0.5, (128, 128), 150, 16, kinds=("scratch", "covariance", "recursive"))
ONE_LAYER_REPLICAS, TWO_LAYERS_REPLICAS = 180, 32
MOST = 0.5  # the share of the layer's gain that a drawn one must recover
# the drawn layer against layers that lack part of what it has
LACKING = {"spectrum": "the same $f$ in a random basis", "eigenvectors": "the trained layer without its covariance"}


def trials(context: Context) -> Mapping[str, Trial[None]]:
    """Digits, and filters on crops of photographs (the paper's Figure 5, on a smaller net).

    Where CIFAR-10 is given, the figure on the paper's net. Its initial law, He's, and 40 epochs upstream are ours.
    """
    found: dict[str, Trial[None]] = {
        "digits, one hidden layer": Trial(
            ONE_LAYER.experiment(context.replicas(ONE_LAYER_REPLICAS)), kind="asymptotic"
        ),
        "digits, two hidden layers": Trial(
            TWO_LAYERS.experiment(context.replicas(TWO_LAYERS_REPLICAS)), kind="asymptotic"
        ),
        "filters on photographs, new random labels": Trial(filters_experiment(context), kind="asymptotic"),
    }
    if context.cifar10 is not None:
        experiment = paper_transfer.switch_of_tasks(context)
        found["filters on CIFAR-10, real labels"] = Trial(experiment, kind="asymptotic")
    return found


def filters_experiment(context: Context) -> Experiment:
    """Filters on crops of photographs, which have no labels as rich: new random ones downstream."""

    def training(steps: int | tuple[int, ...]) -> Training:
        return Training(loss="cross-entropy", learning_rate=0.03, momentum=0.9, batch_size=BATCH, steps=steps)

    return Experiment(
        upstream=Upstream(
            data=Data(kind="photographs", crop=(7, 7), samples=SAMPLES),
            labels=Labels(kind="classes"),
            network=Network(kind="conv", filters=32, hidden=(64,)),
            training=training(UPSTREAM_EPOCHS * SAMPLES // BATCH),
        ),
        treatment=Treatments(kinds=FIRST_LAYER),
        downstream=Downstream(
            samples=SAMPLES,
            labels=Labels(kind="classes"),
            training=training(tuple(epoch * SAMPLES // BATCH for epoch in EPOCHS)),
        ),
        ensemble=Ensemble(replicas=context.replicas(FILTERS_REPLICAS), dtype="float32"),
    )


def predict(case: Case[None]) -> str:
    """Of every case."""
    return "most of the gain"


def measure(case: Case[None], context: Context) -> Effects:
    """The gains of the case's experiment."""
    return measure_effects(case, context)


def decide(case: Case[None], prediction: str, measured: Effects) -> tuple[Judgement, ...]:
    """The share that the drawn layer recovers, what it gains over the lacking ones, and what a drawn second adds."""
    others = [kind for kind in (*LACKING, "recursive") if kind in measured.treatments]
    whole = LAYER in measured.treatments
    confidence = simultaneous(whole + len(others))
    found = [_judge_share(measured, measured.share("covariance", LAYER, confidence=confidence))] if whole else []
    for kind in others:
        if kind == "recursive":
            words, difference = "hidden layers drawn too, minus the first alone", (kind, "covariance")
        else:
            words, difference = f"first layer drawn from $N(0, \\Sigma_w)$, minus {LACKING[kind]}", ("covariance", kind)
        part = measured.share(kind, LAYER, confidence=confidence) if whole else None
        gain = f"`{kind}` gains {measured.difference(kind).mean:+.4f} over scratch"
        found.append(
            judge_sign(
                measured.difference(*difference, confidence=confidence),
                "positive",
                measured.diverged,
                quantity=words,
                note=f"`{kind}` recovers {_words(part)} of the layer's gain" if whole else gain,
            )
        )
    return tuple(found)


def _judge_share(measured: Effects, share: MeanRatio | None) -> Judgement:
    """Whether more than half is recovered, by the whole interval; undecided where the layer may gain nothing."""
    layer = measured.difference(LAYER)
    interval = None if share is None else (share.low, share.high)
    verdict = above_verdict(interval, MOST, measured.diverged)
    # the share exceeds `MOST` where this exceeds 0, which is linear in the gains, as Fieller's interval is not
    excess = paired_mean(measured.of("covariance") - MOST * measured.of(LAYER) - (1 - MOST) * measured.of("scratch"))
    return Judgement(
        quantity="share of the pretrained first layer's gain that one drawn from $N(0, \\Sigma_w)$ recovers",
        prediction=f"above {MOST:g}",
        measurement="unknown: the layer's own gain may be 0" if share is None else share.ratio,
        interval=interval,
        verdict=verdict,
        power="no interval is bounded" if share is None else "Fieller's interval",
        note=with_need(
            f"the layer gains {layer.mean:+.4f} (standard error {layer.standard_error:.4f})",
            verdict,
            by_interval(excess.replicas, excess.low, excess.high, (0.0,)),
        ),
    )


def _words(share: MeanRatio | None) -> str:
    return "an unknown share" if share is None else f"{share.ratio:.2f} [{share.low:.2f}, {share.high:.2f}]"


@dataclass(frozen=True)
class ShareRow:
    """The share of the layer's gain after one treatment, None where that gain may be 0."""

    case: str
    treatment: str
    share: MeanRatio | None


def _rows(name: str, measured: Effects) -> Iterator[ShareRow]:
    for kind in ("covariance", "recursive", *LACKING):
        if kind in measured.treatments and LAYER in measured.treatments:
            yield ShareRow(name, kind, measured.share(kind, LAYER))


def illustrate(outcomes: Outcomes[None, str, Effects]) -> Exhibits:
    """Gains, shares of the layer's gain, and the curves of the paper's Figure 5."""
    found = {outcome.case.name: outcome.measurement for outcome in outcomes}
    gains = gains_table(
        "c2-gains",
        "Train accuracy averaged over downstream training after every treatment of the first layer, and of the whole "
        "network; means over replicas with standard errors, and the paired difference to training from scratch.",
        found,
    )
    shares = table_of(
        "c2-shares",
        "The gain after every treatment as a share of that of the pretrained first layer at its norm at init, "
        "with Fieller's 95 % intervals, where that gain differs from 0 at this level.",
        (row for name, measured in found.items() for row in _rows(name, measured)),
        text("case", lambda row: row.case, once=True),
        text("treatment", lambda row: row.treatment),
        number("share", lambda row: None if row.share is None else row.share.ratio),
        text(
            "95 % interval",
            lambda row: (
                "the layer's gain may be 0" if row.share is None else f"[{row.share.low:.2f}, {row.share.high:.2f}]"
            ),
        ),
    )
    figure = Figure(
        name="c2-curves",
        caption="Downstream training from scratch, with the pretrained first layer at its norm at init and as trained, "
        "and with one drawn from $N(0, \\Sigma_w)$, also in a random basis, or with both hidden layers drawn. Bands: "
        "95 % intervals of the mean over replicas.",
        panels=tuple(_panel(name, measured) for name, measured in found.items()),
    )
    return Exhibits((gains, shares), (figure,))


def _panel(name: str, measured: Effects) -> Panel:
    labels = {
        "scratch": "from scratch",
        LAYER: "pretrained",
        "covariance": "covariance",
        "recursive": "both drawn",
        NO_RESCALING: "no rescaling",
        "spectrum": "random basis",
    }
    shown = [kind for kind in labels if kind in measured.treatments]
    return curves_panel(name, measured, shown, [labels[kind] for kind in shown])


CLAIM = Claim(
    id="C2",
    title="The covariance explains it",
    statement="First-layer weights drawn afresh from $N(0, \\Sigma_w)$, rescaled to their norm at initialisation, "
    "recover most of the gain of the pretrained first layer, and layers drawn one upon the other add to it.",
    reference="arXiv:2006.10455, Figure 5",
    method="Of digits 150 are trained on with random labels until they are fitted, downstream 150 others with their "
    "own: in networks of one hidden layer of 64, of whose gain the share is judged, and of two of 128, of which the "
    "second is drawn, too. On pilot seeds a second layer of 32 or 64 gained nothing by being drawn, or lost; one "
    "of 128 or 256 gained. Sizes and numbers of networks were fixed on these seeds. "
    "$\\Sigma_w$ is the mean second moment of the trained first layers of all other replicas. Layers above the "
    "first start afresh. The share of the gain holds as most where Fieller's interval lies above 0.5, is refuted where "
    "below, and is given only where the pretrained layer's own gain differs from 0. As controls the drawn layer must "
    "gain more than one of the same $f$ in a random basis, and than the trained layer whitened by "
    "$\\Sigma_w^{-1/2}$: what it has beyond its covariance. Intervals are 95 %, simultaneous over the findings of a "
    "case. Photographs have no labels as rich as those of the paper's CIFAR-10: downstream labels are new random ones "
    "there. `--budget paper --cifar10 DIR` adds the paper's net on CIFAR-10, random labels on half of the images, then "
    f"the real ones of the other half for {paper_transfer.DOWNSTREAM[-1]:,} steps; the paper gives neither its initial "
    f"law nor how long it was pretrained: He's and {paper_networks.EPOCHS[-1]} epochs are ours. "
    "Command: `eigenalign report --only C2 --budget full`.",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
