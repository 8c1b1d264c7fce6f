"""Would a fresh task be learned faster than from scratch? By the tangent kernels alone, with the rate of correct signs.

The condition takes a second and no training: it needs two dozen rows without labels, and the weights before and after
pre-training. Its rate of correct signs was measured on the settings drawn for claim C5. The more reliable condition,
`theory.transfer.training_transfer`, takes as long as the task itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reports.judging.intervals import share_interval
from theory.arrays import Array, namespace
from theory.errors import InvalidInput
from theory.setting import Network
from theory.transfer import kernel_change_of


@dataclass(frozen=True)
class CheapScore:
    """How often the sign of a number was the sign of the gain in accuracy, among the decided signs of C5's full design.

    Attributes
    ----------
    name : str
        A field of `theory.transfer.KernelChange`.
    words : str
    epochs : int
        Epochs over which the gain was averaged.
    right, decided : int
    """

    name: str
    words: str
    epochs: int
    right: int
    decided: int

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper and Pearson's 95 % interval for the share of correct signs."""
        found = share_interval(self.right, self.decided)
        if found is None:
            raise InvalidInput("decided", self.decided, "must be positive")
        return found


# The best of the cheap conditions, by `eigenalign report --only C5 --budget full`, seed 0, table c5-cheap.
BEST = CheapScore("geometric_mean", "log ratio of geometric-mean eigenvalues", epochs=6, right=219, decided=297)


@dataclass(frozen=True, eq=False)
class FreshTask:
    """The best cheap condition, evaluated for R pairs of networks.

    Attributes
    ----------
    each : ndarray, shape (R,)
        The logarithm of the ratio, after to before pre-training.
    score : CheapScore
        How often its sign was right.

    """

    each: np.ndarray
    score: CheapScore = BEST

    @property
    def mean(self) -> float:
        """The mean over pairs."""
        return float(self.each.mean())

    @property
    def faster(self) -> bool:
        """Whether a fresh task is expected to be learned faster than from scratch."""
        return self.mean > 0

    def __str__(self) -> str:
        if self.mean == 0:
            return "No prediction for a fresh task: the tangent kernels before and after pre-training are alike."
        low, high = self.score.interval
        return (
            f"A fresh task would be learned {'faster' if self.faster else 'more slowly'} than from scratch: "
            f"{self.score.words} {self.mean:+.2f}, whose sign was right in {self.score.right} of {self.score.decided} "
            f"decided settings over {self.score.epochs} epochs (95 % interval {low:.2f} to {high:.2f})."
        )


def fresh_task(network: Network, scratch: Sequence[Array], pretrained: Sequence[Array], rows: Array) -> FreshTask:
    """Compare the tangent kernels of pretrained networks with those of fresh ones, on rows without labels.

    Parameters
    ----------
    network : Network
    scratch, pretrained : sequence of Array
        Every layer's weights (R, out, in), then with `bias` its biases (R, out), first layer first; for a single pair
        (out, in) and (out,).
    rows : Array, shape (n, d) or (n, C, H, W)
        The rows, which all pairs share; two dozen are enough.

    Raises
    ------
    InvalidInput
        As for `theory.transfer.kernel_change_of`.
    """
    before, after = (_pairs(network, each) for each in (scratch, pretrained))
    shared = namespace(rows).stack([rows] * len(before[0]))
    change = kernel_change_of(network, before, after, shared)
    return FreshTask(np.asarray(getattr(change, BEST.name)))


def _pairs(network: Network, parameters: Sequence[Array]) -> list[Array]:
    """Parameters detached from gradients, with a replica axis added if there is none."""
    given = [w.detach() if hasattr(w, "detach") else w for w in parameters]
    return [w[None] for w in given] if given and given[-1 - network.bias].ndim == 2 else given
