"""The tables of a setting: defaults, what they derive, and the bounds of every number from both sides."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.pinning.table import Call, outcome, outcomes
from tests.theory.pins.settings import LINEAR, changed
from theory.checked import fields_of
from theory.errors import InvalidInput
from theory.setting import (
    Data,
    Downstream,
    Ensemble,
    Labels,
    Network,
    PowerLaw,
    Remedy,
    Setting,
    Student,
    Training,
    Treatment,
    TwoPoint,
    Until,
)

GAUSSIAN: dict[str, object] = {"kind": "gaussian", "spectrum": (1.0, 2.0)}
IMAGES: dict[str, object] = {"kind": "photographs"}
KINDS = (Data, Labels, Network, Training, Ensemble, Until, Treatment, Downstream, Remedy, PowerLaw, Student, TwoPoint)


def tried(kind: Callable[..., object], base: dict[str, object], *changes: dict[str, object]) -> list[object]:
    """What a table says to each of these changes: True, or its refusal."""
    return [
        isinstance(found := outcome(lambda keys: kind(**{**base, **keys}), keys), Exception) and found
        for keys in changes
    ]


def of_setting(base: Setting, **tables: dict[str, object]) -> object:
    found = outcome(lambda: changed(base, **tables))
    return found if isinstance(found, InvalidInput) else True


NET, RATE, ENSEMBLE = Network(kind="vgg", blocks=((3,), (2, 3))), {"learning_rate": 0.1}, {"dtype": "float32"}
ROWS: dict[str, Call] = {
    "defaults": lambda: [[str(field.default) for field in fields_of(kind)] for kind in KINDS],
    "data": lambda: tried(
        Data,
        GAUSSIAN,
        {"samples": 1},
        {"samples": 0},
        {"spectrum": ()},
        {"spectrum": (0.0, 1e-300)},
        {"spectrum": (0.0, 0.0)},
        {"spectrum": (1.0, -1e-300)},
        {"mean": (1.0, 2.0)},
        {"mean": (1.0,)},
        {"patch": (1, 1)},
        {"patch": (3, 0)},
        {"crop": (0, 3)},
        {"kind": "elliptical"},
        {"radial": Student()},
        {"path": "a"},
        {"center": False},
        {"scale": False},
        {"samples": "online"},
        {"samples": "online", "fixed": True},
        {"samples": 2**53 - 1},
        {"samples": 2**53},
        {"spectrum": PowerLaw(dimension=3)},
        {"spectrum": (1.0, np.nan)},
        {"spectrum": "1"},
        {"rotate": 1},
        {"moments_of": "a"},
        {"spectrum": (), "moments_of": "/no/such"},
        {"kind": "array", "spectrum": ()},
        {"kind": "array", "spectrum": (), "path": "a"},
        {"kind": "array", "spectrum": (), "path": "\0"},
        {"kind": "cifar10", "spectrum": ()},
        {"kind": "digits", "spectrum": (), "samples": "online"},
        {"kind": "digits"},
        {"kind": "fashion-mnist", "spectrum": (), "path": "a"},
        {"kind": "mnist", "spectrum": (), "path": "a"},
        {"kind": "photographs", "spectrum": (), "patch": (2, 1), "crop": (1, 1)},
        {"kind": "digits", "spectrum": (), "crop": (2, 2)},
        {"kind": "array", "spectrum": (), "path": "a", "labels_path": "b"},
        {"labels_path": "b"},
    ),
    "laws": lambda: [
        *tried(
            PowerLaw,
            {"dimension": 3},
            {},
            {"dimension": 1},
            {"dimension": 0},
            {"exponent": -637.0},
            {"exponent": -638.0},
        ),
        *tried(Student, {}, {"dof": 2.0}, {"dof": 2.0000001}),
        *tried(TwoPoint, {}, {"k4": 1.0}, {"k4": 0.999}, {"k4": 2.0}, {"k4": 2.0001}),
        PowerLaw(dimension=4, exponent=1.5).eigenvalues(),
        *tried(
            Labels,
            {},
            {"variance": 0.0},
            {"variance": -1e-9},
            {"outputs": 0},
            {"outputs": 1},
            {"kind": "classes", "classes": 2},
            {"kind": "classes", "classes": 1},
            {"classes": 3},
            {"kind": "classes", "variance": 2.0},
            {"noise": 0.1},
            {"kind": "teacher", "noise": -1e-9},
            {"kind": "teacher", "noise": 0.1, "outputs": 2},
            {"kind": "real", "outputs": 2},
            {"kind": "rademacher", "variance": 2.0, "outputs": 3},
        ),
    ],
    "training": lambda: [
        *tried(
            Training,
            {},
            {"learning_rate": 1e-300},
            {"learning_rate": 0.0},
            {"drops": ((0, 0.5), (1, 2.0))},
            {"drops": ((-1, 0.5),)},
            {"drops": ((1, 0.0),)},
            {"drops": ((1, 0.5), (1, 0.5))},
            {"momentum": 0.0},
            {"momentum": 1 - 1e-12},
            {"momentum": 1.0},
            {"momentum": -1e-9},
            {"nesterov": True},
            {"nesterov": True, "momentum": 1e-9},
            {"optimizer": "adam", "momentum": 0.1},
            {"weight_decay": -1e-9},
            {"l1": -1e-9},
            {"batch_size": 1},
            {"batch_size": 0},
            {"steps": 0},
            {"steps": -1},
            {"steps": ()},
            {"steps": (0, 0)},
            {"steps": (3, 5)},
            {"steps": (5, 3)},
            {"optimizer": "x"},
            {"steps": 1.5},
            {"batch_size": True},
        ),
        Training(steps=4).readings,
        Training(steps=(1, 4)).readings,
        [Training(learning_rate=0.4, drops=((2, 0.5), (4, 0.25))).learning_rate_at(k) for k in range(6)],
        *tried(
            Ensemble,
            {},
            {"replicas": 0},
            {"replicas": 1},
            {"replicas": 2**63 - 1},
            {"replicas": 2**63},
            {"seed": -1},
            {"seed": 2**64 - 1},
            {"seed": 2**64},
        ),
    ],
    "networks": lambda: [
        *tried(
            Network,
            {"kind": "mlp"},
            {},
            {"hidden": ()},
            {"hidden": (1,)},
            {"hidden": (0,)},
            {"filters": 3},
            {"kernel": (2, 2)},
            {"blocks": ((1,),)},
            {"init_variance": (1.0, 0.0)},
            {"init_variance": (1.0, -1e-9)},
            {"init_variance": (1.0,)},
            {"init_variance": (1.0,) * 3},
            {"init_spectrum": (0.0, 1.0)},
            {"init_spectrum": (1.0, -1e-9)},
            {"kind": "linear", "hidden": (3,)},
            {"kind": "linear"},
            {"kind": "conv", "filters": 1},
            {"kind": "conv", "filters": 0},
            {"kind": "conv", "kernel": (1, 1)},
            {"kind": "conv", "kernel": (1, 0)},
        ),
        *tried(
            Network,
            {"kind": "vgg"},
            {},
            {"blocks": ((),)},
            {"blocks": ((1, 0),)},
            {"blocks": ((1,),)},
            {"kernel": (2, 2)},
        ),
        *tried(
            Network,
            {"kind": "resnet"},
            {},
            {"blocks": ((4,), (8, 8))},
            {"blocks": ((4,),)},
            {"blocks": ((4, 4), (8,))},
            {"hidden": (3,)},
            {"bias": True},
            {"parametrization": "ntk"},
            {"kernel": (3, 2)},
            {"kernel": (5, 1)},
            {"blocks": ((0,), (8,))},
        ),
        *(
            [
                n.layers,
                n.widths,
                n.layer_variances,
                n.convolves,
                n.mixes_rows,
                n.residual_blocks,
                [b.projects for b in n.residual_blocks],
                n.blocks,
            ]
            for n in (
                Network(),
                Network(kind="mlp"),
                Network(kind="mlp", hidden=(3, 4), init_variance=(1.0, 2.0, 3.0)),
                Network(kind="conv", hidden=()),
                NET,
                Network(kind="vgg"),
                Network(kind="resnet"),
                Network(kind="resnet", blocks=((4,), (4, 8), (8, 8))),
            )
        ),
    ],
    "settings": lambda: [
        *(of_setting(LINEAR, training={"batch_size": n}) for n in (9, 10)),
        of_setting(LINEAR, data={"fixed": False, "samples": "online"}),
        *(
            of_setting(LINEAR, data={"fixed": False, "samples": "online"}, training={"batch_size": 3, "sampling": s})
            for s in ("fresh", "epochs")
        ),
        of_setting(LINEAR, labels={"kind": "real", "variance": 1.0}),
        of_setting(LINEAR, training={"loss": "cross-entropy"}),
        *(of_setting(LINEAR, network={"init_spectrum": (1.0,) * n}) for n in (3, 4)),
        of_setting(LINEAR, network={"kind": "conv", "hidden": (4,), "init_variance": 1.0}),
        *(
            of_setting(LINEAR, ensemble=ENSEMBLE, training={key: x})
            for key in ("learning_rate", "weight_decay", "l1")
            for x in (1.17e-38, 1.18e-38, 3.4e38, 3.5e38)
        ),
        of_setting(LINEAR, ensemble=ENSEMBLE, training={**RATE, "drops": ((1, 1e-38),)}),
        *(
            [s.full_batch, s.batch_rows, s.batches_per_epoch, s.outputs, s.output_count]
            for s in (
                LINEAR,
                changed(LINEAR, training={"batch_size": 9}),
                changed(LINEAR, training={"batch_size": 9, "sampling": "replacement"}),
                changed(LINEAR, training={"batch_size": 4}, labels={"kind": "classes", "classes": 7, "variance": 1.0}),
                changed(LINEAR, labels={"outputs": 3}),
            )
        ),
        *outcomes(
            lambda d: Setting(data=d, labels=Labels(kind="real")).outputs,
            Data(kind="digits"),
            Data(kind="array", path="a"),
            Data(kind="array", path="a", labels_path="b"),
        ),
        outcome(lambda: Setting(data=Data(kind="digits"), labels=Labels(kind="real")).output_count),
        outcome(lambda: Setting(data=Data(kind="array", path="a", labels_path="b"))),
        *outcomes(
            lambda d: Setting(data=d, network=NET).full_batch,
            Data(**IMAGES),
            Data(kind="digits"),
            Data(**IMAGES, patch=(2, 2)),
            Data(**IMAGES, scale="channels"),
            Data(kind="array", path="a"),
        ),
        *outcomes(
            lambda d: Setting(data=d).full_batch,
            Data(**IMAGES, scale="channels"),
            Data(**IMAGES, crop=(2, 2)),
            Data(**IMAGES, patch=(2, 2)),
        ),
        outcome(lambda: Data(**GAUSSIAN).file),
        outcome(lambda: Data(**GAUSSIAN, samples="online").sample_count),
        Data(**GAUSSIAN).dimension,
        Data(kind="digits").dimension,
        Data(**GAUSSIAN).dropped,
        Data(**GAUSSIAN).law_mean,
        Data(**GAUSSIAN).law_basis,
    ],
}
