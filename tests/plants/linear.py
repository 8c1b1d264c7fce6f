"""Errors in the closed forms of linear models, which claims A2, B2, F1 and F2 must notice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from reports.claims.forms.form_evidence import scaled_form
from tests.oracles.two_layer import converged_many_outputs
from tests.plants.plant import Plant, Wrong, always, instead, of_training, times, with_arguments
from theory.shape import FALLS, RISES

MINI_BATCH = "fresh mini-batches", "mini-batches with replacement, Nesterov"
ENDS = "shuffled epochs, closed form at epoch ends"
ONLINE = "online, Gaussian rows", "online, Student rows"
DIFFUSIONS = "online, as a diffusion", "online, as a diffusion with the labels' noise alone"
AVERAGED = "rows redrawn, full batch", "rows redrawn, second order", "rows redrawn, plug-in"
TWO_LAYERS = "two-layer linear network, first step", "two-layer linear network, early"
CONVERGED = "two-layer linear network, converged"
OF_ONE_LAYER = (
    *MINI_BATCH,
    "fresh mini-batches, diagonal only",
    "shuffled epochs",
    ENDS,
    *ONLINE,
    *DIFFUSIONS,
    *AVERAGED,
    "mini-batches, averaged over redrawn rows",
    "fresh mini-batches, settled",
)
VALUES, SHAPE = "relative error", "shape"
FULL_BATCH = (
    "falls: large init",
    "rises, then falls: small init, long training",
    "rises: small init, short training",
    "heavy ball",
    "Nesterov, weight decay",
    "a drop of the learning rate",
)


def form(factor: float) -> Wrong:
    """A whole form times a factor."""
    return lambda right: lambda *args, **keys: scaled_form(right(*args, **keys), factor)


def _without_replacement(setting: Any) -> float:
    n, size = setting.data.sample_count, setting.batch_rows
    return n * (n - size) / (size * (n - 1))


def _with_replacement(setting: Any) -> float:
    return setting.data.sample_count / setting.batch_rows


def _turned(right: Any) -> Any:
    """The leading term less the correction."""

    def call(*args: Any, **keys: Any) -> tuple[np.ndarray, np.ndarray]:
        leading, correction = right(*args, **keys)
        return leading, -correction

    return call


def _first_raised(right: Any) -> Any:
    def call(*args: Any, **keys: Any) -> tuple[np.ndarray, np.ndarray]:
        leading, correction = right(*args, **keys)
        return 1.1 * leading, correction

    return call


def _one_order(right: Any) -> Any:
    """Every epoch in the order of the first one."""

    def call(setting: Any, generator: Any, pairs: int) -> np.ndarray:
        orders, k = right(setting, generator, pairs), setting.batches_per_epoch
        return np.stack([orders[:, t % k] for t in range(orders.shape[1])], axis=1)

    return call


def _plain_ends(right: Any) -> Any:
    """Epochs as steps of full-batch descent on S itself."""

    def call(basis: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return basis.h[basis.reached], np.eye(basis.rows.shape[1]), basis.rows.T / basis.samples

    return call


def _many_outputs(variances: np.ndarray) -> np.ndarray:
    return converged_many_outputs(variances, 1)


def _reversed_shapes(right: Any) -> Any:
    return lambda *args, **keys: {RISES: FALLS, FALLS: RISES}[right(*args, **keys)]


def _no_average_in_the_first(right: Any) -> Any:
    """Π(B) that leaves the block of one eigenspace as it is, with what ties it to the others."""

    def call(group: Any, matrix: np.ndarray) -> np.ndarray:
        block = group.basis[:, : group.sizes[0] + 1]
        inside = block.T @ matrix @ block
        return right(group, matrix) + block @ (inside - np.diag(np.diag(inside))) @ block.T

    return call


def _without_multiplicity(right: Any) -> Any:
    """Σ_i tr(P_i B) P_i, not divided by m_i: with simple eigenvalues the same."""

    def call(group: Any, matrix: np.ndarray) -> np.ndarray:
        blocks = [group.basis[:, s] for s in group.slices]
        return sum(np.trace(v.T @ matrix @ v) * v @ v.T for v in blocks)

    return call


INIT = "theory.linear.hypotheses:init_variances"
LABELS = "theory.linear.hypotheses:label_variance"

AVERAGING = (
    Plant(
        "the average over the group × 1.1",
        "theory.symmetry:twirl",
        times(1.1),
        "A2",
        ("distinct eigenvalues", "repeated eigenvalues"),
        "langle",
    ),
    Plant(
        "the average over the group × 1.1",
        "theory.symmetry:twirl",
        times(1.1),
        "A2",
        ("distinct eigenvalues",),
        "flips",
    ),
    Plant(
        "the average leaves one block as it is",
        "theory.symmetry:twirl",
        _no_average_in_the_first,
        "A2",
        ("distinct eigenvalues", "repeated eigenvalues"),
        "contained",
    ),
    Plant(
        "projections weighted by traces, not by their means",
        "theory.symmetry:twirl",
        _without_multiplicity,
        "A2",
        ("repeated eigenvalues",),
    ),
)

FULL = (
    Plant("τ × 1.1", "theory.linear.full_batch:FORM.predict", form(1.1), "B2", FULL_BATCH, VALUES),
    Plant("τ × 0.9", "theory.linear.full_batch:FORM.predict", form(0.9), "B2", FULL_BATCH, VALUES),
    Plant("the labels' variance × 1.1", LABELS, times(1.1), "B2", FULL_BATCH[1:], VALUES),
    Plant("the initial variance × 1.1", INIT, times(1.1), "B2", FULL_BATCH[:1], VALUES),
    Plant(
        "no momentum",
        "theory.linear.propagators:update",
        of_training(momentum=0.0, nesterov=False),
        "B2",
        ("heavy ball", "Nesterov, weight decay"),
        VALUES,
    ),
    Plant(
        "heavy ball for Nesterov",
        "theory.linear.propagators:update",
        of_training(nesterov=False),
        "B2",
        ("Nesterov, weight decay",),
        VALUES,
    ),
    Plant(
        "the learning rate never drops",
        "theory.linear.propagators:update",
        of_training(drops=()),
        "B2",
        ("a drop of the learning rate",),
        VALUES,
    ),
    Plant("no initial weights", INIT, times(0.0), "B2", FULL_BATCH[:1], SHAPE),
    Plant("the initial variance × 1000", INIT, times(1000.0), "B2", FULL_BATCH[1:], SHAPE),
)

F1 = (
    Plant(
        "batches with replacement for without",
        "theory.linear.mini_batch:batch_variance",
        instead(_with_replacement),
        "F1",
        ("fresh mini-batches", "mini-batches, averaged over redrawn rows", "fresh mini-batches, settled"),
    ),
    Plant(
        "batches without replacement for with",
        "theory.linear.mini_batch:batch_variance",
        instead(_without_replacement),
        "F1",
        MINI_BATCH[1:],
    ),
    Plant("batch noise × 1.2", "theory.linear.mini_batch:batch_noise", times(1.2), "F1", MINI_BATCH),
    Plant("batch noise × −1", "theory.linear.mini_batch:batch_noise", times(-1.0), "F1", (*MINI_BATCH, ENDS)),
    Plant(
        "no momentum",
        "theory.linear.propagators:update",
        of_training(momentum=0.0, nesterov=False),
        "F1",
        MINI_BATCH[1:],
    ),
    Plant(
        "heavy ball for Nesterov", "theory.linear.propagators:update", of_training(nesterov=False), "F1", MINI_BATCH[1:]
    ),
    Plant(
        "τ × 1.1",
        "theory.linear.mini_batch_scalar:scalar_path",
        times(1.1),
        "F1",
        ("fresh mini-batches, diagonal only",),
    ),
    Plant(
        "no batch noise",
        "theory.linear.mini_batch:batch_variance",
        always(0.0),
        "F1",
        (*MINI_BATCH, "fresh mini-batches, diagonal only", ENDS, "fresh mini-batches, settled"),
    ),
    Plant(
        "every epoch in the same order",
        "theory.linear.shuffled:draw_order_pairs",
        _one_order,
        "F1",
        ("shuffled epochs",),
    ),
    Plant("τ × 1.1", "theory.linear.shuffled:FORM.predict", form(1.1), "F1", ("shuffled epochs",)),
    Plant("epochs of descent on S", "theory.linear.shuffled_ends:modified_descent", _plain_ends, "F1", (ENDS,)),
    Plant("τ × 1.1", "theory.linear.shuffled_ends:epoch_end_moments", times(1.1), "F1", (ENDS,)),
    Plant("τ × 1.1", "theory.linear.online:variances", times(1.1), "F1", ONLINE),
    Plant(
        "Gaussian fourth moments",
        "theory.linear.population:fourth_moment_ratio",
        always(1.0),
        "F1",
        ("online, Student rows",),
    ),
    Plant("τ × 1.1", "theory.linear.diffusion:diffusion_variances", times(1.1), "F1", DIFFUSIONS),
    Plant(
        "the labels' noise of twice the batch",
        "theory.linear.diffusion:diffusion_variances",
        with_arguments(batch_size=lambda size: 2 * size),
        "F1",
        DIFFUSIONS,
    ),
    Plant("the leading order × 1.1", "theory.linear.averaged:averaged_variances", _first_raised, "F1", AVERAGED[:2]),
    Plant("the term of order 1/n × −1", "theory.linear.averaged:averaged_variances", _turned, "F1", AVERAGED[1:2]),
    Plant("τ × 1.1", "theory.linear.averaged:given_rows", times(1.1), "F1", AVERAGED[2:]),
    Plant(
        "τ × 1.1",
        "theory.linear.averaged_batches:mini_batch_variances",
        times(1.1),
        "F1",
        ("mini-batches, averaged over redrawn rows",),
    ),
    Plant("τ × 1.1", "theory.linear.two_layer:two_layer_first_step_moment", times(1.1), "F1", TWO_LAYERS[:1]),
    Plant(
        "the rate × 1.1",
        "theory.linear.two_layer:two_layer_first_step_moment",
        with_arguments(rate=lambda rate: 1.1 * rate),
        "F1",
        TWO_LAYERS[:1],
    ),
    Plant(
        "the output layer's variance × 1.1",
        "theory.linear.two_layer:two_layer_first_step_moment",
        with_arguments(net=lambda net: replace(net, output_variance=1.1 * net.output_variance)),
        "F1",
        TWO_LAYERS[:1],
    ),
    Plant(
        "the second layer feeds nothing back",
        "theory.linear.two_layer_early:averaged_early",
        with_arguments(second=0.0),
        "F1",
        TWO_LAYERS[1:],
    ),
    Plant(
        "the labels' variance × 1.1",
        "theory.linear.two_layer_early:averaged_early",
        with_arguments(variances=lambda variances: 1.1 * variances),
        "F1",
        TWO_LAYERS[1:],
    ),
    Plant("τ × 1.1", "theory.linear.two_layer_converged:converged_average", times(1.1), "F1", (CONVERGED,)),
    Plant(
        "the limit of many outputs for one",
        "theory.linear.two_layer_converged:converged_average",
        instead(_many_outputs),
        "F1",
        (CONVERGED,),
    ),
    Plant("τ × 1.1", "theory.linear.stationary:FORM.predict", form(1.1), "F1", ("fresh mini-batches, settled",)),
    Plant("the labels' variance × 1.3", LABELS, times(1.3), "F1", OF_ONE_LAYER),
)

GRID = tuple(f"c = {level:g}, ηt s_max near {time:g}" for time in (0.6, 2.4, 5.0, 14.0) for level in (0.02, 0.2, 1.0))
FRESH = tuple(f"online, noise of the labels {ratio:g} times the initial variance" for ratio in (2.0, 0.5))

SHAPES = (
    Plant(
        "initial weights forgotten",
        "theory.linear.shape:slope",
        with_arguments(c=0.0),
        "F2",
        tuple(GRID[i] for i in (2, 5)),
    ),
    Plant(
        "initial weights counted fiftyfold",
        "theory.linear.shape:slope",
        with_arguments(c=lambda c: 50 * c),
        "F2",
        tuple(GRID[i] for i in (0, 1, 3, 4)),
    ),
    Plant(
        "the time counted fourfold",
        "theory.linear.shape:slope",
        with_arguments(steps=lambda steps: 4 * steps),
        "F2",
        tuple(GRID[i] for i in (0, 1, 3, 4)),
    ),
    Plant(
        "the first step for all of training, initial weights forgotten",
        "theory.linear.shape:slope",
        with_arguments(c=0.0, steps=1),
        "F2",
        GRID[6:],
    ),
    Plant(
        "the wrong sign of noise less variance",
        "theory.linear.online_shape:leading_shape",
        _reversed_shapes,
        "F2",
        FRESH,
    ),
)

PLANTS: tuple[Plant, ...] = (*AVERAGING, *FULL, *F1, *SHAPES)
