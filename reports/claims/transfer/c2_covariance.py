"""C2, the covariance explains the gain of the first layer: drawn afresh from N(0, Σ_w) it gives as much."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reports.claims import paper_networks
from reports.claims.claim import Case, Claim, Context, Outcomes, Trial
from reports.claims.transfer import paper_transfer
from reports.claims.transfer.digits import FIRST_LAYER, LAYER, Digits
from reports.claims.transfer.effects import Effects, curves_panel, gains_table, judge_sign, measure_effects
from reports.findings import OUTSIDE, Exhibits, Figure, Judgement, Panel, number, table_of, text
from reports.judging.intervals import simultaneous
from reports.judging.needed import by_interval, with_need
from reports.judging.rules import Ruling, above_verdict, asymptotic_verdict
from theory.setting import Data, Downstream, Ensemble, Experiment, Labels, Network, Training, Treatments, Upstream
from theory.testing import MeanRatio, mean_ratio, paired_mean

SAMPLES, BATCH = 200, 25
UPSTREAM_EPOCHS, EPOCHS = 40, (0, 3, 6, 9, 12, 16, 20)
NO_RESCALING = "first-layers 1"
FILTERS_REPLICAS = 6
# Which of two photographs a crop is from is learned in a few epochs. At smaller initial weights and learning rate than
# those of random labels two pilots of eight networks showed a gain of .03; nothing else was read of them.
PHOTOGRAPH_RATE, PHOTOGRAPH_VARIANCE, PHOTOGRAPH_EPOCHS, PHOTOGRAPH_REPLICAS = 0.01, 0.5, (0, 1, 2, 3, 4, 6), 12
# Digits with one hidden layer, of whose gain the share is known best for its cost.
ONE_LAYER = Digits(0.5, (64,), 150, 16, kinds=(*FIRST_LAYER, "eigenvectors"))
# Digits with two wide hidden layers, of which the second is drawn, too.
TWO_LAYERS = Digits(0.5, (128, 128), 150, 16, kinds=("scratch", "covariance", "recursive"))
# pairs of drawn layers share their normals, so that few replicas tell what a drawn second layer adds
ONE_LAYER_REPLICAS, TWO_LAYERS_REPLICAS = 180, 16
MOST = 0.5  # the share of the pretrained layer's gain that a drawn one must recover
# The steps of an epoch downstream in the paper's Figure 5, on half of the images of CIFAR-10.
PAPER_EPOCH = paper_networks.IMAGES // 2 // paper_networks.BATCH
# The share of the gain in that figure, at one step and over a stretch of steps.
PAPER_AT, PAPER_SHARE = 1000, 0.88
PAPER_OVER, PAPER_SHARES = (550, 2050), (0.88, 0.93)
WITHIN_PAPER = 0.05  # how far the share may lie from the published one on the paper's own images
# The layers against which the drawn one is held, in words: each lacks part of what the drawn one has.
LACKING = {"spectrum": "the same $f$ in a random basis", "eigenvectors": "the trained layer without its covariance"}


def trials(context: Context) -> Mapping[str, Trial[None]]:
    """Digits, and filters on crops of photographs (the paper's Figure 5, on a smaller net).

    From the full budget on also with the photographs' own labels downstream. Where CIFAR-10 is given, the figure on
    the paper's net. Its initial law, He's, and 40 epochs upstream are ours.
    """
    found: dict[str, Trial[None]] = {
        "digits, one hidden layer": Trial(
            ONE_LAYER.experiment(context.replicas(ONE_LAYER_REPLICAS, quick=132)), kind="asymptotic"
        ),
        "digits, two hidden layers": Trial(
            TWO_LAYERS.experiment(context.replicas(TWO_LAYERS_REPLICAS, quick=12)), kind="asymptotic"
        ),
        "filters on photographs, new random labels": Trial(
            filters_experiment(context), kind="asymptotic", parts=context.parts(3)
        ),
        "filters on photographs, which of two": Trial(
            photographs_experiment(context), kind="asymptotic", parts=context.parts(2), since="full"
        ),
    }
    if context.cifar10 is not None:
        for name, labels in paper_transfer.PANELS.items():
            experiment = paper_transfer.switch_of_tasks(context, labels)
            found[f"filters on CIFAR-10, {name} labels"] = Trial(experiment, kind="asymptotic")
    return found


def filters_experiment(context: Context) -> Experiment:
    """Filters on crops of photographs: random labels, then new random ones, a task as rich as the first."""
    return _on_photographs(
        Network(kind="conv", filters=32, hidden=(64,)), 0.03, EPOCHS, "classes", context.replicas(FILTERS_REPLICAS)
    )


def photographs_experiment(context: Context) -> Experiment:
    """The same, then the photographs' own labels: which of the two a crop is from, a task of colours."""
    network = Network(kind="conv", filters=32, hidden=(64,), init_variance=PHOTOGRAPH_VARIANCE)
    replicas = context.replicas(PHOTOGRAPH_REPLICAS)
    return _on_photographs(network, PHOTOGRAPH_RATE, PHOTOGRAPH_EPOCHS, "real", replicas)


def _on_photographs(
    network: Network, rate: float, epochs: tuple[int, ...], labels: Literal["real", "classes"], replicas: int
) -> Experiment:
    """Ten random classes upstream, and downstream `labels` of other crops, for `epochs`."""

    def training(steps: int | tuple[int, ...]) -> Training:
        return Training(loss="cross-entropy", learning_rate=rate, momentum=0.9, batch_size=BATCH, steps=steps)

    return Experiment(
        upstream=Upstream(
            data=Data(kind="photographs", crop=(7, 7), samples=SAMPLES),
            labels=Labels(kind="classes"),
            network=network,
            training=training(UPSTREAM_EPOCHS * SAMPLES // BATCH),
        ),
        treatment=Treatments(kinds=FIRST_LAYER),
        downstream=Downstream(
            samples=SAMPLES,
            labels=Labels(kind=labels),
            training=training(tuple(epoch * SAMPLES // BATCH for epoch in epochs)),
        ),
        ensemble=Ensemble(replicas=replicas, dtype="float32"),
    )


def predict(case: Case[None]) -> str:
    """The same for every case."""
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
    if whole and case.experiment.upstream.network.convolves:
        found += _beside_the_paper(case, measured)
    return tuple(found)


def _beside_the_paper(case: Case[None], measured: Effects) -> Iterator[Judgement]:
    """The share at the paper's step and over its stretch of steps, both in epochs; judged on its own images alone."""
    epochs = measured.steps / case.experiment.downstream_setting.batches_per_epoch
    if epochs[-1] < PAPER_AT / PAPER_EPOCH:  # the second task was learned long before
        return
    at = np.argmin(np.abs(epochs - PAPER_AT / PAPER_EPOCH))
    first, last = (step / PAPER_EPOCH for step in PAPER_OVER)
    over = np.flatnonzero((epochs >= first) & (epochs <= last))
    here = "" if not len(over) else f"{epochs[over[0]]:.0f} to {epochs[over[-1]]:.0f}"
    low, high = PAPER_SHARES
    for places, when, published, ends in (
        (np.array([at]), f"at epoch {epochs[at]:.0f}", f"{PAPER_SHARE:g}", (PAPER_SHARE, PAPER_SHARE)),
        (over, f"over epochs {here}", f"{low:g} to {high:g}", PAPER_SHARES),
    ):
        if not len(places):
            continue
        share = share_at(measured, places)
        # the published values are those of the panel of real labels
        judged = paper_networks.is_paper(case.setting) and case.experiment.downstream.labels.kind == "real"
        yield Judgement(
            quantity=f"share of the pretrained first layer's gain that a drawn one recovers {when}",
            prediction=f"{published} on CIFAR-10 in the paper",
            measurement="unknown: the layer's own gain may be 0" if share is None else share.ratio,
            interval=None if share is None else (share.low, share.high),
            verdict=_published_verdict(share, ends, measured.diverged) if judged else OUTSIDE,
            kind=None if judged else "outside",
            note="one of two simultaneous intervals"
            + ("" if judged else "; other images or labels than the published"),
        )


def share_at(measured: Effects, places: np.ndarray) -> MeanRatio | None:
    """The share of the layer's gain in mean accuracy over some readings, with one of two simultaneous intervals."""

    def gain(kind: str) -> np.ndarray:
        curves = (
            measured.curves[measured.treatments.index(kind)] - measured.curves[measured.treatments.index("scratch")]
        )
        return np.asarray(curves[:, places].mean(axis=1))

    return mean_ratio(gain("covariance"), gain(LAYER), confidence=simultaneous(2))


def _published_verdict(share: MeanRatio | None, ends: tuple[float, float], diverged: int) -> Ruling:
    """Whether a share lies within `WITHIN_PAPER` of the published values, by its whole interval."""
    if share is None:
        return "undecided"
    middle, half = sum(ends) / 2, (ends[1] - ends[0]) / 2 + WITHIN_PAPER
    return asymptotic_verdict(share.low - middle, share.high - middle, half, diverged)


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
    return "an undetermined share" if share is None else f"{share.ratio:.2f} [{share.low:.2f}, {share.high:.2f}]"


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
        "with Fieller's 95 % intervals, each on its own, where that gain differs from 0 at this level.",
        (row for name, measured in found.items() for row in _rows(name, measured)),
        text("case", lambda row: row.case, once=True),
        text("treatment", lambda row: row.treatment),
        number("share", "1", lambda row: None if row.share is None else row.share.ratio),
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
    "recover most of the gain of the pretrained first layer, and drawing the next layers in turn adds to it.",
    reference="arXiv:2006.10455, Figure 5",
    method="Upstream, 150 digits are trained on with random labels until they are fitted; downstream, 150 others with "
    "their own labels. Networks have one hidden layer of 64, where the share of the gain is judged, or two of "
    "128, where the second is drawn, too. On pilot seeds a second layer of 32 or 64 gained nothing by being "
    "drawn, or lost; one of 128 or 256 gained. With and without it all drawn weights come from the same normal "
    "numbers, which reduced the variance of the difference by nine tenths. Sizes and numbers of networks were fixed "
    "on these seeds. $\\Sigma_w$ is the mean second moment of the trained first layers of all other replicas. Layers "
    "above the first start afresh. "
    "The share holds as most of the gain if Fieller's interval lies above 0.5, is refuted if it lies below, and is "
    "given only where the pretrained layer's own gain differs from 0. As controls, the drawn layer must gain more than "
    "one with the same $f$ in a random basis, and more than the trained layer whitened by $\\Sigma_w^{-1/2}$, which "
    "keeps what the layer has beyond its covariance. For filters the share is also given at the epochs that "
    f"correspond to the paper's step {PAPER_AT:,} and to its steps {PAPER_OVER[0]:,} to {PAPER_OVER[1]:,}, beside the "
    f"published shares; on CIFAR-10 it must lie within {WITHIN_PAPER:g} of that. Other intervals are "
    "95 %, simultaneous over the findings of a case. Photographs have no labels as rich as those of CIFAR-10, so their "
    "downstream labels are new random ones. From the full budget on, another case has the photographs' own labels "
    "downstream: which of the two a crop is from. `--budget paper --cifar10 DIR` adds the paper's net on CIFAR-10, "
    f"random labels on half of the images, then real labels on the other half for {paper_transfer.DOWNSTREAM[-1]:,} "
    "steps; the paper gives neither the law of its initial weights nor the length of pretraining; we take He's and "
    f"{paper_networks.EPOCHS[-1]} epochs. "
    "Command: `eigenalign report --only C2 --budget full`.",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
