"""C2, the covariance explains the gain of the first layer: drawn afresh from N(0, Σ_w) it gives as much."""

from __future__ import annotations

from reports.claims import paper_networks
from reports.claims.claim import Case, Claim, Context, Outcome
from reports.claims.transfer.digits import (
    LAYER,
    LAYER_ALONE,
    Effects,
    case,
    curves_panel,
    gains_table,
    measure_effects,
    sign_finding,
    simultaneous,
    small_init,
)
from reports.findings import CONTINUED, Column, Figure, Finding, Panel, Table, Verdict
from reports.judging.compare import negative_verdict
from theory.setting import Data, Downstream, Ensemble, Experiment, Labels, Network, Training, Treatments, Upstream
from theory.testing import MeanRatio

SAMPLES, BATCH = 200, 25
UPSTREAM_EPOCHS, EPOCHS = 40, (0, 3, 6, 9, 12, 16, 20)
NO_RESCALING = "first-layers 1"
FILTERS_REPLICAS = 4
MOST = 0.5  # the share of the layer's gain that a drawn one must recover
# the drawn layer against layers that lack part of what it has
LACKING = {"spectrum": "the same $f$ in a random basis", "eigenvectors": "the trained layer without its covariance"}


def cases(context: Context) -> tuple[Case, ...]:
    """Digits, and filters on crops of photographs (the paper's Figure 5, on a smaller net).

    Where CIFAR-10 is given, the figure on the paper's net. Its initial law, He's, and 40 epochs upstream are ours.
    """

    def training(steps: int | tuple[int, ...]) -> Training:
        return Training(loss="cross-entropy", learning_rate=0.03, momentum=0.9, batch_size=BATCH, steps=steps)

    filters = Experiment(
        upstream=Upstream(
            data=Data(kind="photographs", crop=(7, 7), samples=SAMPLES),
            labels=Labels(kind="classes"),
            network=Network(kind="conv", filters=32, hidden=(64,)),
            training=training(UPSTREAM_EPOCHS * SAMPLES // BATCH),
        ),
        treatment=Treatments(
            kinds=("scratch", {"kind": "first-layers", "layers": 1}, LAYER_ALONE, "covariance", "spectrum")  # type: ignore[arg-type]
        ),
        downstream=Downstream(
            samples=SAMPLES,
            labels=Labels(kind="classes"),
            training=training(tuple(epoch * SAMPLES // BATCH for epoch in EPOCHS)),
        ),
        ensemble=Ensemble(replicas=context.replicas(FILTERS_REPLICAS), seed=context.seed_of("C2", 1), dtype="float32"),
    )
    usual = small_init(context), case("filters on photographs, new random labels", filters)
    if context.cifar10 is None:
        return usual
    ours = paper_networks.switch_of_tasks(context, context.seed_of("C2", 2))
    return *usual, case("filters on CIFAR-10, real labels", ours)


def decide(case: Case, prediction: str, measured: Effects) -> tuple[Finding, ...]:
    """The share that the drawn layer recovers, what it gains over the lacking ones, and what a drawn second adds."""
    others = [kind for kind in (*LACKING, "recursive") if kind in measured.treatments]
    confidence = simultaneous(1 + len(others))
    found = [_share_finding(case, measured, measured.share("covariance", LAYER, confidence=confidence))]
    for kind in others:
        if kind == "recursive":
            words, difference = "hidden layers drawn too, minus the first alone", (kind, "covariance")
        else:
            words, difference = f"first layer drawn from $N(0, \\Sigma_w)$, minus {LACKING[kind]}", ("covariance", kind)
        part = measured.share(kind, LAYER, confidence=confidence)
        found.append(
            sign_finding(
                "C2",
                case,
                measured,
                words,
                measured.difference(*difference, confidence=confidence),
                note=f"`{kind}` recovers {_words(part)} of the layer's gain",
            )
        )
    return tuple(found)


def share_verdict(share: MeanRatio | None, diverged: int) -> Verdict:
    """Whether more than half is recovered, by the whole interval; undecided where the layer may gain nothing."""
    return "undecided" if share is None else negative_verdict(MOST - share.high, MOST - share.low, diverged)


def _share_finding(case: Case, measured: Effects, share: MeanRatio | None) -> Finding:
    layer = measured.difference(LAYER)
    return Finding(
        claim="C2",
        case=case.name,
        kind=case.kind,
        quantity="share of the pretrained first layer's gain that one drawn from $N(0, \\Sigma_w)$ recovers",
        prediction=f"above {MOST:g}",
        measurement="unknown: the layer's own gain may be 0" if share is None else share.ratio,
        interval=None if share is None else (share.low, share.high),
        verdict=share_verdict(share, measured.diverged),
        power="no interval is bounded" if share is None else "Fieller's interval",
        note=f"the layer gains {layer.mean:+.4f} ± {layer.standard_error:.4f}",
        replicas=measured.replicas,
        diverged=measured.diverged,
    )


def _words(share: MeanRatio | None) -> str:
    return "an unknown share" if share is None else f"{share.ratio:.2f} [{share.low:.2f}, {share.high:.2f}]"


def illustrate(outcomes: tuple[Outcome, ...]) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """Gains, shares of the layer's gain, and the curves of the paper's Figure 5."""
    gains = gains_table(
        "c2-gains",
        "Train accuracy averaged over downstream training after every treatment of the first layer, and of the whole "
        "network; means over replicas with standard errors, and the paired difference to training from scratch.",
        outcomes,
    )
    rows = []
    for outcome in outcomes:
        measured: Effects = outcome.measurement
        kinds = [kind for kind in ("covariance", "recursive", *LACKING) if kind in measured.treatments]
        for i, kind in enumerate(kinds):
            share = measured.share(kind, LAYER)
            rows.append(
                (
                    CONTINUED if i else outcome.case.name,
                    kind,
                    None if share is None else share.ratio,
                    "the layer's gain may be 0" if share is None else f"[{share.low:.2f}, {share.high:.2f}]",
                )
            )
    shares = Table(
        name="c2-shares",
        caption="The gain after every treatment as a share of that of the pretrained first layer at its norm at init, "
        "with Fieller's 95 % intervals, where that gain differs from 0 at this level.",
        columns=(Column("case", "text"), Column("treatment", "text"), Column("share"), Column("95 % interval", "text")),
        rows=tuple(rows),
    )
    figure = Figure(
        name="c2-curves",
        caption="Downstream training from scratch, with the pretrained first layer at its norm at init and as trained, "
        "and with one drawn from $N(0, \\Sigma_w)$, also in a random basis. Bands: 95 % intervals of the mean over "
        "replicas.",
        panels=tuple(_panel(outcome) for outcome in outcomes),
    )
    return (gains, shares), (figure,)


def _panel(outcome: Outcome) -> Panel:
    labels = {
        "scratch": "from scratch",
        LAYER: "pretrained",
        "covariance": "covariance",
        NO_RESCALING: "no rescaling",
        "spectrum": "random basis",
    }
    shown = [kind for kind in labels if kind in outcome.measurement.treatments]
    return curves_panel(outcome.case.name, outcome.measurement, shown, [labels[kind] for kind in shown])


CLAIM = Claim(
    id="C2",
    title="The covariance explains it",
    statement="First-layer weights drawn afresh from $N(0, \\Sigma_w)$, rescaled to their norm at initialisation, "
    "recover most of the gain of the pretrained first layer, and layers drawn one upon the other add to it.",
    reference="arXiv:2006.10455, Figure 5",
    method="$\\Sigma_w$ is the mean second moment of the trained first layers of all other replicas. Layers above the "
    "first start afresh. The share of the gain holds as most where Fieller's interval lies above 0.5, is refuted where "
    "below, and is given only where the pretrained layer's own gain differs from 0. As controls the drawn layer must "
    "gain more than one of the same $f$ in a random basis, and than the trained layer whitened by "
    "$\\Sigma_w^{-1/2}$: what it has beyond its covariance. Intervals are 95 %, simultaneous over the findings of a "
    "case. Photographs have no labels as rich as those of the paper's CIFAR-10: downstream labels are new random ones "
    "there. `--budget paper --cifar10 DIR` adds the paper's net on CIFAR-10, random labels on half of the images, then "
    f"the real ones of the other half for {paper_networks.DOWNSTREAM[-1]:,} steps; the paper gives neither its initial "
    f"law nor how long it was pretrained: He's and {paper_networks.EPOCHS[-1]} epochs are ours. "
    "Command: `eigenalign report --only C2 --budget full`.",
    cases=cases,
    predict=lambda case: "most of the gain",
    measure=measure_effects,
    decide=decide,
    illustrate=illustrate,
)
