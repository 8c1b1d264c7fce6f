"""A smaller network of the same proportions: what is divided, and what is kept, to train it in place of the full one.

With b the factor, n rows and every hidden width are divided by b, and so is the number of updates; the dimension, Σ_x,
the classes, the law of the initial weights, the learning rate, momentum and the batch stay. What moves a first-layer
weight are n labels, each met θ = steps/n times a row of a batch, through m neurons: label noise, a neuron's own
reaction |x|² θ n/(2m) and the fluctuations n/(m d) of the kernel depend on n/m and θ alone (argument, not a proof, in
theory/derivations.md, section 5). A batch of fixed size then keeps the number of epochs; with full batches, where an
epoch is one update, θ is kept and epochs are not.

In the standard parametrization a layer l ≥ 2 of fan-in m learns, as a function, at η m; with m/b inputs it needs a
learning rate of b η. First layers and biases do not: their share of the output's change has no m in it. NTK
parametrization has that factor in its forward pass. A setting has one learning rate. Where the activation is
positively homogeneous and there are no biases, weights can be moved between layers and initial variances do the same;
otherwise no setting does, and the kernel gets factors of the learning rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import numpy as np
from torch import Tensor

from simulate.ensemble import run
from simulate.inputs import Inputs
from simulate.kernels import dense
from simulate.networks import Shapes, layer_shapes
from simulate.results import Simulation
from theory.setting import InvalidInput, Network, Setting


def shrink(setting: Setting, b: int) -> Setting:
    """The setting of a network that is b times smaller, for b times fewer rows and updates.

    n, every hidden width, `steps` and the steps of `drops` are divided by b; everything else is kept. A standard
    parametrization needs :func:`layer_factors` besides.

    Raises
    ------
    InvalidInput
        If b does not divide n, a width or a step, if a batch has more rows than are left, or where the argument does
        not reach: linear models, filters, fixed or online rows, real labels and teachers, optimizers other than SGD,
        decay, anisotropic initial weights.

    Examples
    --------
    >>> from theory.setting import Data, Training
    >>> setting = Setting(
    ...     data=Data(kind="gaussian", spectrum=(1.0, 2.0), samples=400),
    ...     network=Network(kind="mlp", hidden=(64, 32)),
    ...     training=Training(batch_size=20, steps=(0, 80)),
    ... )
    >>> small = shrink(setting, 4)
    >>> small.data.samples, small.network.hidden, small.training.steps
    (100, (16, 8), (0, 20))
    """
    if b < 1:
        raise InvalidInput("b", b, "must be at least 1")
    _check_reach(setting)
    data, network, training = setting.data, setting.network, setting.training
    readings = tuple(_divided("training.steps", step, b) for step in training.readings)
    drops = tuple((_divided("training.drops", step, b), factor) for step, factor in training.drops)
    widths = tuple(_divided("network.hidden", width, b) for width in network.widths)
    rows = _divided("data.samples", data.sample_count, b)
    # a batch of all rows is one of all rows that are left
    size = "full" if setting.full_batch else training.batch_size
    if size != "full" and size > rows:
        raise InvalidInput("training.batch_size", size, f"must not exceed the {rows} rows that are left at b = {b}")
    return msgspec.structs.replace(
        setting,
        data=msgspec.structs.replace(data, samples=rows),
        network=msgspec.structs.replace(network, hidden=widths),
        training=msgspec.structs.replace(training, batch_size=size, steps=readings, drops=drops),
    )


def _divided(key: str, value: int, b: int) -> int:
    if value % b:
        raise InvalidInput(key, value, f"must be divisible by b = {b}")
    return value // b


def _check_reach(setting: Setting) -> None:
    """Refuse settings that the argument does not cover."""
    data, network, training = setting.data, setting.network, setting.training
    rules = (
        ("network.kind", network.kind, network.kind == "mlp", "must be 'mlp': proportions are those of hidden layers"),
        ("network.init_spectrum", network.init_spectrum, not network.init_spectrum, "must be absent"),
        ("data.samples", data.samples, data.samples != "online", "must be a number, or there is nothing to divide"),
        ("data.fixed", data.fixed, not data.fixed, "must be false: a smaller network has other rows"),
        (
            "labels.kind",
            setting.labels.kind,
            setting.labels.kind not in ("real", "teacher"),
            "must be independent of the rows",
        ),
        ("training.optimizer", training.optimizer, training.optimizer == "sgd", "must be 'sgd'"),
        ("training.weight_decay", training.weight_decay, not training.weight_decay, "must be 0"),
        ("training.l1", training.l1, not training.l1, "must be 0"),
    )
    for key, value, holds, rule in rules:
        if not holds:
            raise InvalidInput(key, value, f"{rule} for a smaller network of the same proportions to stand for it")


def layer_factors(network: Network, b: int) -> tuple[float, ...]:
    """The factor of the learning rate of each layer's weights, first layer first; biases keep their rate.

    1 for the first layer and b for the others that are trained in the standard parametrization, otherwise 1: each layer
    keeps its share, η fan_in, of the tangent kernel.

    >>> layer_factors(Network(kind="mlp", hidden=(8, 4)), 2)
    (1.0, 2.0, 2.0)
    """
    kept = network.parametrization == "ntk" or network.train == "first"
    above = 1.0 if kept else float(b)
    return (1.0, *(above for _ in network.widths))


@dataclass(frozen=True)
class LayerFactors:
    """The dense kernel with a factor of the learning rate for every layer's weights."""

    factors: tuple[float, ...]

    def applies(self, setting: Setting) -> bool:
        """Whether this kernel trains such a setting."""
        return dense.applies(setting)

    def touched(self, setting: Setting, shapes: Shapes, batch: int, rows: int) -> int:
        """How many numbers of a replica a step goes through."""
        return dense.touched(setting, shapes, batch, rows)

    def train(self, setting: Setting, inputs: Inputs) -> dict[int, tuple[Tensor, ...]]:
        """All parameters at every reading of the setting, keyed by step; see `simulate.train`."""
        biases = (1.0,) * setting.network.bias
        return dense.train(setting, inputs, [rate for factor in self.factors for rate in (factor, *biases)])


def run_shrunken(
    setting: Setting, b: int, *, replicas: int | None = None, device: str = "cpu", progress: bool = False
) -> Simulation:
    """An ensemble of the b times smaller network.

    Its random numbers are its own: replicas of one seed share the beginnings of their streams, whatever their size, and
    ensembles that are compared have to be independent.

    Parameters
    ----------
    setting : Setting
        The full-size setting.
    b : int
    replicas : int or None
        The number of replicas; b times those of the setting if None: with b times fewer neurons each, they have about
        the same standard error.

    Raises
    ------
    InvalidInput
        As for :func:`shrink`.
    """
    small = shrink(setting, b)
    seed = np.random.SeedSequence((setting.ensemble.seed, b)).generate_state(1, np.uint64)
    small = msgspec.structs.replace(small, ensemble=msgspec.structs.replace(setting.ensemble, seed=int(seed[0])))
    factors = layer_factors(setting.network, b)
    return run(
        small,
        replicas=b * setting.ensemble.replicas if replicas is None else replicas,
        device=device,
        progress=progress,
        kernel=None if set(factors) == {1.0} else LayerFactors(factors),
    )


def operations(setting: Setting, dimension: int) -> float:
    """About how many operations one replica takes: six per weight, row and update."""
    shapes = layer_shapes(setting.network, (dimension,), setting.output_count)
    return 6.0 * setting.batch_rows * sum(map(math.prod, shapes)) * setting.training.readings[-1]
