"""What leaves linearised training as it is: permuted units, other scales, another order of rows."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.testing.strategies import seeds
from tests.theory.small_networks import REPLICAS, ROWS, classes, draw, mlp
from tests.theory.transfer.linearised_cases import (
    ENTROPY,
    EXACT,
    labels_of,
    orders,
)
from theory.setting import Network, Training
from theory.transfer import linearised_training


@settings(max_examples=25)
@given(
    seed=seeds, hidden=st.lists(st.integers(1, 4), min_size=1, max_size=3), activation=st.sampled_from(["relu", "erf"])
)
def test_permuted_units_change_nothing(seed, hidden, activation):
    network = mlp(*hidden, activation=activation, bias=True)
    parameters, rows = draw(network, seed)
    generator, moved = np.random.default_rng(seed), [w.clone() for w in parameters]
    for layer, width in enumerate(hidden):
        order = torch.from_numpy(generator.permutation(width))
        moved[2 * layer], moved[2 * layer + 1] = moved[2 * layer][:, order], moved[2 * layer + 1][:, order]
        moved[2 * layer + 2] = moved[2 * layer + 2][:, :, order]
    y, index = classes(seed), orders(ENTROPY, seed)
    first, second = (linearised_training(network, ENTROPY, w, rows, y, batches=index) for w in (parameters, moved))
    torch.testing.assert_close(first.train_loss, second.train_loss, rtol=1e-8, atol=1e-9)


@settings(max_examples=25)
@given(
    seed=seeds, hidden=st.lists(st.integers(1, 4), max_size=3), factor=st.floats(0.3, 3.0), momentum=st.floats(0, 0.9)
)
def test_scale_of_a_homogeneous_network(seed, hidden, factor, momentum):
    """Weights times a, targets times a^L, rate over a^(2L − 2): f_t times a^L, for L layers of ReLU without biases."""
    network, depth = mlp(*hidden) if hidden else Network(), len(hidden) + 1
    parameters, rows = draw(network, seed)
    y = labels_of(Training(), seed)
    training = Training(learning_rate=1e-3, momentum=momentum, steps=(0, 3))
    larger = Training(learning_rate=1e-3 * factor ** (2 - 2 * depth), momentum=momentum, steps=(0, 3))
    plain = linearised_training(network, training, parameters, rows, y)
    scaled = linearised_training(network, larger, [factor * w for w in parameters], rows, factor**depth * y)
    torch.testing.assert_close(scaled.train_loss, factor ** (2 * depth) * plain.train_loss, rtol=1e-9, atol=1e-12)


@settings(max_examples=25)
@given(seed=seeds, momentum=st.floats(0, 0.9), whole=st.sampled_from(["full", ROWS]))
def test_the_order_of_rows_in_a_whole_batch_changes_nothing(seed, momentum, whole):
    network = mlp(4, 3)
    parameters, rows = draw(network, seed)
    training = Training(loss="cross-entropy", learning_rate=0.1, momentum=momentum, batch_size=whole, steps=(0, 4))
    generator = np.random.default_rng(seed)
    index = torch.from_numpy(generator.permuted(np.tile(np.arange(ROWS), (REPLICAS, 4, 1)), axis=2))
    y = classes(seed)
    shuffled = linearised_training(network, training, parameters, rows, y, batches=index)
    plain = linearised_training(network, training, parameters, rows, y)
    torch.testing.assert_close(shuffled.train_loss, plain.train_loss, **EXACT)
