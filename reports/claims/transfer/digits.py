"""Transfer experiments of claims C1 to C4, run once where claims share them, and the rules by which gains are judged.

A gain is a treatment's mean train accuracy downstream less that of training from scratch, replica by replica: averaged
over all steps from the switch to the last reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

import simulate.transfer
from reports.claims.alignment.orientation import mean_and_half
from reports.claims.claim import Case, Context, Outcome
from reports.findings import CONTINUED, Column, Finding, Panel, Series, Table, Verdict
from reports.judging.compare import CONFIDENCE, negative_verdict
from simulate.transfer import TransferResult
from theory.errors import Diverged
from theory.setting import (
    Data,
    Downstream,
    Ensemble,
    Experiment,
    Labels,
    Network,
    Training,
    Treatments,
    Until,
    Upstream,
)
from theory.testing import MeanRatio, PairedMean, mean_ratio, paired_mean

EPOCHS = 6  # of downstream training over which accuracy is averaged, where nothing else is said
LAYER = "first-layers 1 rescaled"  # the pretrained first layer alone, at its norm before training
LAYER_ALONE = {"kind": "first-layers", "layers": 1, "rescale": True}
NEW_OUTPUT = "first-layers 2 rescaled"  # hidden layers kept at their norms before training, the output layer new
NEW_OUTPUT_LAYER = {"kind": "first-layers", "layers": 2, "rescale": True}
PLAIN = ("scratch", "pretrained", "rescaled")
Kinds = tuple[Any, ...]  # what `Treatments` takes


@dataclass(frozen=True)
class Digits:
    """An MLP on 8x8 digits: upstream random labels on some of them, downstream another part, half the rows each.

    `rows` of either part, in batches of `batch`; upstream ends where all rows are fitted, after `limit` epochs at
    latest, and at that very epoch where not `until`.
    """

    factor: float
    hidden: tuple[int, int] = (256, 64)
    rows: int = 898
    batch: int = 64
    rate: float = 0.01
    limit: int = 200
    until: bool = True
    kinds: Kinds = PLAIN
    labels: Literal["real", "classes"] = "real"
    epochs: int = EPOCHS

    def experiment(self, replicas: int, seed: int) -> Experiment:
        """`factor` is that on He's standard deviation √(2/fan-in)."""
        per_epoch = self.rows // self.batch

        def training(steps: int | tuple[int, ...]) -> Training:
            return Training(
                loss="cross-entropy", learning_rate=self.rate, momentum=0.9, batch_size=self.batch, steps=steps
            )

        return Experiment(
            upstream=Upstream(
                data=Data(kind="digits", samples=self.rows),
                labels=Labels(kind="classes"),
                network=Network(kind="mlp", hidden=self.hidden, init_variance=2 * self.factor**2),
                training=training(self.limit * per_epoch),
                until=Until(accuracy=1.0) if self.until else None,
            ),
            treatment=Treatments(kinds=self.kinds),
            downstream=Downstream(
                samples=self.rows,
                labels=Labels(kind=self.labels),
                training=training(tuple(k * self.epochs * per_epoch // EPOCHS for k in range(EPOCHS + 1))),
            ),
            ensemble=Ensemble(replicas=replicas, seed=seed, dtype="float32"),
        )


# The experiments that more than one claim reads. 56 replicas at the full budget.
SMALL_INIT = Digits(
    0.5, kinds=(*PLAIN, NEW_OUTPUT_LAYER, LAYER_ALONE, "covariance", "recursive", "spectrum", "eigenvectors")
)
HE_INIT = Digits(1.0, kinds=(*PLAIN, NEW_OUTPUT_LAYER, "covariance"))
REPLICAS = 7


def case(name: str, experiment: Experiment, kind: Literal["asymptotic", "outside"] = "asymptotic") -> Case:
    """A case whose setting is the experiment's upstream part."""
    return Case(name, experiment.upstream_setting, kind=kind, experiment=experiment)


def downstream_epochs(case: Case) -> int:
    """How long the second task of a case is trained."""
    assert case.experiment is not None
    downstream = case.experiment.downstream
    assert downstream.training.batch_size != "full"
    return downstream.training.readings[-1] // (downstream.samples // downstream.training.batch_size)


def small_init(context: Context) -> Case:
    """Half of He's standard deviation, with every treatment: for C1, C2 and C4."""
    return case(
        "digits, init factor 0.5", SMALL_INIT.experiment(context.replicas(REPLICAS), context.seed_of("C1-C4", 0))
    )


def he_init(context: Context) -> Case:
    """He's standard deviation: for C1 and C4."""
    return case("digits, init factor 1.0", HE_INIT.experiment(context.replicas(REPLICAS), context.seed_of("C1-C4", 1)))


@dataclass(frozen=True, eq=False)
class Effects:
    """What is read of an experiment, replica by replica; T treatments, K readings, L − 1 hidden layers.

    Attributes
    ----------
    treatments : tuple of str, length T
    steps : ndarray of int, shape (K,)
    curves : ndarray, shape (T, R, K)
        Train accuracy.
    accuracy : ndarray, shape (T, R)
        Its mean over steps.
    active : ndarray, shape (T, R, K, L − 1)
        The share of active units of every hidden layer.
    upstream_accuracy, upstream_steps : ndarray, shape (R,)
    fitted, replicas, diverged : int
        How many replicas fitted all upstream rows, were trained, and gave numbers that are not finite.
    """

    treatments: tuple[str, ...]
    steps: np.ndarray
    curves: np.ndarray
    accuracy: np.ndarray
    active: np.ndarray
    upstream_accuracy: np.ndarray
    upstream_steps: np.ndarray
    fitted: int
    replicas: int
    diverged: int

    def of(self, treatment: str) -> np.ndarray:
        """The mean accuracy after one treatment, (R,)."""
        return np.asarray(self.accuracy[self.treatments.index(treatment)])

    def difference(self, treatment: str, other: str = "scratch", *, confidence: float = CONFIDENCE) -> PairedMean:
        """Of mean accuracies, with Student's interval; there must be two replicas."""
        return paired_mean(self.of(treatment) - self.of(other), confidence=confidence)

    def share(self, treatment: str, whole: str, *, confidence: float = CONFIDENCE) -> MeanRatio | None:
        """The gain of a treatment as a share of another's, with Fieller's interval; None where that may be zero."""
        scratch = self.of("scratch")
        return mean_ratio(self.of(treatment) - scratch, self.of(whole) - scratch, confidence=confidence)

    def active_at_switch(self, treatment: str) -> np.ndarray:
        """The share of active units of every hidden layer when downstream training begins, (R, L − 1)."""
        return np.asarray(self.active[self.treatments.index(treatment), :, 0])


def measure_effects(case: Case, context: Context) -> Effects:
    """Run the experiment of a case, or read what another claim has run in this process."""
    assert case.experiment is not None
    return _effects(case.experiment, context.device, context.store)


@lru_cache(maxsize=64)  # what is read is small, unlike results
def _effects(experiment: Experiment, device: str, store: Path | None) -> Effects:
    resume = store is not None
    return effects(simulate.transfer.run(experiment, device=device, store=store, resume=resume, weights=False))


def effects(result: TransferResult) -> Effects:
    """What claims read of a result whose downstream labels are classes.

    Raises
    ------
    Diverged
        Where fewer than two replicas are finite throughout.
    """
    end, treated = result.upstream, result.treated
    assert end.accuracy is not None
    if len(end.accuracy) < 2:
        rule = f"leaves {len(end.accuracy)} of {result.replicas} replicas finite, and at least 2 are needed"
        raise Diverged("downstream.training.learning_rate", result.experiment.downstream.training.learning_rate, rule)
    return Effects(
        treatments=tuple(each.treatment.name for each in treated),
        steps=treated[0].curves.steps,
        curves=np.stack([each.curves.train_accuracy for each in treated]),  # type: ignore[misc]
        accuracy=np.stack([each.curves.mean_accuracy() for each in treated]),
        active=np.stack([each.layers.active for each in treated]),
        upstream_accuracy=end.accuracy,
        upstream_steps=end.steps,
        fitted=int((end.accuracy == 1).sum()),
        replicas=result.replicas,
        diverged=result.diverged,
    )


def simultaneous(count: int) -> float:
    """The confidence of each of `count` intervals that hold together with 95 % (Bonferroni)."""
    return 1 - (1 - CONFIDENCE) / count


def sign_verdict(found: PairedMean, sign: Literal["positive", "negative"], diverged: int) -> Verdict:
    """Holds where the whole interval has the sign that is predicted, refuted where it has the other."""
    low, high = (found.low, found.high) if sign == "negative" else (-found.high, -found.low)
    return negative_verdict(low, high, diverged)


def sign_finding(
    claim: str,
    case: Case,
    measured: Effects,
    quantity: str,
    found: PairedMean,
    sign: Literal["positive", "negative"] = "positive",
    *,
    note: str = "",
) -> Finding:
    """A paired difference, judged by its sign."""
    half = (found.high - found.low) / 2
    return Finding(
        claim=claim,
        case=case.name,
        kind=case.kind,
        quantity=quantity,
        prediction=sign,
        measurement=found.mean,
        standard_error=found.standard_error,
        interval=(found.low, found.high),
        verdict=sign_verdict(found, sign, measured.diverged),
        power=f"a difference of {1.65 * half:.2g} found with probability .9",
        note=note,
        replicas=measured.replicas,
        diverged=measured.diverged,
    )


def gains_table(name: str, caption: str, outcomes: Iterable[Outcome]) -> Table:
    """Mean accuracy and gain after every treatment, with standard errors."""
    rows: list[tuple[Any, ...]] = []
    for outcome in outcomes:
        measured: Effects = outcome.measurement
        for i, treatment in enumerate(measured.treatments):
            values = measured.accuracy[i]
            gain = measured.difference(treatment) if treatment != "scratch" else None
            rows.append(
                (
                    CONTINUED if i else outcome.case.name,
                    treatment,
                    (float(values.mean()), float(values.std(ddof=1) / len(values) ** 0.5)),
                    None if gain is None else (gain.mean, gain.standard_error),
                    None if gain is None else f"[{gain.low:+.4f}, {gain.high:+.4f}]",
                )
            )
    return Table(
        name=name,
        caption=caption,
        columns=(
            Column("case", "text"),
            Column("treatment", "text"),
            Column("mean accuracy"),
            Column("minus scratch"),
            Column("95 % interval", "text"),
        ),
        rows=tuple(rows),
    )


def means_and_halves(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means over replicas of values (R, K), and half-widths of their 95 % intervals, (K,) both."""
    mean, half = np.array([mean_and_half(column) for column in values.T]).T
    return mean, half


def curves_panel(title: str, measured: Effects, treatments: Sequence[str], labels: Sequence[str] = ()) -> Panel:
    """Train accuracy downstream, with bands of 95 % for the mean over replicas."""
    series = []
    for treatment, label in zip(treatments, labels or treatments, strict=True):
        values = measured.curves[measured.treatments.index(treatment)]
        series.append(Series(label, measured.steps, *means_and_halves(values), "band"))
    return Panel(title, "step", "train accuracy", tuple(series))
