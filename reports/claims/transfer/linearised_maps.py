"""The signs on maps of transfer, predicted by linearised training of the networks themselves, and how they are judged.

The condition is that of `theory.transfer.training_transfer` on all replicas of a point, each against its own init, on
the rows, labels and batches that downstream training uses: accuracy by accuracy, loss by loss, and once more with
f_0 := 0, which leaves what the tangent kernels alone do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reports.claims.claim import Case, Context
from reports.claims.transfer.effects import Effects, effects_of
from reports.claims.transfer.map_signs import gains_by_kernels
from reports.claims.transfer.sign_counts import RealisedSigns, SignCount, count_signs, shuffled_shares
from reports.claims.transfer.tangent_gains import silent
from reports.findings import Judgement
from reports.judging.rules import SHARE, Ruling, share_verdict
from simulate.devices import one_thread, resolve
from simulate.inputs import Inputs
from simulate.transfer.experiment import Engine, Trained
from theory.errors import Diverged, InvalidInput
from theory.network.frozen_gates import freeze
from theory.network.frozen_kernel import frozen_ntk
from theory.testing import PairedMean, paired_mean
from theory.transfer import KernelNumbers, MeanGain, kernel_numbers, training_transfer

KERNEL_ROWS = 30
CHANCE = 0.01  # shuffled predictions must do as well with a smaller probability than this
WHY_SQUARED_ERROR_FAILS = (
    "The squared error counts first how large outputs are when training begins, to which accuracy is indifferent: "
    "its sign is that of the change of $\\|f_0\\|$."
)


@dataclass(frozen=True, eq=False)
class LinearisedGains:
    """What linearised training predicts of the replicas of a point that ended upstream training finite.

    Attributes
    ----------
    accuracy, loss : MeanGain
        Of pretrained networks over their own inits, on the downstream rows.
    by_kernels : MeanGain
        In accuracy, with f_0 := 0 on both sides.
    """

    accuracy: MeanGain
    loss: MeanGain
    by_kernels: MeanGain


@dataclass(frozen=True, eq=False)
class LinearisedEffects(Effects):
    """The effects of one point, its gain in loss, and what is predicted of both.

    Attributes
    ----------
    loss_gains : ndarray, shape (R,)
        The mean train loss downstream from scratch less that of the pretrained network.
    predicted : LinearisedGains
    squared_error : ndarray, shape (k,)
        What the control predicts of the first networks, `gains_by_kernels`.
    before, after : KernelNumbers
        Of the tangent kernels of all finite replicas at their init and at the switch, on `KERNEL_ROWS` downstream rows.
    """

    loss_gains: np.ndarray
    predicted: LinearisedGains
    squared_error: np.ndarray
    before: KernelNumbers
    after: KernelNumbers


def measure_linearised(case: Case[Any], context: Context) -> LinearisedEffects:
    """Train the networks of a point, and linearise those very networks where downstream training begins."""
    engine = Engine(case.experiment, resolve(context.device), weights=False)
    if context.store is not None:
        engine.keep(context.store, resume=True)
    trained = engine.upstream(silent)
    result = engine.downstream(trained, silent)
    scratch, pretrained = (result[kind].curves.mean_loss() for kind in ("scratch", "pretrained"))
    before, after = kernels_at_switch(engine, trained)
    return LinearisedEffects(
        **vars(effects_of(result)),
        loss_gains=scratch - pretrained,
        predicted=gains_by_linearisation(engine, trained),
        squared_error=gains_by_kernels(engine, trained),
        before=before,
        after=after,
    )


def gains_by_linearisation(engine: Engine, trained: Trained) -> LinearisedGains:
    """The gains of all finite replicas by linearised training in double precision, on the engine's device.

    Raises
    ------
    Diverged
        Where no replica is finite, or no linearised training stays so.
    InvalidInput
        Where there is a single output, which has no accuracy.
    """
    inputs, pretrained = _switch(engine, trained)
    with one_thread():
        whole, kernels = (
            training_transfer(
                engine.network,
                engine.experiment.downstream.training,
                pretrained,
                inputs.parameters,
                inputs.x,
                inputs.y,
                batches=inputs.orders,
                subtracted=subtracted,
            )
            for subtracted in (False, True)
        )
    if whole.train_accuracy is None or kernels.train_accuracy is None:
        raise InvalidInput("downstream.labels", "one output", "must be classes for an accuracy to exist")
    return LinearisedGains(whole.train_accuracy, whole.train_loss, kernels.train_accuracy)


def kernels_at_switch(engine: Engine, trained: Trained) -> tuple[KernelNumbers, KernelNumbers]:
    """The tangent kernels of all finite replicas at their init and after upstream training, by their numbers.

    Raises
    ------
    Diverged
        Where no replica is finite.
    """
    inputs, pretrained = _switch(engine, trained)
    rows = inputs.x[:, :KERNEL_ROWS]
    with one_thread():
        before, after = (
            kernel_numbers(frozen_ntk(freeze(engine.network, parameters, rows)))
            for parameters in (inputs.parameters, pretrained)
        )
    return before, after


def _switch(engine: Engine, trained: Trained) -> tuple[Inputs, list[Tensor]]:
    """What finite replicas are trained on downstream, with their inits, and their networks at the switch."""
    replicas = np.flatnonzero(trained.finite).tolist()
    if not replicas:
        rate = engine.experiment.upstream.training.learning_rate
        raise Diverged("upstream.training.learning_rate", rate, "leaves no replica finite")
    inputs = engine.draws.take(replicas).downstream.to(engine.device, torch.float64)
    return inputs, [w[replicas].to(engine.device, torch.float64) for w in trained.parameters]


def judge_maps(found: Sequence[LinearisedEffects]) -> tuple[Judgement, ...]:
    """The signs of all points: in accuracy, in loss, by the kernels alone, and by the control."""
    accuracy = realised_signs([measured.difference("pretrained") for measured in found], found)
    loss = realised_signs([paired_mean(measured.loss_gains) for measured in found], found)
    predicted = [measured.predicted for measured in found]
    return (
        _judge("accuracy", "linearised training", [each.accuracy.mean for each in predicted], accuracy),
        _judge("loss", "linearised training", [each.loss.mean for each in predicted], loss),
        _judge("accuracy", "linearised training with $f_0:=0$", [each.by_kernels.mean for each in predicted], accuracy),
        _judge_control([float(measured.squared_error.mean()) for measured in found], accuracy),
    )


def realised_signs(gains: Sequence[PairedMean], found: Sequence[Effects]) -> RealisedSigns:
    """The gains of points, of decided sign where their 95 % interval excludes 0."""
    return RealisedSigns(
        gains=np.array([gain.mean for gain in gains]),
        errors=np.array([gain.standard_error for gain in gains]),
        signs=np.array([float(gain.low > 0) - float(gain.high < 0) for gain in gains]),
        replicas=sum(measured.replicas for measured in found),
        diverged=sum(measured.diverged for measured in found),
    )


def condition_verdict(predicted: np.ndarray, realised: RealisedSigns) -> Ruling:
    """The rule for a condition that predicts signs: the share right, against `SHARE`, chance and constants.

    Holds where Clopper and Pearson's lower end of the share that is right among decided signs exceeds `SHARE`, shuffled
    predictions do as well with a probability below `CHANCE`, and more signs are right than by always saying the
    commoner one. Refuted where the share is surely below `SHARE`; a diverged replica forbids "holds".
    """
    counted = count_signs(predicted, realised)
    ruling = share_verdict(1.0, counted.interval, realised.diverged)
    if ruling != "holds":
        return ruling
    _, associated = shuffled_shares(predicted, realised)
    return "holds" if associated < CHANCE and counted.right > best_constant(realised) else "undecided"


def best_constant(realised: RealisedSigns) -> int:
    """How many decided signs are right by saying always "positive", or always "negative", whichever is better."""
    return max(int((realised.signs > 0).sum()), int((realised.signs < 0).sum()))


def _judge(what: str, by: str, predicted: Sequence[float], realised: RealisedSigns) -> Judgement:
    numbers = np.array(predicted)
    counted = count_signs(numbers, realised)
    return Judgement(
        about="all points of the line and of the maps",
        kind="asymptotic",
        quantity=f"share of decided signs of the gain in {what} that {by} predicts",
        prediction=f"more than {SHARE:g}",
        measurement="no sign is decided" if counted.share is None else counted.share,
        interval=counted.interval,
        verdict=condition_verdict(numbers, realised),
        power=f"{counted.settings} points, {counted.settings - counted.decided} of them undecided",
        note=_note(counted, numbers, realised),
    )


def _judge_control(predicted: Sequence[float], realised: RealisedSigns) -> Judgement:
    """The squared error's condition has to fail: its share is surely below `SHARE`."""
    numbers = np.array(predicted)
    counted = count_signs(numbers, realised)
    failed = counted.interval is not None and counted.interval[1] < SHARE
    return Judgement(
        about="all points of the line and of the maps",
        kind="control",
        quantity="share of decided signs of the gain in accuracy that the squared error of tangent kernels predicts",
        prediction=f"less than {SHARE:g}",
        measurement="no sign is decided" if counted.share is None else counted.share,
        interval=counted.interval,
        verdict="holds" if failed and not realised.diverged else "undecided",
        power=f"{counted.settings} points, {counted.settings - counted.decided} of them undecided",
        note=f"{_note(counted, numbers, realised)}. {WHY_SQUARED_ERROR_FAILS}",
    )


def _note(counted: SignCount, predicted: np.ndarray, realised: RealisedSigns) -> str:
    note = f"{counted.right} of {counted.decided}; {int((predicted > 0).sum())} points are predicted positive"
    if not counted.decided:
        return note
    chance, associated = shuffled_shares(predicted, realised)
    return (
        f"{note}; {best_constant(realised)} right by the better constant; {chance:.2f} by shuffled predictions, "
        f"which do as well with probability {associated:.2g}"
    )
