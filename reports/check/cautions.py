"""What a reader of the numbers has to know: the warnings of a check."""

from __future__ import annotations

from collections.abc import Sequence

from reports.check.independence import FEWEST, Relation
from reports.check.moments import DataMoment
from reports.check.weights import WeightVectors

_MEAN_SHARE = 0.01


def cautions(
    layers: Sequence[WeightVectors],
    data: DataMoment,
    *,
    rank: int,
    alive: int,
    joined: Sequence[tuple[float, float, int]],
    ridge: float,
    draws: int,
    related: Sequence[Relation] = (),
    given: int = 1,
) -> tuple[str, ...]:
    """One sentence or two each. `layers` are the networks that count, of those `given`; `alive`, vectors not zero."""
    return (
        *_about_networks(layers, related, given),
        *_about_weights(layers, data, rank, alive, ridge),
        *_about_data(data, joined),
        *_about_tests(draws),
    )


def _about_networks(layers: Sequence[WeightVectors], related: Sequence[Relation], given: int) -> list[str]:
    found = []
    if related:
        listed = "; ".join(_relation(relation) for relation in related[:3])
        more = f"; and {len(related) - 3} more pairs" if len(related) > 3 else ""
        found.append(
            f"not independent trainings: {listed}{more}. Of related networks the first alone counts, so that "
            f"{len(layers)} of {given} do"
        )
    if given > 1 and len(layers[0].vectors) < FEWEST:
        found.append(
            f"{len(layers[0].vectors)} weight vectors are too few to notice checkpoints or copies of one run: that "
            "the networks are independent is taken on trust"
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
        f"{second} is like a permuted copy of {first}: each weight vector has one in the other network that correlates "
        f"with it by {relation.correlation:.2g} on average, and is nearer than those of its own"
    )


def _about_weights(layers: Sequence[WeightVectors], data: DataMoment, rank: int, alive: int, ridge: float) -> list[str]:
    dimension, total = int(data.varies.sum()), sum(len(layer.vectors) for layer in layers)
    found = []
    if len(layers) == 1:
        found.append(
            "one network: the p-values of exact alignment and of isotropy, and all intervals, take its filters for "
            "independent (of any law), which they are not, as they share data and labels: all are optimistic"
        )
    else:
        found.append(
            "the test of exact alignment takes the networks for independent trainings, each with initial weights, rows "
            "and labels of its own; trained on the same rows it may reject though the theorem holds"
        )
    if rank < dimension:
        found.append(
            f"the weights span {rank} of {dimension} dimensions: M is infinite, and the tests use the energy outside "
            "alignment instead"
        )
    if ridge:
        found.append(f"M is that of weights regularised by {ridge:g} of their mean variance, not that of the weights")
    if alive < total:
        found.append(f"{total - alive} of {total} weight vectors are zero where the data vary")
    found += _about_layout(layers[0])
    if any(layer.integers for layer in layers):
        found.append("the weights are integers: if they are quantised with a scale for each filter, convert them first")
    return found


def _about_layout(layer: WeightVectors) -> list[str]:
    """What shapes alone cannot tell."""
    m, d = layer.vectors.shape
    if layer.kernel is None and m == d:
        return [
            "the weights are square: if they are stored inputs first, they need --transposed, and nothing here tells"
        ]
    if layer.kernel is not None and max(layer.kernel[1:]) > 3 * min(layer.kernel[1:]) > 3:
        return [f"filters of {layer.kernel[1]} × {layer.kernel[2]}: if they are (kh, kw, C, m), they need --transposed"]
    return []


def _about_data(data: DataMoment, joined: Sequence[tuple[float, float, int]]) -> list[str]:
    found = []
    if data.dropped:
        found.append(f"{data.dropped} coordinates never vary in the data and are left out")
    if not data.centred and data.mean_share > _MEAN_SHARE:
        found.append(
            f"the mean makes up {data.mean_share:.0%} of the data's second moment, and the theorem is about data with "
            "mean zero: give the data as the network saw them, or centre them (--center)"
        )
    if len(data.counts) < 2:
        found.append("one sample only: the sampling errors of the data's eigenvalues are unknown, and none were joined")
    if data.vectors <= len(data.means[0]):
        found.append(
            f"{data.vectors} data vectors in {len(data.means[0])} dimensions: the data's eigenvectors are hardly known"
        )
    if joined:
        parts = [f"{low:.3g} to {high:.3g} ({count})" for low, high, count in joined[:4]]
        more = f" and {len(joined) - 4} more groups" if len(joined) > 4 else ""
        found.append(
            f"eigenvalues closer than their sampling error are joined: {', '.join(parts)}{more}; M counts what differs "
            "within them as misalignment; the test of exact alignment looks only between those surely told apart"
        )
    return found


def _about_tests(draws: int) -> list[str]:
    return [f"{draws} draws a test in so many dimensions: no p-value is below {1 / (draws + 1):.2g}"] * (draws < 999)
