"""What is measured along upstream training: the gains of networks that are taken from one trajectory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from reports.claims.claim import Case, Context
from reports.claims.transfer.digits import Digits
from reports.judging.intervals import simultaneous
from simulate.devices import one_thread, resolve
from simulate.transfer.experiment import Engine, silent
from simulate.transfer.stages import train_stages
from theory.errors import Diverged
from theory.testing import MeanRatio, PairedMean, mean_ratio, paired_mean

EPOCHS = (0, 1, 2, 5, 10, 20, 40, 80)  # the epochs upstream at which networks are taken
EARLY = 10  # the epoch of the early networks, after the first eighth of upstream training
PLAIN = ("scratch", "pretrained")


@dataclass(frozen=True)
class Stages:
    """One regime of upstream training, on 300 rows per task in batches of 32, as on the maps of claim C3.

    `asked` is what is judged: whether early epochs give most of the gain, or whether late ones reduce it.
    """

    factor: float
    rate: float
    hidden: tuple[int, ...]
    asked: Literal["early", "late", "nothing"]

    @property
    def digits(self) -> Digits:
        return Digits(
            self.factor,
            hidden=self.hidden,
            rows=300,
            batch=32,
            rate=self.rate,
            limit=EPOCHS[-1],
            until=False,
            kinds=PLAIN,
        )


@dataclass(frozen=True, eq=False)
class StageGains:
    """Gains in mean train accuracy downstream, replica by replica; E stages.

    Attributes
    ----------
    epochs : tuple of int, length E
        The epochs of upstream training, from 0 on.
    gains : ndarray, shape (E, R)
        The gains over training from scratch. All stages of a replica share a trajectory, and rows, labels and batches
        downstream.
    upstream : ndarray, shape (E, R)
        Accuracy on the upstream rows.
    replicas, diverged : int
        How many replicas were trained, and how many diverged; a replica that is not finite at some stage counts at
        none.
    """

    epochs: tuple[int, ...]
    gains: np.ndarray
    upstream: np.ndarray
    replicas: int
    diverged: int

    def at(self, epoch: int) -> np.ndarray:
        """The gains after so many epochs, (R,)."""
        return np.asarray(self.gains[self.epochs.index(epoch)])

    @property
    def others(self) -> tuple[int, ...]:
        """The epochs at which early networks are held against others: all but 0 and `EARLY`."""
        return tuple(epoch for epoch in self.epochs if epoch not in (0, EARLY))

    @property
    def best(self) -> int:
        """The epoch, after 0, at which the mean gain is largest."""
        return max(self.epochs[1:], key=lambda epoch: float(self.at(epoch).mean()))

    def excess(self, epoch: int, share: float, confidence: float) -> PairedMean:
        """How much the early gain exceeds a share of that after `epoch`."""
        return paired_mean(self.at(EARLY) - share * self.at(epoch), confidence=confidence)

    def early_share(self) -> MeanRatio | None:
        """The early gain as a share of the largest, by simultaneous Fieller intervals over where that may be.

        With g_e the mean gain after e epochs, ρ = g_early / max_e g_e, the least of 1 and all g_early/g_e of positive
        g_e: its interval reaches from the smallest lower to the smallest upper end. None where the largest gain may
        be 0.
        """
        confidence = simultaneous(len(self.others))
        ratios = {epoch: mean_ratio(self.at(EARLY), self.at(epoch), confidence=confidence) for epoch in self.others}
        bounded = [each for each in ratios.values() if each is not None and each.ratio > 0]
        if not bounded or (self.best != EARLY and ratios[self.best] is None):
            return None
        whole = float(self.at(EARLY).mean() / self.at(self.best).mean())
        low, high = (min([1.0, *ends]) for ends in zip(*((each.low, each.high) for each in bounded), strict=True))
        return MeanRatio(whole, low, high)


def measure_stages(case: Case[Stages], context: Context) -> StageGains:
    """Train upstream once, and downstream from every stage.

    Raises
    ------
    Diverged
        If replicas that are finite at every stage diverge downstream, after some stages and not after others.
    """
    device, per_epoch = resolve(context.device), case.experiment.upstream_setting.batches_per_epoch
    whole, again = (Engine(case.experiment, device, weights=False, only=only) for only in (None, ("pretrained",)))
    with one_thread():
        trained = train_stages(whole, [epoch * per_epoch for epoch in EPOCHS], silent)
        finite = np.logical_and.reduce([stage.finite for stage in trained])
        for stage in trained:
            stage.ends.finite[...] = finite
        # from scratch all stages are trained alike: once is enough
        results = [whole.downstream(trained[0], silent), *(again.downstream(stage, silent) for stage in trained[1:])]
    if len({result.diverged for result in results}) > 1:
        rate = case.experiment.downstream.training.learning_rate
        raise Diverged("downstream.training.learning_rate", rate, "lets replicas diverge after some stages only")
    scratch = results[0]["scratch"].curves.mean_accuracy()
    return StageGains(
        epochs=EPOCHS,
        gains=np.stack([result["pretrained"].curves.mean_accuracy() - scratch for result in results]),
        upstream=np.stack([result.upstream.accuracy for result in results if result.upstream.accuracy is not None]),
        replicas=results[0].replicas,
        diverged=results[0].diverged,
    )
