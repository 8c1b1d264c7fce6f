"""The warnings of a check: what limits the conclusions from its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from reports.check.independence import FEWEST, Relation
from reports.check.mean import MeanTest
from reports.check.moments import DataMoment
from reports.check.verdict import LEVEL
from reports.check.weights import WeightVectors


def cautions(
    layers: Sequence[WeightVectors],
    data: DataMoment,
    *,
    alive: int,
    joined: Sequence[tuple[float, float, int]],
    ridge: float,
    draws: int,
    mean: MeanTest | None = None,
    related: Sequence[Relation] = (),
    given: int = 1,
) -> tuple[str, ...]:
    """One or two sentences each. `layers` are the networks that count, of `given`; `alive` counts nonzero vectors."""
    return (
        *_about_networks(layers, related, given),
        *_about_weights(layers, alive, ridge),
        *_about_data(data, joined, mean),
        *_about_tests(draws),
    )


def _about_networks(layers: Sequence[WeightVectors], related: Sequence[Relation], given: int) -> list[str]:
    found = []
    if related:
        listed = "; ".join(_relation(relation) for relation in related[:3])
        more = f"; and {len(related) - 3} more pairs" if len(related) > 3 else ""
        found.append(
            f"not independent trainings: {listed}{more}. Only the first of related networks counts, so "
            f"{len(layers)} of {given} networks count"
        )
    if given > 1 and len(layers[0].vectors) < FEWEST:
        found.append(
            f"{len(layers[0].vectors)} weight vectors are too few to detect checkpoints or copies of one run: the "
            "networks are assumed to be independent"
        )
    return found


def _relation(relation: Relation) -> str:
    first, second = relation.networks
    if relation.in_place:
        return (
            f"the weight vectors of {first} and {second} correlate by {relation.correlation:.2g} one by one, where "
            f"independent networks stay within {relation.limit:.2g} in 999 of 1,000 checks"
        )
    return (
        f"{second} is like a permuted copy of {first}: the nearest weight vector of the other network correlates by "
        f"{relation.correlation:.2g} on average, more than those of the same network"
    )


def _about_weights(layers: Sequence[WeightVectors], alive: int, ridge: float) -> list[str]:
    total = sum(len(layer.vectors) for layer in layers)
    found = []
    if len(layers) == 1:
        found.append(
            "one network: its filters share data and labels, so they are not independent, as all intervals and the "
            "p-values of exact alignment and isotropy assume; these are optimistic"
        )
    else:
        found.append(
            "the test of exact alignment assumes independent trainings, each with its own initial weights, rows and "
            "labels; for networks trained on the same rows it may reject although the theorem holds"
        )
    if ridge:
        found.append(f"M is that of weights regularised by {ridge:g} of their mean variance")
    if alive < total:
        found.append(f"{total - alive} of {total} weight vectors are zero on all coordinates that vary in the data")
    found += _about_layout(layers[0])
    if any(layer.integers for layer in layers):
        found.append("the weights are integers: if they are quantised with one scale per filter, convert them first")
    return found


def _about_layout(layer: WeightVectors) -> list[str]:
    """Warnings about layouts that the shape alone does not determine."""
    m, d = layer.vectors.shape
    if layer.kernel is None and m == d:
        return [
            "the weights are square: if they are stored as (inputs, outputs), pass --transposed (shapes do not show it)"
        ]
    if layer.kernel is not None and max(layer.kernel[1:]) > 3 * min(layer.kernel[1:]) > 3:
        sides = f"{layer.kernel[1]} × {layer.kernel[2]}"
        return [f"filters of {sides}: if they are stored as (kh, kw, C, m), pass --transposed"]
    return []


def _about_data(data: DataMoment, joined: Sequence[tuple[float, float, int]], mean: MeanTest | None) -> list[str]:
    found = []
    if data.dropped:
        found.append(f"{data.dropped} coordinates never vary in the data and are omitted")
    if mean is not None:
        found.append(_about_mean(data.mean_share, mean))
    if len(data.counts) < 2:
        found.append("one sample only: the sampling errors of the data's eigenvalues are unknown, and none were merged")
    if data.vectors <= len(data.means[0]):
        found.append(
            f"{data.vectors} data vectors in {len(data.means[0])} dimensions: they hardly determine the eigenvectors"
        )
    if joined:
        parts = [f"{low:.3g} to {high:.3g} ({count})" for low, high, count in joined[:4]]
        more = f" and {len(joined) - 4} more groups" if len(joined) > 4 else ""
        found.append(
            f"eigenvalues (sigma²) closer than their sampling error are merged: {', '.join(parts)}{more}; M counts "
            "differences within a merged group as misalignment; the test of exact alignment does not"
        )
    return found


def _about_mean(share: float, mean: MeanTest) -> str:
    """Warnings about data with a mean, for which the theorem says less."""
    text = (
        f"the mean makes up {share:.0%} of the data's second moment, and the theorem then demands nothing of the "
        f"{mean.fixed} of {mean.fixed + mean.free} directions along which it lies"
    )
    if not mean.free:
        return f"{text}: exact alignment is not what it predicts for this layer"
    result = "rejected" if mean.pvalue <= LEVEL else "not rejected"
    return f"{text}: exact alignment in the others is {result} (p = {mean.pvalue:.2g})"


def _about_tests(draws: int) -> list[str]:
    return [f"{draws} draws per test in so many dimensions: no p-value is below {1 / (draws + 1):.2g}"] * (draws < 999)
