"""What is measured of layers, kept or drawn: gains in train and test accuracy by how many of them there are."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from reports.claims.claim import Case, Context
from reports.claims.transfer.digits import Digits, Kinds
from reports.claims.transfer.effects import Effects, effects_of
from theory.errors import InvalidInput
from theory.setting import Experiment, Treatment
from theory.setting.experiment import TreatmentKind
from theory.testing import PairedMean, paired_mean

HELD_OUT = 200
# The treatments that draw layers as `drawn` does, but without the rotation, or without the covariance.
LESSER: tuple[TreatmentKind, ...] = ("unrotated", "recursive")


def kept(layers: int) -> str:
    """The treatment that keeps so many layers, at their norms before training; the others start anew."""
    return Treatment(kind="first-layers", layers=layers, rescale=True).name


def drawn(layers: int, kind: TreatmentKind = "rainbow") -> str:
    """The treatment that draws so many hidden layers one upon the other."""
    return Treatment(kind=kind, layers=layers).name


def kinds_of(hidden: int) -> Kinds:
    """Every number of hidden layers kept, and drawn from mean and covariance; and all of them in lesser ways."""
    numbers = range(1, hidden + 1)
    return (
        "scratch",
        *({"kind": "first-layers", "layers": k, "rescale": True} for k in numbers),
        *({"kind": "rainbow", "layers": k} for k in numbers),
        *({"kind": kind, "layers": hidden} for kind in LESSER),
    )


@dataclass(frozen=True)
class LayeredDigits:
    """An MLP on digits from half of He's standard deviation, 400 rows per task, with rows that no training sees."""

    hidden: tuple[int, ...]
    rate: float

    @property
    def depth(self) -> int:
        """How many hidden layers there are."""
        return len(self.hidden)

    def experiment(self, replicas: int) -> Experiment:
        """Upstream until labels are fitted, for 80 epochs at most."""
        kinds = kinds_of(self.depth)
        digits = Digits(0.5, hidden=self.hidden, rows=400, batch=32, rate=self.rate, limit=80, kinds=kinds)
        found = digits.experiment(replicas)
        return msgspec.structs.replace(found, downstream=msgspec.structs.replace(found.downstream, held_out=HELD_OUT))


@dataclass(frozen=True, eq=False)
class LayerEffects(Effects):
    """The effects of all treatments, on rows that were not trained on, too.

    Attributes
    ----------
    test_accuracy : ndarray, shape (T, R)
        The mean test accuracy over steps.
    """

    test_accuracy: np.ndarray

    def test_gain(self, treatment: str) -> PairedMean:
        """The gain over training from scratch, on held-out rows."""
        scratch = self.test_accuracy[self.treatments.index("scratch")]
        return paired_mean(self.test_accuracy[self.treatments.index(treatment)] - scratch)


def measure_layers(case: Case[LayeredDigits], context: Context) -> LayerEffects:
    """Run the experiment of a case, or read from the context's store what was run.

    Raises
    ------
    InvalidInput
        If no rows are held out.
    """
    result = context.transfer(case.experiment)
    effects, steps = effects_of(result), result.treated[0].curves.steps
    curves = [each.curves.test_accuracy for each in result.treated if each.curves.test_accuracy is not None]
    if len(curves) < len(result.treated):
        raise InvalidInput("downstream.held_out", 0, "must be positive for a test accuracy to exist")
    area = np.trapezoid(np.stack(curves), steps, axis=2) / (steps[-1] - steps[0])
    return LayerEffects(**vars(effects), test_accuracy=np.asarray(area))
