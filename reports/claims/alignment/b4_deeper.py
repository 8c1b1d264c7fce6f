"""B4, deeper layers: the same picture with the activations of the layer below as the data."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
import torch

import simulate
from reports.claims.alignment.orientation import (
    UNTRAINED_NETWORKS,
    OrientedNetworks,
    judge_networks,
    orient,
    orientation_panel,
    orientation_rows,
    orientation_table,
    predict_orientation,
)
from reports.claims.claim import Case, Claim, Context, Outcomes, Trial
from reports.findings import Exhibits, Figure, Judgement
from simulate.networks import layer_outputs
from theory.eigenspaces import Eigenspaces, eigenspaces
from theory.network.duals import dual, gram
from theory.setting import Data, Ensemble, Labels, Network, PowerLaw, Setting, Training

# The widths of the hidden layers: the second has ten times as many neurons as inputs, so that one
# network's M is finite.
HIDDEN = (24, 256)
AT_ONCE = 16  # the number of networks that are trained as one batch
MOST = 512  # the most networks at any budget: each is tested against random bases of its own
GAUSSIAN = Setting(
    data=Data(kind="gaussian", spectrum=PowerLaw(dimension=16, exponent=0.5), samples=256),
    labels=Labels(kind="classes"),
    network=Network(kind="mlp", hidden=HIDDEN),
    training=Training(loss="cross-entropy", learning_rate=0.05, momentum=0.9, batch_size=32, steps=(0, 40, 160, 320)),
)
DIGITS = msgspec.structs.replace(GAUSSIAN, data=Data(kind="digits", samples=256))
REAL_LABELS = msgspec.structs.replace(DIGITS, labels=Labels(kind="real"))
UNTRAINED = msgspec.structs.replace(GAUSSIAN, training=msgspec.structs.replace(GAUSSIAN.training, steps=(0,)))


def trials(context: Context) -> Mapping[str, Trial[None]]:
    """Two hidden layers on Gaussian data and digits, random and real labels; and second layers before training."""

    def with_networks(setting: Setting, networks: int) -> Setting:
        return msgspec.structs.replace(setting, ensemble=Ensemble(replicas=min(context.replicas(networks), MOST)))

    return {
        "Gaussian data, random labels": Trial(with_networks(GAUSSIAN, 12), kind="outside"),
        "digits 8x8, random labels": Trial(with_networks(DIGITS, 12), kind="outside"),
        # real labels are learned before the weights have gone far, so that it takes more networks to see
        "digits 8x8, real labels": Trial(with_networks(REAL_LABELS, 40), kind="outside"),
        "Gaussian data, untrained": Trial(with_networks(UNTRAINED, UNTRAINED_NETWORKS), kind="exact"),
    }


def measure(case: Case[None], context: Context) -> OrientedNetworks:
    """Train; at every reading hold each second layer against its own first layer's activations."""
    setting, total = case.setting, case.setting.ensemble.replicas
    pairs: list[list[tuple[Eigenspaces, np.ndarray]]] = [[] for _ in setting.training.readings]
    for first in range(0, total, AT_ONCE):
        inputs = simulate.replica_inputs(setting, range(first, min(first + AT_ONCE, total)))
        for of, parameters in zip(pairs, _finite(simulate.train(setting, inputs)), strict=True):
            data, weights = activation_moments(setting, parameters), _second_moments(parameters[1])
            of += [(eigenspaces(a), b) for a, b in zip(data, weights, strict=True)]
    found = orient(setting.training.readings, pairs, HIDDEN[1], setting.ensemble.seed)
    return OrientedNetworks(found, total, total - found.networks)


def activation_moments(setting: Setting, parameters: tuple[torch.Tensor, ...]) -> np.ndarray:
    """E[h hᵀ] of the first hidden activations h = φ(W x) of every network, W (R, m, d), shape (R, m, m).

    The mean is over the population of x: in closed form for Gaussian x, for which W x is Gaussian with covariance
    W Σ_x Wᵀ, and over the whole set for real data.
    """
    population = simulate.population(setting)
    if population.rows is None:
        activation, covariance = setting.network.activation, population.second_moment
        found = [dual(activation, gram(w, covariance=covariance)) for w in parameters[0].numpy()]
        return np.array(found).reshape(-1, *(parameters[0].shape[1],) * 2)
    whole = msgspec.structs.replace(setting.data, samples=population.rows, fixed=True)
    rows = torch.from_numpy(simulate.rows(msgspec.structs.replace(setting, data=whole)))
    h = next(layer_outputs(setting.network, parameters, rows.expand(len(parameters[0]), -1, -1)))
    return (h.transpose(1, 2) @ h / h.shape[1]).numpy()


def _finite(readings: dict[int, tuple[torch.Tensor, ...]]) -> list[tuple[torch.Tensor, ...]]:
    """The parameters at every reading of the networks whose squares are finite at all of them."""
    each = [w.square().flatten(1).sum(1).isfinite() for parameters in readings.values() for w in parameters]
    kept = torch.stack(each).all(0)
    return [tuple(w[kept] for w in parameters) for parameters in readings.values()]


def _second_moments(weights: torch.Tensor) -> np.ndarray:
    """WᵀW / (rows of W) for every network, (R, rows, m) → (R, m, m)."""
    return (weights.transpose(1, 2) @ weights / weights.shape[1]).numpy()


def decide(case: Case[None], prediction: str, measured: OrientedNetworks) -> tuple[Judgement, ...]:
    """M² beside its floor, without verdict; nearer than random bases, by a binomial count, and not before training."""
    return judge_networks(case.kind, measured, "$M^2$ of one network's second layer against the activations")


def illustrate(outcomes: Outcomes[None, str, OrientedNetworks]) -> Exhibits:
    """M² along training against the eigenvectors of the activations and random bases."""
    table = orientation_table(
        "b4-layers",
        "Misalignment of the second layers of single networks against the eigenvectors of the second moment of their "
        "own first layer's activations, and against random orthonormal bases (medians); means over networks with "
        "standard errors, the effect size $1 - M/\\mathrm{median}$, and how many networks are closer to the "
        "activations' eigenvectors than 99 % of random bases.",
        (row for each in outcomes for row in orientation_rows(each.case.name, each.measurement.orientation)),
    )
    figure = Figure(
        name="b4-training",
        caption="Misalignment of second layers during training, against the eigenvectors of the second moment of the "
        "activations before them and against random bases; dashed: the value of as many aligned Gaussian vectors. "
        "Bands: 95 % intervals of the mean over networks.",
        panels=tuple(
            orientation_panel(each.case.name, each.measurement.orientation)
            for each in outcomes
            if each.case.kind == "outside"
        ),
    )
    return Exhibits((table,), (figure,))


CLAIM = Claim(
    id="B4",
    title="Deeper layers",
    statement="The weights of a deeper layer align with the second moment of the activations of the layer below.",
    reference="arXiv:2006.10455, on deeper layers",
    method="The law of activations is not invariant: $M^2$ of the second layer, against its own network's activations, "
    "is given with its floor, without a verdict. Whether it is closer to the activations' eigenvectors than to random "
    "bases is judged as in claim A6: the number of such networks, at level 0.01 each, must have a probability below "
    "$10^{-6}$; untrained networks must not be called closer more often.",
    trials=trials,
    predict=predict_orientation,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
