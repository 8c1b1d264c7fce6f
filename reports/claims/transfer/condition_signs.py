"""Predicted signs of transfer against realised ones, over the settings of claim C5: how they are counted and judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from reports.claims.transfer.condition_design import HORIZONS
from reports.claims.transfer.condition_networks import MeasuredTransfer
from reports.claims.transfer.condition_predictions import PredictedTransfer
from reports.claims.transfer.map_signs import WHY_SQUARED_ERROR_FAILS, best_constant, condition_verdict
from reports.claims.transfer.sign_counts import RealisedSigns, SignCount, count_signs, shuffled_shares
from reports.counted import counted
from reports.findings import OUTSIDE, Judgement
from reports.judging.intervals import QUANTILE, exceeds_pvalue, half_width
from reports.judging.needed import by_share, with_need
from reports.judging.rules import LEVEL, SHARE
from reports.probability import in_words

FAR = 2.0  # the distance from the boundary, in median distances, beyond which signs are counted once more
FEWEST = 12  # the fewest decided signs at a horizon for a share of them to be stated


@dataclass(frozen=True, eq=False)
class SignScores:
    """The settings of a design that have a gain, and what is predicted of them.

    Attributes
    ----------
    places : ndarray of int, shape (k,)
        The places of these settings among those that were given.
    predicted, spread : ndarray, shape (k,)
        The mean over replicas, 0 where nothing is predicted, and the standard deviation.
    realised : RealisedSigns
    """

    places: np.ndarray
    predicted: np.ndarray
    spread: np.ndarray
    realised: RealisedSigns

    @property
    def distance(self) -> np.ndarray:
        """The distance from the boundary, in units of the spread, (k,)."""
        size = np.abs(self.predicted)
        return np.divide(size, self.spread, out=np.where(size > 0, np.inf, 0.0), where=self.spread > 0)

    @property
    def count(self) -> SignCount:
        """The count of all signs."""
        return count_signs(self.predicted, self.realised)

    @property
    def beyond(self) -> SignCount:
        """The count of the signs further from the boundary than `FAR` times the median."""
        distance = self.distance
        return count_signs(self.predicted, self.realised, distance > FAR * np.median(distance))

    def within(self, chosen: np.ndarray) -> SignScores:
        """The scores of the settings where `chosen`, (k,)."""
        signs = self.realised
        some = replace(signs, gains=signs.gains[chosen], errors=signs.errors[chosen], signs=signs.signs[chosen])
        return SignScores(self.places[chosen], self.predicted[chosen], self.spread[chosen], some)


def score_signs(predicted: np.ndarray, gains: np.ndarray) -> SignScores:
    """Predictions (k, R), or (k,), against gains (k, R); one is decided where its 95 % interval excludes 0.

    A setting of which any network has diverged has no gain, and is left out.
    """
    places = np.flatnonzero(np.isfinite(gains).all(axis=1))
    replicas, means = gains.shape[1], gains[places].mean(axis=1)
    errors = gains[places].std(axis=1, ddof=1) / np.sqrt(replicas)
    outside = (np.abs(means) > half_width(errors, degrees=replicas - 1)) & (errors > 0)
    signs = np.where(outside, np.sign(means), 0.0)
    each = predicted[places] if predicted.ndim == 2 else predicted[places, None]
    realised = RealisedSigns(means, errors, signs, replicas=replicas * len(places), diverged=0)
    spread = each.std(axis=1, ddof=1) if each.shape[1] > 1 else np.zeros(len(each))
    return SignScores(places, np.nan_to_num(each.mean(axis=1)), np.nan_to_num(spread), realised)


def joined_predictions(found: Sequence[PredictedTransfer]) -> PredictedTransfer:
    """The settings of all, one after the other."""
    return PredictedTransfer(
        **{name: np.concatenate([getattr(each, name) for each in found]) for name in vars(found[0])}
    )


def joined_measurements(found: Sequence[MeasuredTransfer]) -> MeasuredTransfer:
    """The settings of all, one after the other."""
    return MeasuredTransfer(
        np.concatenate([each.accuracy for each in found]),
        np.concatenate([each.loss for each in found]),
        sum(each.replicas for each in found),
        sum(each.diverged for each in found),
        sum(each.missing for each in found),
    )


def judge_design(predicted: PredictedTransfer, measured: MeasuredTransfer) -> tuple[Judgement, ...]:
    """All findings of the design: signs in accuracy and in loss, single networks, the control, the horizon."""
    accuracy = score_signs(predicted.accuracy[:, 0], measured.accuracy[:, 0])
    loss = score_signs(predicted.loss[:, 0], measured.loss[:, 0])
    squared = score_signs(predicted.squared, measured.accuracy[:, 0])
    return (
        judge_signs(accuracy, "accuracy", measured.missing),
        judge_signs(loss, "loss", measured.missing),
        _judge_networks(predicted.accuracy[:, 0], measured.accuracy[:, 0]),
        _judge_control(squared),
        _tell_horizon(predicted, measured),
    )


def judge_signs(scores: SignScores, what: str, missing: int = 0) -> Judgement:
    """The signs of the gain by linearised training, over one epoch; so many more settings are `missing`."""
    counted, beyond = scores.count, scores.beyond
    verdict = condition_verdict(scores.predicted, scores.realised)
    note = f"{scores_in_words(scores)}; beyond {FAR:g} median distances {beyond.right} of {beyond.decided} right"
    if beyond.interval is not None:
        note += f" (at least {beyond.interval[0]:.3f})"
    left_out = f"; {missing} more are left out, whose data are not installed" if missing else ""
    return Judgement(
        kind="asymptotic",
        quantity=f"share of decided signs of the gain in {what} over an epoch that linearised training predicts",
        prediction=f"more than {SHARE:g}",
        measurement="no sign is decided" if counted.share is None else counted.share,
        interval=counted.interval,
        verdict=verdict,
        power=f"{counted.settings} settings, {counted.settings - counted.decided} of them undecided{left_out}",
        note=with_need(note, verdict, by_share(counted.right, counted.decided, counted.settings)),
    )


def scores_in_words(scores: SignScores) -> str:
    """How many signs are right, and how many would be by constants and by shuffled predictions."""
    counted, signs = scores.count, scores.realised.signs
    positive, negative = int((signs > 0).sum()), int((signs < 0).sum())
    note = f"{counted.right} of {counted.decided} right, {positive} positive and {negative} negative"
    if not counted.decided:
        return note
    chance, associated = shuffled_shares(scores.predicted, scores.realised)
    return (
        f"{note}; {best_constant(scores.realised)} right by the better constant, a share of {chance:.2f} by "
        f"shuffled predictions, which do as well with probability {in_words(associated)}"
    )


def within_settings(predicted: np.ndarray, gains: np.ndarray) -> tuple[float, float, int]:
    """The mean over settings of the correlation between networks of one setting, its standard error, their number.

    Predictions and gains (k, R). Were replicas exchanged at random, the correlation r of a setting would have mean 0
    and variance 1/(R − 1), exactly, and those of settings would be independent: the error given is that.
    """
    there = np.isfinite(gains).all(axis=1) & np.isfinite(predicted).all(axis=1)
    p, g = (values[there] - values[there].mean(axis=1, keepdims=True) for values in (predicted, gains))
    sizes = np.sqrt((p**2).sum(axis=1) * (g**2).sum(axis=1))
    varies = sizes > 0
    correlations = (p * g).sum(axis=1)[varies] / sizes[varies]
    count = len(correlations)
    if not count:
        return np.nan, np.nan, 0
    return float(correlations.mean()), float((count * (gains.shape[1] - 1)) ** -0.5), count


def _judge_networks(predicted: np.ndarray, gains: np.ndarray) -> Judgement:
    mean, error, count = within_settings(predicted, gains)
    pvalue = exceeds_pvalue(mean, error) if count else None
    seen = pvalue is not None and pvalue < LEVEL
    return Judgement(
        kind="asymptotic",
        quantity="correlation of predicted and realised gains in accuracy between networks of one setting",
        prediction="positive",
        measurement=mean if count else "no setting varies",
        standard_error=error if count else None,
        interval=(mean - QUANTILE * error, mean + QUANTILE * error) if count else None,
        verdict="holds" if seen else "refuted" if count and mean < -QUANTILE * error else "undecided",
        power=f"{count} settings; error and interval as if replicas were exchanged at random",
        note="" if pvalue is None else f"exchanged replicas do as well with probability {in_words(pvalue)}",
    )


def _judge_control(scores: SignScores) -> Judgement:
    """The squared error's condition has to fail: its share is surely below `SHARE`."""
    counted = scores.count
    failed = counted.interval is not None and counted.interval[1] < SHARE
    return Judgement(
        kind="control",
        quantity="share of decided signs of the gain in accuracy that the squared error of tangent kernels predicts",
        prediction=f"less than {SHARE:g}",
        measurement="no sign is decided" if counted.share is None else counted.share,
        interval=counted.interval,
        verdict="holds" if failed else "undecided",
        power=f"{counted.settings} settings, {counted.settings - counted.decided} of them undecided",
        note=f"{scores_in_words(scores)}. {WHY_SQUARED_ERROR_FAILS}",
    )


def _tell_horizon(predicted: PredictedTransfer, measured: MeasuredTransfer) -> Judgement:
    """The first horizon at which fewer than `SHARE` of the decided signs are right, of which there are `FEWEST`."""
    counts = [score_signs(predicted.accuracy[:, h], measured.accuracy[:, h]).count for h in range(len(HORIZONS))]
    shares = {horizon: each for horizon, each in zip(HORIZONS, counts, strict=True) if each.decided >= FEWEST}
    epochs = "epoch" if shares and max(shares) == 1 else "epochs"
    below = [horizon for horizon, each in shares.items() if each.share is not None and each.share < SHARE]
    last = f"not up to {max(shares)} {epochs}" if shares else f"at no horizon are {FEWEST} signs decided"
    return Judgement(
        kind="outside",
        quantity=f"epochs downstream at which fewer than {SHARE:g} of the decided signs in accuracy are right",
        prediction="none",
        measurement=float(below[0]) if below else last,
        verdict=OUTSIDE,
        note="; ".join(
            f"{counted(horizon, 'epoch')}: {each.right} of {each.decided}"
            for horizon, each in zip(HORIZONS, counts, strict=True)
            if each.decided
        ),
    )
