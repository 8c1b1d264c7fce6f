"""Which rows an update sees."""

import numpy as np
import pytest
from scipy import stats

import simulate
from theory.setting import Data, Setting, Training


def orders(n=10, replicas=3, **training):
    setting = Setting(data=Data(kind="gaussian", spectrum=(1.0,), samples=n), training=Training(**training))
    drawn = simulate.replica_inputs(setting, range(replicas)).orders
    return None if drawn is None else drawn.numpy()


def test_epochs():
    """Every sample at most once an epoch; the last partial batch is dropped; epochs differ."""
    order = orders(n=10, batch_size=3, steps=12)
    assert order.shape == (3, 12, 3)
    epochs = order.reshape(3, 4, 9)
    assert all(len(set(epoch)) == 9 for replica in epochs for epoch in replica)
    assert not np.array_equal(epochs[0, 0], epochs[0, 1])
    assert not np.array_equal(epochs[0], epochs[1])
    assert set(epochs.ravel()) == set(range(10))


def test_epochs_see_every_sample_once():
    order = orders(n=12, batch_size=4, steps=5)
    assert np.array_equal(np.sort(order[:, :3].reshape(3, 12), axis=1), np.tile(np.arange(12), (3, 1)))


@pytest.mark.parametrize("n", [6, 100])
def test_fresh_batches_have_no_repeats(n):
    """Both ways of drawing: permuting all rows, and choosing a few of many."""
    order = orders(n=n, batch_size=3, steps=50, sampling="fresh")
    assert order.shape == (3, 50, 3)
    assert all(len(set(batch)) == 3 for replica in order for batch in replica)
    # Rows repeat within what would be an epoch, unlike shuffled ones.
    assert any(len(set(replica[: n // 3].ravel())) < n // 3 * 3 for replica in order)


def test_replacement_repeats():
    order = orders(n=6, batch_size=5, steps=50, sampling="replacement")
    assert order.shape == (3, 50, 5)
    assert any(len(set(batch)) < 5 for batch in order[0])


@pytest.mark.parametrize("sampling", ["epochs", "fresh", "replacement"])
@pytest.mark.parametrize("n", [8, 100])
def test_every_row_is_as_likely(n, sampling):
    order = orders(n=n, replicas=40, batch_size=4, steps=100, sampling=sampling)
    counts = np.bincount(order.ravel(), minlength=n)
    # Under shuffling counts vary less than a multinomial's, so the test is conservative there.
    assert stats.chisquare(counts).pvalue > 1e-7


def test_full_batches_draw_nothing():
    assert orders(batch_size="full") is None
    assert orders(batch_size=10) is None
    assert orders(batch_size=10, sampling="replacement").shape == (3, 100, 10)


def test_longer_training_begins_with_the_shorter():
    for sampling in ("epochs", "fresh", "replacement"):
        short, long = (orders(batch_size=3, steps=steps, sampling=sampling) for steps in (5, 17))
        assert np.array_equal(long[:, :5], short)


def test_online_rows_are_seen_once():
    data = Data(kind="gaussian", spectrum=(1.0, 2.0), samples="online")
    setting = Setting(data=data, training=Training(batch_size=4, sampling="fresh", steps=6))
    inputs = simulate.replica_inputs(setting, [0])
    assert inputs.x.shape == (1, 24, 2)
    assert inputs.y.shape == (1, 24, 1)
    assert inputs.orders is None
