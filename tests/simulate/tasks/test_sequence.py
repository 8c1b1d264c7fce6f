"""Sequences of tasks: against the literal loop, in pairs, and the same bits however they are cut."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pytest
import torch

import simulate
from simulate.tasks.results import SequenceResult
from tests.oracles.tasks import naive_sequence
from tests.simulate.tasks.sequences import ALL, DECAY, small
from theory.setting import InvalidInput, Labels, TaskSequence

SQUARES = {"labels": Labels(kind="gaussian", outputs=2), "training": {"loss": "mse", "learning_rate": 0.05}}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rows": "fresh", "bias": True},
        {"hidden": (7,), "training": {"momentum": 0.0, "batch_size": "full"}},
        {"remedies": ("none", "anew", DECAY, "rescaled"), "train": "first", "bias": True},
        {"training": {"optimizer": "adam", "momentum": 0.0, "learning_rate": 0.05}, "parametrization": "ntk"},
        {**SQUARES, "bias": True},
    ],
)
def test_it_is_the_literal_loop(options):
    sequence = small(replicas=2, count=3, **options)
    result = simulate.run_sequence(sequence, keep_starts=True)
    assert result.diverged == 0
    for remedy in sequence.each:
        found = result[remedy.name]
        for replica in range(2):
            for task, (start, losses, right) in enumerate(naive_sequence(sequence, remedy, replica)):
                for mine, theirs in zip(found.starts, start, strict=True):
                    torch.testing.assert_close(mine[replica, task], theirs, rtol=1e-8, atol=1e-10)
                np.testing.assert_allclose(found.loss[replica, task], list(losses.values()), rtol=1e-8)
                if found.accuracy is not None:
                    np.testing.assert_allclose(found.accuracy[replica, task], list(right.values()), atol=1e-12)


def test_units_die_and_remedies_differ():
    """Units die and remedies differ; otherwise the comparison with the literal loop would show little."""
    result = simulate.run_sequence(small(replicas=3))
    assert result["none"].alive[:, -1].min() < 1
    ends = [curves.end_loss[:, 1:].tobytes() for curves in result.curves]
    assert len(set(ends)) == len(ends)
    assert len({tuple(losses) for losses in result["none"].loss[:, :, -1].T.tolist()}) == 4  # tasks differ


def test_the_first_task_is_the_setting_itself():
    sequence = small(replicas=4)
    simulation = simulate.run(sequence.task)
    result = simulate.run_sequence(sequence)
    for name in ("none", "anew", "rescaled", "revived"):
        assert result[name].loss[:, 0].mean(0) == pytest.approx([r.losses.mean() for r in simulation.readings])


def content(result: SequenceResult, replicas: int) -> list[bytes]:
    """Every number of the first replicas, as bytes."""
    found = []
    for curves in result.curves:
        names = ("loss", "accuracy", "norm", "active", "alive", "effective_rank")
        found += [getattr(curves, name)[:replicas].tobytes() for name in names]
        found += [w[:replicas].numpy().tobytes() for w in curves.starts]
    return found


@pytest.mark.parametrize(("rows", "dtype"), [("same", "float32"), ("fresh", "float64")])
def test_a_replica_has_the_same_bits_however_they_are_cut(rows, dtype):
    sequence = small(replicas=10, count=2, rows=rows, dtype=dtype)
    whole = simulate.run_sequence(sequence, keep_starts=True)
    for chunk in (3, 7):
        assert content(simulate.run_sequence(sequence, chunk=chunk, keep_starts=True), 10) == content(whole, 10)
    assert content(simulate.run_sequence(sequence, replicas=1, keep_starts=True), 1) == content(whole, 1)


def test_fresh_rows_are_fresh_and_the_same_rows_are_the_same():
    for rows in ("same", "fresh"):
        first, second = (simulate.task_inputs(small(rows=rows), task, [3]) for task in (0, 1))
        assert bool((first.x == second.x).all()) == (rows == "same")
        assert (first.x == second.x).any() == (rows == "same")
        assert (first.y != second.y).any()
        assert (first.orders != second.orders).any()
        assert all((a != b).all() for a, b in zip(first.parameters, second.parameters, strict=True))


def test_diverged_replicas_are_left_out():
    """Diverged replicas are removed from all arrays, under all remedies."""
    found = simulate.run_sequence(
        small(
            training={"loss": "mse", "learning_rate": 0.2, "momentum": 0.0, "steps": (0, 200)},
            labels=Labels(kind="gaussian"),
            remedies=("none", "anew"),
            replicas=30,
            activation="identity",
        )
    )
    assert 0 < found.diverged < 30
    assert len(found.numbers) == 30 - found.diverged
    for curves in found.curves:
        assert len(curves.loss) == len(curves.norm) == len(found.numbers)
        assert np.isfinite(curves.loss).all()


def test_what_is_read_of_curves():
    curves = simulate.run_sequence(small(replicas=2))["none"]
    accuracy = curves.accuracy
    assert accuracy is not None
    np.testing.assert_array_equal(curves.end_accuracy, accuracy[:, :, 2])
    area = (4 * (accuracy[..., 0] + accuracy[..., 1]) + 5 * (accuracy[..., 1] + accuracy[..., 2])) / 18
    np.testing.assert_allclose(curves.mean_accuracy(), area)
    np.testing.assert_array_equal(curves.steps_to(0.0), np.zeros((2, 4)))
    np.testing.assert_array_equal(curves.steps_to(1.01), np.full((2, 4), np.inf))
    one = dataclasses.replace(curves, steps=np.array([9]), accuracy=accuracy[:, :, :1])
    np.testing.assert_array_equal(one.mean_accuracy(), accuracy[:, :, 0])
    with pytest.raises(InvalidInput, match="must be classes"):
        _ = dataclasses.replace(curves, accuracy=None).end_accuracy


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda s: simulate.run_sequence(s, chunk=0), "chunk"),
        (lambda s: simulate.run_sequence(s, replicas=0), "replicas"),
        (lambda s: simulate.run_sequence(s)["decay"], "must be one of none, anew, decay 0.05, rescaled, revived"),
        (lambda s: simulate.task_inputs(s, 4, [0]), "task"),
        (lambda s: simulate.task_inputs(s, 0, []), "replicas"),
        (lambda s: simulate.task_inputs(s, 0, [-1]), "replicas"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InvalidInput, match=words):
        call(small(count=4, remedies=ALL))


def test_rows_that_all_replicas_share():
    sequence = small(replicas=2)
    task = msgspec.structs.replace(sequence.task, data=msgspec.structs.replace(sequence.task.data, fixed=True))
    shared = TaskSequence(task=task, count=3, remedies=ALL)
    found = simulate.run_sequence(shared)
    for remedy in shared.each:
        for task_number, (_, losses, _) in enumerate(naive_sequence(shared, remedy, 1)):
            np.testing.assert_allclose(found[remedy.name].loss[1, task_number], list(losses.values()), rtol=1e-8)
