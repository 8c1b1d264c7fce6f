"""Shuffled epochs, the default in PyTorch: exact given the order of rows, averaged over sampled orders.

Batches of one epoch are not independent: together they are all rows, so noise cancels at epoch ends
(theory/derivations.md, section 1.2). Given the orders of the rows, however, the weights are linear in the random
variables,

    w_t = Π w_0 + G y,   E[w wᵀ | orders] = Π Σ_0 Πᵀ + σ_y² G Gᵀ,

exactly, for every label law; only the average over orders remains, which is taken over a sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from theory.errors import InvalidInput
from theory.linear.eigenbasis import Eigenbasis, in_eigenbasis
from theory.linear.hypotheses import LEAST_BUDGET, not_linear, rows_not_fixed
from theory.linear.mini_batch import gradient_response
from theory.linear.propagators import update
from theory.prediction import Form, Prediction
from theory.rows import required_rows
from theory.setting import Setting

ASSUMPTIONS = (
    "conditional on the rows X",
    "linear model, squared error, gradient descent, heavy ball or Nesterov",
    "each epoch a new uniform permutation, cut into batches; the last partial batch dropped",
    "labels independent of X, independent over rows, mean zero; only their variance enters",
    "initial weights independent of the labels, mean zero",
)
FEWEST, MOST = 32, 1024  # pairs of orders
WORK, ENTRIES = 2e10, 1e7  # multiplications, and row numbers, after which no more pairs than FEWEST are taken
CONFIDENCE = 1 - 1e-6  # the confidence of the error budget, simultaneously for all τ at all readings


@dataclass(frozen=True, eq=False)
class OrderAverage:
    """The second moment at every reading, averaged over orders of the rows.

    Attributes
    ----------
    second_moments : ndarray, shape (t, d, d)
        The second moment at every reading, in the eigenbasis of S.
    tau : ndarray, shape (b, t, k)
        τ of each block of orders; the mean over b is the prediction, and its spread gives the error.
    """

    second_moments: np.ndarray
    tau: np.ndarray

    @property
    def relative_error(self) -> np.ndarray:
        """The standard error of τ over τ, (t, k); 0 where τ does not vary, infinite from a single block."""
        blocks, mean = len(self.tau), self.tau.mean(axis=0)
        if blocks == 1:
            return np.full(mean.shape, np.inf)
        error = self.tau.std(axis=0, ddof=1) / np.sqrt(blocks)
        return np.divide(error, mean, out=np.zeros_like(error), where=error > 0)


def not_shuffled(setting: Setting) -> str | None:
    """Why the setting is not a linear model on fixed rows, shuffled anew every epoch; None if it is."""
    if (reason := not_linear(setting) or rows_not_fixed(setting)) is not None:
        return reason
    if setting.full_batch:
        return f"training.batch_size = {setting.training.batch_size!r}: the order of a full batch does not matter"
    if setting.training.sampling != "epochs":
        return f"training.sampling = {setting.training.sampling!r}: this form is for shuffled epochs"
    if setting.batches_per_epoch == 1:
        return f"training.batch_size = {setting.training.batch_size}: epochs of one batch are independent batches"
    return None


def predict(setting: Setting, rows: np.ndarray | None) -> Prediction:
    """E[w wᵀ] of each output's weights for given rows X (n, d): exact in labels and initial weights, orders sampled.

    Pairs of an order and its reverse (which cancels what is odd in the commutators of the batches) are drawn with
    NumPy's PCG64 from the setting's own seed: as many as fit in 2e10 multiplications, at least 32 and at most 1024
    pairs. The same setting and rows give the same prediction. The error budget comes from the spread over the pairs:
    simultaneous Student intervals of all τ at confidence 1 − 1e-6, and at least 2 %; it does not cover the
    off-diagonals of Σ_w. At every step, mid-epoch included, with momentum, Nesterov, decay, drops, and rows left over
    by ⌊n/B⌋ batches. E[w] = 0. Normalisation as in the full-batch form.

    Raises
    ------
    InvalidInput
        If the second moment overflows by some step.
    """
    rows = required_rows(rows)
    basis = in_eigenbasis(setting, rows)
    steps, pairs = setting.training.readings, number_of_pairs(basis)
    generator = np.random.Generator(np.random.PCG64([setting.ensemble.seed, 0x0DE5]))
    average = average_over(basis, draw_order_pairs(setting, generator, pairs), block=2)
    for step, moment in zip(steps, average.second_moments, strict=True):
        if not np.isfinite(moment).all():
            rule = f"makes the second moment overflow by step {step}"
            raise InvalidInput("training.learning_rate", setting.training.learning_rate, rule)
    error = average.relative_error
    quantile = float(stats.t.isf((1 - CONFIDENCE) / 2 / error.size, pairs - 1))
    readings = tuple(map(basis.reading, steps, average.second_moments))
    known = quantile * float(error.max())
    drawn = f"all but {pairs} random pairs of an order and its reverse in the average over orders"
    neglected = (f"{drawn}: a relative error of τ of at most {known:.2g}",)
    budget = max(LEAST_BUDGET, known)
    return FORM.asymptotic(readings, order="orders^-1/2", error_budget=budget, neglected=neglected)


def number_of_pairs(basis: Eigenbasis) -> int:
    """How many pairs of orders work and memory allow; an epoch of one order costs 6 n r² multiplications."""
    training = basis.setting.training
    segments = training.readings[-1] / basis.setting.batches_per_epoch + len(training.readings)
    state = basis.rows.shape[1] * (2 if training.momentum else 1)
    each = 2 * 6 * basis.samples * max(1, state) ** 2 * max(1.0, segments)
    drawn = max(1, training.readings[-1]) * basis.samples / basis.setting.batches_per_epoch
    return int(np.clip(min(WORK / each, ENTRIES / drawn), FEWEST, MOST))


def draw_order_pairs(setting: Setting, generator: np.random.Generator, pairs: int) -> np.ndarray:
    """Rows of every batch (2·pairs, T, B), each order followed by its reverse: the batches of every epoch backwards."""
    samples, size, k = setting.data.sample_count, setting.batch_rows, setting.batches_per_epoch
    last = setting.training.readings[-1]
    count = -(-last // k)
    permuted = generator.permuted(np.broadcast_to(np.arange(samples), (pairs, count, samples)), axis=-1)
    batches = permuted[..., : k * size].reshape(pairs, count, k, size)
    both = np.stack([batches, batches[:, :, ::-1]], axis=1)
    return both.reshape(2 * pairs, count * k, size)[:, :last]


def average_over(basis: Eigenbasis, orders: np.ndarray, *, block: int = 1) -> OrderAverage:
    """The second moment averaged over given orders, exactly: the reference for every form with shuffled epochs.

    Parameters
    ----------
    basis : Eigenbasis
    orders : ndarray of int, shape (m, T, B)
        The rows of batch t in order number m; T at least the last reading. All orders of a small problem give the
        exact expectation.
    block : int
        How many consecutive orders form one independent block (2 for an order and its reverse).

    Raises
    ------
    InvalidInput
        If the orders are too short, or not a whole number of blocks.
    """
    steps = basis.setting.training.readings
    if orders.ndim != 3 or orders.shape[1] < steps[-1] or len(orders) % block or not len(orders):
        raise InvalidInput("orders.shape", orders.shape, f"must be (m, T >= {steps[-1]}, B), m a multiple of {block}")
    reached, r = basis.reached, basis.rows.shape[1]
    inner = basis.initial[reached, reached]
    propagators, moments, tau = np.zeros((len(steps), r, r)), np.zeros((len(steps), r, r)), []
    untaught = basis.full_batch(steps)[0]
    with np.errstate(over="ignore"):
        diagonal = untaught**2 * basis.initial.diagonal()  # where rows do not reach: the same in every order
    # as many orders at once as keep their maps near 8 MiB, which is faster by half than 64: caches hold most of them
    width = 2 * r
    together = block * max(
        1, int(1e6 / (block * ((basis.samples + width) * max(1, width) + len(steps) * len(basis.s))))
    )
    for start in range(0, len(orders), together):
        chunk = orders[start : start + together]
        diagonals = np.tile(diagonal, (len(chunk), 1, 1))
        with np.errstate(over="ignore", invalid="ignore"):
            for row, (propagator, labels) in enumerate(_maps(basis, chunk)):
                each = propagator @ inner @ propagator.mT + basis.sigma_y2 * labels @ labels.mT
                propagators[row] += propagator.sum(axis=0)
                moments[row] += each.sum(axis=0)
                diagonals[:, row, reached] = np.diagonal(each, axis1=1, axis2=2)
            tau.append(basis.averaged(diagonals.reshape(-1, block, *diagonal.shape).mean(axis=1)))
    whole = [
        _assembled(basis, p, propagator / len(orders), moment / len(orders))
        for p, propagator, moment in zip(untaught, propagators, moments, strict=True)
    ]
    return OrderAverage(np.array(whole), np.concatenate(tau))


def _assembled(basis: Eigenbasis, untaught: np.ndarray, propagator: np.ndarray, moment: np.ndarray) -> np.ndarray:
    """E[w wᵀ] (d, d) from E Π and the second moment (r, r) on the reached directions, and p (d,) on the others."""
    reached = basis.reached
    with np.errstate(over="ignore", invalid="ignore"):
        whole = untaught[:, None] * basis.initial * untaught
        across = propagator @ basis.initial[reached, : reached.start] * untaught[: reached.start]
    whole[reached, : reached.start], whole[: reached.start, reached], whole[reached, reached] = across, across.T, moment
    return whole


def _maps(basis: Eigenbasis, orders: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Π (m, r, r) and G (m, r, n) at every reading, ascending, along the reached directions.

    The state is the weights, and with momentum the buffer, as blocks of r. An epoch is folded backwards: with the map
    E of the batches after batch j, that batch contributes E γ X_jᵀ/B to the columns of its labels, and E ← E M_j. So
    an epoch costs 4 n r² multiplications, and 2 n r² to carry the labels of earlier epochs along.
    """
    training, m, r = basis.setting.training, len(orders), basis.rows.shape[1]
    blocks = 2 if training.momentum else 1
    state = np.zeros((m, blocks * r, r))  # the response to w_0; the buffer starts empty
    state[:, :r] = np.eye(r)
    labels = np.zeros((m, blocks * r, basis.samples))
    per_epoch = basis.setting.batches_per_epoch
    readings = training.readings
    cuts = sorted({*readings, *range(per_epoch, readings[-1], per_epoch)})
    done = 0
    for cut in cuts:
        if cut > done:
            after, taught = _segment(basis, orders[:, done:cut], done)
            state, labels = after @ state, after @ labels + taught
            done = cut
        if cut in readings:
            yield state[:, :r], labels[:, :r]


def _segment(basis: Eigenbasis, orders: np.ndarray, start: int) -> tuple[np.ndarray, np.ndarray]:
    """The map of the state (m, br, br) and its label columns (m, br, n) over batches start, … of one epoch."""
    training, m, r = basis.setting.training, len(orders), basis.rows.shape[1]
    size, decay, blocks = orders.shape[2], training.weight_decay, 2 if training.momentum else 1
    after = np.broadcast_to(np.eye(blocks * r), (m, blocks * r, blocks * r)).copy()
    taught = np.zeros((m, blocks * r, basis.samples))
    which = np.arange(m)[:, None]
    for j in reversed(range(orders.shape[1])):
        free, gamma = update(training, np.zeros(1), start + j)[0], gradient_response(training, start + j)
        x = basis.rows[orders[:, j]]  # (m, B, r)
        grouped = after.reshape(m, blocks * r, blocks, r)
        pushed = np.einsum("mxbi,b->mxi", grouped, gamma)
        columns = pushed @ x.mT / size
        # a row occurs once in an epoch, hence once in a segment
        taught.swapaxes(1, 2)[which, orders[:, j]] = -columns.mT
        after = np.einsum("mxbi,bc->mxci", grouped, free[0, :blocks, :blocks]).reshape(after.shape)
        after[:, :, :r] += columns @ x + decay * pushed
    return after, taught


FORM = Form(
    name="linear-shuffled",
    title="linear model, shuffled epochs, conditional on X: exact given the orders, averaged over some of them",
    status="asymptotic",
    assumptions=ASSUMPTIONS,
    refusal=not_shuffled,
    predict=predict,
)
