"""What linearised training takes and refuses: shared rows, NumPy, single precision, one output, divergence."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.theory.small_networks import NETWORKS, OUTPUTS, REPLICAS, ROWS, classes, draw, mlp
from tests.theory.transfer.linearised_cases import (
    ENTROPY,
    EXACT,
    labels_of,
    orders,
)
from theory.errors import InvalidInput
from theory.setting import Network, Training
from theory.transfer import linearised_training
from theory.transfer.linearised_task import checked_task


def test_replicas_share_what_has_no_axis_of_theirs_and_nothing_else():
    """Shared rows, labels and batches are those of each; a replica alone gives its own curves."""
    network = mlp(5)
    parameters, rows = draw(network)
    y, index = classes(4), orders(ENTROPY)
    shared = linearised_training(
        network, ENTROPY, parameters, rows[0], y[0], batches=index[0], held_out=(rows[1], y[1])
    )
    for r in range(REPLICAS):
        alone = linearised_training(
            network,
            ENTROPY,
            [w[r : r + 1] for w in parameters],
            rows[:1],
            y[:1],
            batches=index[:1],
            held_out=(rows[1:], y[1:]),
        )
        for curve in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
            torch.testing.assert_close(getattr(shared, curve)[r], getattr(alone, curve)[0], **EXACT)


# ---- kinds of arrays, and what is refused


def test_numpy_in_numpy_out():
    network = NETWORKS["vgg"]
    parameters, rows = draw(network)
    y, index = classes(4), orders(ENTROPY)
    tensors = linearised_training(network, ENTROPY, parameters, rows, y, batches=index)
    arrays = linearised_training(
        network, ENTROPY, [w.numpy() for w in parameters], rows.numpy(), y.numpy(), batches=index.numpy()
    )
    assert isinstance(arrays.train_loss, np.ndarray)
    assert arrays.test_loss is arrays.test_accuracy is None
    np.testing.assert_allclose(arrays.train_loss, tensors.train_loss.numpy(), rtol=1e-10)
    np.testing.assert_array_equal(arrays.train_accuracy, tensors.train_accuracy.numpy())


def test_parameters_of_a_module_in_single_precision():
    """Parameters that require gradients receive none, and curves are in double precision."""
    network = mlp(5)
    parameters, rows = draw(network)
    exact = linearised_training(network, ENTROPY, parameters, rows, classes(4), batches=orders(ENTROPY))
    single = [w.float().requires_grad_() for w in parameters]
    found = linearised_training(network, ENTROPY, single, rows, classes(4), batches=orders(ENTROPY))
    assert found.train_loss.dtype == torch.float64
    assert not found.train_loss.requires_grad
    assert all(w.grad is None for w in single)
    torch.testing.assert_close(found.train_loss, exact.train_loss, rtol=1e-5, atol=1e-5)


def test_one_output_has_no_accuracy():
    network = mlp(5)
    parameters, rows = draw(network, outputs=1)
    found = linearised_training(network, Training(learning_rate=0.01, steps=(0, 2)), parameters, rows, rows[..., :1])
    assert found.train_accuracy is None
    assert found.train_loss.shape == (REPLICAS, 2)


def test_divergence_is_said_by_the_curves():
    network = Network()
    parameters, rows = draw(network)
    training = Training(learning_rate=1e6, steps=(0, 100))
    found = linearised_training(
        network, training, [w.numpy() for w in parameters], rows.numpy(), labels_of(training, 4).numpy()
    )
    assert np.isfinite(found.train_loss[:, 0]).all()
    assert not np.isfinite(found.train_loss[:, 1]).any()
    assert np.isnan(found.train_accuracy[:, 1]).all()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"labels": torch.zeros(REPLICAS, ROWS)}, r"labels.dtype = 'torch.float32': must be integers"),
        ({"labels": torch.zeros(ROWS + 1, dtype=torch.int64)}, r"labels.shape = \(7,\): must be \(6,\) or \(2, 6\)"),
        ({"labels": torch.full((ROWS,), OUTPUTS)}, r"labels = 3: must name classes 0 … 2"),
        ({"labels": torch.full((ROWS,), -1)}, r"labels = -1: must name classes"),
        ({"labels": torch.arange(ROWS) % 3 - 1}, r"labels = -1: must name classes"),
        ({"labels": torch.arange(ROWS) % 4}, r"labels = 3: must name classes"),
        ({"rows": torch.zeros(3)}, r"rows.shape = \(3,\): must be \(n, d\) or \(R, n, d\)"),
        ({"rows": torch.zeros(REPLICAS, 0, 4)}, "without a 0"),
        ({"batches": None}, r"batches = None: are needed where training.batch_size = 4, of 6 rows"),
        ({"batches": torch.zeros(REPLICAS, 7, 4)}, r"batches.dtype"),
        ({"batches": torch.zeros(REPLICAS, 7, 3, dtype=torch.int64)}, r"at least 7 updates by B = 4 rows"),
        ({"batches": torch.zeros(REPLICAS, 6, 4, dtype=torch.int64)}, r"batches.shape = \(2, 6, 4\)"),
        ({"batches": torch.zeros(3, 7, 4, dtype=torch.int64)}, r"batches.shape = \(3, 7, 4\)"),
        ({"batches": torch.full((7, 4), ROWS)}, r"batches = 6: must name rows 0 … 5"),
        ({"parameters": ()}, r"parameters = \[\]: must be weights"),
        ({"parameters": (torch.ones(3, 4), torch.ones(2, 3))}, r"must be weights \(R, out, in\)"),
        ({"parameters": (torch.ones(2, 5, 4), torch.ones(2, 3, 5, dtype=torch.int64))}, r"dtype"),
        ({"held_out": (torch.zeros(2, 4, 4, 4), torch.zeros(4))}, r"held_out\[0\].shape"),
        ({"held_out": (torch.zeros(5, 4), torch.zeros(6, dtype=torch.int64))}, r"held_out\[1\].shape = \(6,\)"),
        ({"rows": np.zeros((6, 4))}, "must all be NumPy arrays, or all be torch tensors"),
    ],
)
def test_what_does_not_fit_is_refused(change, match):
    network = mlp(5)
    parameters, rows = draw(network)
    given = {
        "parameters": parameters,
        "rows": rows,
        "labels": classes(4),
        "batches": orders(ENTROPY),
        **change,
    }
    with pytest.raises(InvalidInput, match=match):
        linearised_training(network, ENTROPY, **given)


def test_classes_are_refused_by_the_squared_error_and_replacement_needs_its_batches():
    network = mlp(5)
    parameters, rows = draw(network)
    with pytest.raises(InvalidInput, match="must be real for the squared error"):
        linearised_training(network, Training(), parameters, rows, classes(4))
    drawn = Training(batch_size=ROWS, sampling="replacement", steps=1)
    with pytest.raises(InvalidInput, match="batches = None"):
        linearised_training(network, drawn, parameters, rows, labels_of(drawn, 4))
    with pytest.raises(InvalidInput, match="labels = 'nan or inf'"):
        linearised_training(network, Training(), parameters, rows, labels_of(Training(), 4) * np.inf)


def test_a_task_says_what_a_row_holds():
    parameters, rows = draw(mlp(5))
    task = checked_task(mlp(5), ENTROPY, parameters, rows, classes(4), orders(ENTROPY))
    assert task.numbers_per_row == 4 + 5 + 5 + OUTPUTS
    assert [len(group.rows) for group in task.groups(task.numbers_per_row * ROWS)] == [1, 1]
