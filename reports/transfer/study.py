"""Results of a transfer experiment: measures with errors, paired differences, and shares of the pretrained gain."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from simulate.transfer import Layers, TransferResult, Treated
from theory.eigenspaces import Eigenspaces, eigenspaces
from theory.errors import InvalidInput
from theory.misalignment import misalignment
from theory.testing import MeanRatio, PairedMean, mean_ratio, paired_mean

STEPS = "steps to target"  # the name of the one measure that is read on a grid


@dataclass(frozen=True, eq=False)
class Estimated:
    """A mean over replicas.

    Attributes
    ----------
    mean, standard_error : float
        The error cannot be estimated (NaN) for a single replica, and if all replicas have the same value.
    """

    mean: float
    standard_error: float


@dataclass(frozen=True, eq=False)
class Measure:
    """One number of every replica's downstream training, after one treatment.

    Attributes
    ----------
    name : str
    estimate : Estimated
    difference : PairedMean or None
        Difference from training from scratch, replica by replica; None for scratch itself, and for a single replica. If
        nothing varies between replicas, its error, interval and p-value are NaN.
    share : MeanRatio or None
        The difference as a share of the difference of the treatment `TransferStudy.gain_of`; None if the latter may be
        zero, if nothing varies between replicas, and for that treatment itself.
    """

    name: str
    estimate: Estimated
    difference: PairedMean | None
    share: MeanRatio | None


@dataclass(frozen=True, eq=False)
class LayerReading:
    """One layer at one reading; `active`, `alive` and `effective_rank` are None for the output layer."""

    norm: Estimated
    active: Estimated | None
    alive: Estimated | None
    effective_rank: Estimated | None


@dataclass(frozen=True, eq=False)
class TransferReading:
    """Downstream training at one step, after one treatment.

    Attributes
    ----------
    step : int
    train_loss : Estimated
    train_accuracy, test_loss, test_accuracy : Estimated or None
    misalignment : float or None
        M of the first layer's Σ_w, over neurons and replicas, from the second moment of the data; None if Σ_w is
        singular. Biased upward by sampling; drawn weights also contain the noise of the moment from which they are
        drawn.
    layers : tuple of LayerReading
    """

    step: int
    train_loss: Estimated
    train_accuracy: Estimated | None
    test_loss: Estimated | None
    test_accuracy: Estimated | None
    misalignment: float | None
    layers: tuple[LayerReading, ...]


@dataclass(frozen=True, eq=False)
class TreatmentStudy:
    """The results for one treatment."""

    name: str
    measures: tuple[Measure, ...]
    readings: tuple[TransferReading, ...]

    def __getitem__(self, name: str) -> Measure:
        """The measure of that name, such as "mean accuracy"."""
        return next(measure for measure in self.measures if measure.name == name)


@dataclass(frozen=True, eq=False)
class TransferStudy:
    """The results of a whole experiment.

    Attributes
    ----------
    result : TransferResult
    gain_of : str or None
        The treatment whose gain is the unit of the shares; None if it was not tried.
    treatments : tuple of TreatmentStudy
    """

    result: TransferResult
    gain_of: str | None
    treatments: tuple[TreatmentStudy, ...]

    def __getitem__(self, name: str) -> TreatmentStudy:
        """The results for the treatment of that name."""
        return next(treatment for treatment in self.treatments if treatment.name == name)


def study(result: TransferResult, *, gain_of: str | None = None, confidence: float = 0.95) -> TransferStudy:
    """Estimate every measure after every treatment, and compare with training from scratch in pairs of replicas.

    Intervals are Student's for differences and Fieller's for shares. Errors are those between replicas, conditional on
    the moments that replicas of drawn treatments share. Steps to the target are read on the grid of readings, and the
    target is reached somewhere between two readings: intervals hold for every position between them, and are never
    narrower than the grid.

    Parameters
    ----------
    result : TransferResult
    gain_of : str or None
        The name of the treatment whose gain is the unit of the shares; if None, "pretrained", if it was tried.
    confidence : float
        The confidence of all intervals.

    Raises
    ------
    InvalidInput
        If every replica has diverged, or there is no such treatment.
    """
    if result.replicas == result.diverged:
        rate = result.experiment.downstream.training.learning_rate
        raise InvalidInput("downstream.training.learning_rate", rate, "lets every replica diverge")
    values = {treated.treatment.name: measures(result, treated) for treated in result.treated}
    earliest = {treated.treatment.name: _earliest(result, treated) for treated in result.treated}
    if gain_of is None and "pretrained" in values:
        gain_of = "pretrained"
    whole = "scratch" if gain_of is None else result[gain_of].treatment.name
    spaces = eigenspaces(result.data_moment, gap=1e-9)

    def read(treatment: str, name: str) -> _Read:
        return _Read(values[treatment][name], earliest[treatment].get(name, values[treatment][name]))

    def measured(treatment: str, name: str) -> Measure:
        found = read(treatment, name)
        if treatment == "scratch" or len(found.values) < 2:
            return Measure(name, _estimated(found.values), None, None)
        scratch = read("scratch", name)
        difference = paired_mean(
            found.values - scratch.values,
            bounds=(found.earliest - scratch.values, found.values - scratch.earliest),
            confidence=confidence,
        )
        compared = whole not in (treatment, "scratch")
        share = _share(found, scratch, read(whole, name), confidence) if compared else None
        return Measure(name, _estimated(found.values), difference, share)

    return TransferStudy(
        result,
        gain_of,
        tuple(
            TreatmentStudy(
                treated.treatment.name,
                tuple(measured(treated.treatment.name, name) for name in values[treated.treatment.name]),
                _readings(treated, spaces),
            )
            for treated in result.treated
        ),
    )


@dataclass(frozen=True, eq=False)
class _Read:
    """A measure of every replica, and how much smaller it may be if it is read on a grid, (R,) both."""

    values: np.ndarray
    earliest: np.ndarray


def measures(result: TransferResult, treated: Treated) -> dict[str, np.ndarray]:
    """The measures of downstream training by name, each (R,).

    "mean accuracy" and "mean loss" are averages over steps, from the first reading to the last, on the train rows;
    "steps to target" is the first reading at which the train accuracy is ``downstream.target``, the last reading for
    replicas that do not reach it: a restricted mean.
    """
    curves, target = treated.curves, result.experiment.downstream.target
    found: dict[str, np.ndarray] = {}
    if curves.train_accuracy is not None:
        found["mean accuracy"] = curves.mean_accuracy()
        found["final accuracy"] = curves.train_accuracy[:, -1]
    if curves.test_accuracy is not None:
        found["final test accuracy"] = curves.test_accuracy[:, -1]
    if target is not None:
        found[STEPS] = np.minimum(curves.steps_to(target), curves.steps[-1])
    found["mean loss"] = curves.mean_loss()
    if curves.test_loss is not None:
        found["final test loss"] = curves.test_loss[:, -1]
    return found


def _earliest(result: TransferResult, treated: Treated) -> dict[str, np.ndarray]:
    """The lower bound of a measure that is read on a grid, by name, (R,) each: the previous reading."""
    target, last = result.experiment.downstream.target, treated.curves.steps[-1]
    return {} if target is None else {STEPS: np.minimum(treated.curves.steps_before(target), last)}


def _share(found: _Read, scratch: _Read, whole: _Read, confidence: float) -> MeanRatio | None:
    """The gain as a share of the whole one; unknown positions between readings are bounded by the grid's cells."""
    cells = [
        mean_ratio(a - start, b - start, confidence=confidence)
        for start, a, b in product(*((read.values, read.earliest) for read in (scratch, found, whole)))
    ]
    known = [each for each in cells if each is not None]
    if len(known) < len(cells):
        return None
    return MeanRatio(known[0].ratio, min(each.low for each in known), max(each.high for each in known))


def _readings(treated: Treated, spaces: Eigenspaces) -> tuple[TransferReading, ...]:
    curves = treated.curves
    return tuple(
        TransferReading(
            step=int(step),
            train_loss=_estimated(curves.train_loss[:, k]),
            train_accuracy=_at(curves.train_accuracy, k),
            test_loss=_at(curves.test_loss, k),
            test_accuracy=_at(curves.test_accuracy, k),
            misalignment=_misalignment(spaces, treated.weights[k].second_moment),
            layers=_layers(treated.layers, k),
        )
        for k, step in enumerate(curves.steps)
    )


def _layers(layers: Layers, k: int) -> tuple[LayerReading, ...]:
    hidden = layers.active.shape[2]
    return tuple(
        LayerReading(
            _estimated(layers.norm[:, k, layer]),
            *(
                _estimated(values[:, k, layer]) if layer < hidden else None
                for values in (layers.active, layers.alive, layers.effective_rank)
            ),
        )
        for layer in range(layers.norm.shape[2])
    )


def _misalignment(spaces: Eigenspaces, moment: np.ndarray) -> float | None:
    try:
        return float(misalignment(spaces, moment))
    except InvalidInput:  # fewer weight vectors than dimensions
        return None


def _at(values: np.ndarray | None, k: int) -> Estimated | None:
    return None if values is None else _estimated(values[:, k])


def _estimated(values: np.ndarray) -> Estimated:
    varies = len(values) > 1 and np.ptp(values) > 0
    error = values.std(ddof=1) / np.sqrt(len(values)) if varies else np.nan
    return Estimated(float(values.mean()), float(error))
