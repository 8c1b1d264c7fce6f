"""Experiments, sequences, files, rows, limits, and how errors are said: bounds from both sides."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from tests.pinning.table import Call, outcome, outcomes
from tests.theory.pins.arguments import array, moment
from tests.theory.pins.settings import LINEAR, SETTINGS, changed, every_form
from theory.catalogue import candidates, choose_form, predict
from theory.errors import InvalidInput, nearest, shown, unknown
from theory.rows import checked_rows
from theory.setting import (
    Data,
    Downstream,
    Ensemble,
    Experiment,
    Labels,
    Network,
    PowerLaw,
    Remedy,
    Setting,
    TaskSequence,
    Training,
    Treatment,
    Treatments,
    Until,
    Upstream,
)
from theory.setting.limits import memory, require_memory, require_updates
from theory.setting.moments_file import FileMoments, read_moments

GAUSSIAN: dict[str, object] = {"kind": "gaussian", "spectrum": (1.0, 2.0)}


def tried(kind: Callable[..., object], base: dict[str, object], *changes: dict[str, object]) -> list[object]:
    """What a table says to each of these changes: True, or its refusal."""
    return [
        isinstance(found := outcome(lambda keys: kind(**{**base, **keys}), keys), Exception) and found
        for keys in changes
    ]


def upstream(**keys: object) -> Upstream:
    return Upstream(data=Data(**GAUSSIAN), training=Training(steps=5), **keys)


def experiment(**keys: object) -> object:
    found = outcome(lambda: Experiment(**{"upstream": upstream(), **keys}))
    return found if isinstance(found, InvalidInput) else found.rows


def sequence(**keys: object) -> object:
    task = Setting(data=Data(**GAUSSIAN, samples=8), network=Network(kind="mlp", hidden=(3,)))
    found = outcome(lambda: TaskSequence(**{"task": task, **keys}))
    return found if isinstance(found, InvalidInput) else [each.name for each in found.each]


def _moment_of(found: FileMoments) -> np.ndarray:
    """The second moment, in place of eigenvectors, which equal eigenvalues leave undetermined."""
    return (found.basis * found.eigenvalues) @ found.basis.T


def moments_of(values: np.ndarray, **keys: object) -> object:
    """The moments in a file of these numbers."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file.npy")
        np.save(path, values)
        found = outcome(lambda: read_moments(str(path), **{"patch": None, "center": True, "scale": True, **keys}))
        return (
            [type(found).__name__, found.key]
            if isinstance(found, InvalidInput)
            else [found.eigenvalues, _moment_of(found), np.abs(found.mean), found.dropped]
        )


def limits() -> list[object]:
    """Memory and updates, with and without the variables that raise them."""
    found: list[object] = []
    before = {key: os.environ.pop(key, None) for key in ("EIGENALIGN_MEMORY", "EIGENALIGN_UPDATES")}
    try:
        for text in ("", "0.5", "0", "-1", "1048575", "1048576", "x", "1e-9"):
            os.environ["EIGENALIGN_MEMORY"] = text
            found.append(outcome(memory))
        os.environ["EIGENALIGN_MEMORY"] = "1e-6"  # 1,073 bytes: 11 numbers squared, and not 12
        found += outcomes(lambda d: len(Data(kind="gaussian", spectrum=(1.0,) * d).eigenvalues), 11, 12)
        found += outcomes(lambda d: PowerLaw(dimension=d).dimension, 11, 12)
        found += [moments_of(array(2, d))[-1] for d in (11, 12)]
        found += [moments_of(array(2, 1, 3, d), patch=(3, d))[-1] for d in (3, 4)]
        os.environ["EIGENALIGN_MEMORY"] = "2"
        found += outcomes(lambda x: require_memory(x, "key", 1, "these"), 2**31, 2**31 + 1)
        for text in ("", "7", "x", "9" * 15, "9" * 16, "١"):
            os.environ["EIGENALIGN_UPDATES"] = text
            found += outcomes(require_updates, 7, 8, 2**24, 2**24 + 1)
        os.environ["EIGENALIGN_UPDATES"] = "5"
        for name in ("online", "averaged, drawn", "two layers, early, one output", "converged"):
            for last in (5, 6):
                found.append(every_form(changed(SETTINGS[name], training={"steps": (1, last), "drops": ()})))
    finally:
        for key, value in before.items():
            os.environ.pop(key, None)
            if value is not None:
                os.environ[key] = value
    return found


ROWS: dict[str, Call] = {
    "rows": lambda: [
        *outcomes(
            partial(checked_rows, LINEAR),
            None,
            array(9, 4),
            array(8, 4),
            array(9, 3),
            array(9),
            array(9, 0),
            np.full((9, 4), np.nan),
            np.ones((9, 4), complex),
            np.ones((9, 4), int),
            np.ones((9, 4), bool),
            [[1.0], [1.0, 2.0]],
        ),
        *outcomes(partial(checked_rows, changed(LINEAR, data={"fixed": False})), None, array(9, 4)),
        choose_form(LINEAR).name,
        choose_form(changed(LINEAR, training={"batch_size": 2, "sampling": "fresh"})).name,
        [form.name for form in candidates(changed(LINEAR, training={"batch_size": 2, "sampling": "fresh"}))],
        *outcomes(
            lambda name: predict(LINEAR, rows=array(9, 4), formula=name).formula,
            None,
            "linear-full-batch",
            "linear-online",
            "linear-ful-batch",
            "x",
        ),
        outcome(lambda: predict(changed(LINEAR, training={"learning_rate": 1e200}), rows=1e150 * array(9, 4))),
    ],
    "experiments": lambda: [
        *tried(
            Until,
            {},
            {},
            {"accuracy": 1.0},
            {"accuracy": 1.01},
            {"accuracy": 0.0},
            {"accuracy": 0.5, "loss": 1.0},
            {"loss": 0.0},
            {"loss": 1e-9},
            {"loss": 1.0, "every": 0},
            {"loss": 1.0, "every": 1},
        ),
        *tried(
            Treatment,
            {"kind": "first-layers"},
            {},
            {"layers": 1},
            {"layers": -1},
            {"layers": 2, "rescale": True},
            {"kind": "scratch", "layers": 1},
            {"kind": "recursive", "layers": 1},
            {"kind": "recursive", "rescale": True},
            {"kind": "recursive", "layers": -1},
        ),
        *tried(
            Treatments, {}, {}, {"kinds": ("pretrained",)}, {"kinds": ("scratch",)}, {"kinds": ("scratch", "scratch")}
        ),
        *tried(
            Downstream,
            {},
            {"samples": 0},
            {"samples": 1},
            {"held_out": -1},
            {"target": 0.0},
            {"target": 1.0},
            {"target": 1.1},
        ),
        *(Treatment(kind="first-layers", layers=n, rescale=r).name for n, r in ((2, True), (1, False))),
        experiment(),
        *(
            experiment(downstream=Downstream(**k))
            for k in (
                {"samples": 7, "held_out": 3},
                {"target": 0.5},
                {"target": 0.5, "labels": Labels(kind="classes")},
                {"labels": Labels(outputs=2)},
                {"labels": Labels(kind="real")},
            )
        ),
        *(experiment(ensemble=Ensemble(replicas=n)) for n in (1, 2)),
        experiment(ensemble=Ensemble(replicas=1), treatment=Treatments(kinds=("scratch", "pretrained"))),
        *(
            experiment(
                treatment=Treatments(kinds=("scratch", Treatment(kind=kind, layers=n))),
                upstream=upstream(network=Network(kind="mlp", hidden=(3, 4))),
            )
            for kind, n in (
                ("first-layers", 3),
                ("first-layers", 4),
                ("recursive", 2),
                ("recursive", 3),
                ("recursive", 0),
            )
        ),
        experiment(treatment=Treatments(kinds=("scratch", "recursive"))),
        experiment(upstream=upstream(until=Until(accuracy=0.5))),
        experiment(upstream=upstream(until=Until(loss=0.5))),
        *outcomes(
            lambda keys: Upstream(**{"data": Data(**GAUSSIAN), **keys}).training.steps,
            {},
            {"training": Training(steps=(1, 2))},
            {"data": Data(**GAUSSIAN, fixed=True)},
            {"data": Data(**GAUSSIAN, samples="online")},
        ),
        experiment(
            upstream=upstream(labels=Labels(kind="classes", classes=3)),
            downstream=Downstream(labels=Labels(kind="classes", classes=4)),
        ),
    ],
    "sequences": lambda: [
        sequence(),
        *(sequence(count=n) for n in (0, 1)),
        sequence(rows="fresh"),
        *(
            sequence(remedies=r)
            for r in (
                (),
                ("none", "none"),
                ("none", "revived"),
                ({"kind": "decay", "strength": 0.1}, {"kind": "decay", "strength": 0.2}),
            )
        ),
        *tried(
            Remedy,
            {"kind": "decay"},
            {},
            {"strength": 1e-9},
            {"kind": "none", "strength": 0.1},
            {"kind": "none"},
            {"strength": -1.0},
        ),
        *(
            sequence(task=Setting(data=Data(**GAUSSIAN, samples=8), **keys), remedies=("none", "revived"))
            for keys in (
                {},
                {"network": Network(kind="mlp", activation="tanh")},
                {"network": Network(kind="mlp", train="first")},
            )
        ),
        sequence(task=Setting(data=Data(**GAUSSIAN, samples=8, fixed=True)), rows="fresh"),
        sequence(task=Setting(data=Data(**GAUSSIAN), labels=Labels(kind="teacher"))),
        sequence(
            task=Setting(data=Data(**GAUSSIAN, samples="online"), training=Training(batch_size=2, sampling="fresh"))
        ),
    ],
    "moments in files": lambda: [
        moments_of(array(5, 3)),
        moments_of(array(5, 3), center=False),
        moments_of(array(5, 3), scale=False),
        moments_of(array(5, 3), center=False, scale=False),
        moments_of(moment(3)),
        moments_of(moment(3), scale=False),
        moments_of(moment(3), center=False),
        moments_of(np.column_stack([array(5, 2), np.full(5, 3.0)])),
        moments_of(np.ones((4, 2))),
        moments_of(np.zeros((4, 2))),
        moments_of(array(4, 3, 5, 6)[:, :2]),
        moments_of(array(4, 2, 5, 6), patch=(2, 3), scale=False),
        *(moments_of(array(4, 2, 5, 6), patch=p) for p in ((5, 6), (6, 6), (5, 7))),
        moments_of(array(5, 3), patch=(1, 1)),
        moments_of(array(5)),
        *(moments_of(x * array(5, 3)) for x in (1e-69, 1e-70, 1e70, 1e71)),
        *(moments_of(np.diag([1.0, x])) for x in (-0.9e-10, -1.1e-10)),
        *(moments_of(np.array([[1.0, x], [0.0, 1.0]])) for x in (0.9e-10, 1.1e-10)),
        moments_of(np.array([[1.0, 1e8], [1.0, 1e8 + 1]])),
        moments_of(np.array([[1.0, 1e8], [2.0, 1e8 + 20], [1.0, 1e8]])),
        moments_of(np.ones((2, 2), complex)),
        moments_of(np.array([[1.0, np.nan]])),
    ],
    "limits": limits,
    "errors": lambda: [
        [str(InvalidInput("key", value, "rule")) for value in ("x" * 77, "x" * 78, "x" * 79, "x" * 200, [1, "a  b"])],
        shown(10**5000)[:5],
        unknown("linaer", "a kind", ("linear", "mlp")),
        unknown("qqq", "a kind", ("linear", "mlp")),
        nearest("MLP", ("linear", "mlp")),
        nearest("zzz", ("a",)),
        *outcomes(
            lambda keys: Setting(**{"data": GAUSSIAN, **keys}),
            {"data": {"kind": "gaussian", "spectrum": (1.0, "a")}},
            {"data": {"kind": "gausian"}},
            {"data": {}},
            {"training": {"stepz": 1}},
            {"data": {"kind": "elliptical", "spectrum": (1.0,), "radial": {"dof": 3.0}}},
            {"data": {"kind": "elliptical", "spectrum": (1.0,), "radial": {"law": "student", "dofs": 3.0}}},
            {"data": {"kind": "elliptical", "spectrum": (1.0,), "radial": {"law": "s"}}},
            {"training": {"steps": (1, 2**53)}},
            {"training": {"steps": 10**400}},
        ),
    ],
}
