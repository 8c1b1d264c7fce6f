"""Settings: defaults, the same setting however it was built, and what a setting knows."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from tests.theory.setting.tables import GAUSSIAN, build, data
from theory.errors import InvalidInput
from theory.setting import (
    Data,
    Ensemble,
    Labels,
    Network,
    PowerLaw,
    Setting,
    Student,
    Training,
    TwoPoint,
)

# ---- defaults


def test_defaults() -> None:
    setting = build('[data]\nkind = "gaussian"\nspectrum = [0.1, 0.2]')
    assert msgspec.to_builtins(setting) == {
        "data": {
            "kind": "gaussian",
            "spectrum": (0.1, 0.2),
            "moments_of": None,
            "mean": (),
            "rotate": True,
            "radial": None,
            "path": None,
            "labels_path": None,
            "patch": (3, 3),
            "crop": (16, 16),
            "center": True,
            "scale": True,
            "samples": 256,
            "fixed": False,
        },
        "labels": {"kind": "gaussian", "variance": 1.0, "outputs": 1, "classes": 10, "noise": 0.0},
        "network": {
            "kind": "linear",
            "hidden": (),
            "filters": 256,
            "kernel": (3, 3),
            "blocks": (),
            "activation": "relu",
            "parametrization": "standard",
            "init_variance": (1.0,),
            "init_spectrum": (),
            "bias": False,
            "train": "all",
        },
        "training": {
            "optimizer": "sgd",
            "loss": "mse",
            "learning_rate": 0.05,
            "drops": (),
            "momentum": 0.0,
            "nesterov": False,
            "weight_decay": 0.0,
            "l1": 0.0,
            "batch_size": "full",
            "sampling": "epochs",
            "steps": 100,
        },
        "ensemble": {"replicas": 2000, "seed": 0, "dtype": "float64"},
    }


def test_defaults_that_depend_on_the_kind() -> None:
    assert Network(kind="mlp").widths == (256,)
    assert Network(kind="conv").widths == (256,)
    assert Network(kind="mlp").layer_variances == (1.0, 1.0)
    assert Network(kind="conv", init_variance=2.0).layer_variances == (2.0, 2.0, 2.0)
    assert Network(kind="vgg").widths == ()
    assert Network(kind="vgg").layers == 13 + 1  # VGG16 has 13 layers of filters
    assert Network(kind="vgg", blocks=((4,), (5, 6)), hidden=(7,), init_variance=2.0).layer_variances == (2.0,) * 5
    assert data(kind="elliptical").radial == Student(dof=12.0)
    assert TwoPoint().k4 == 1.5


def test_power_law() -> None:
    law = data(spectrum={"law": "power", "dimension": 3, "exponent": 2})
    assert law.spectrum == PowerLaw(dimension=3, exponent=2.0)
    assert law.eigenvalues == (1.0, 0.25, 1 / 9)
    assert law.dimension == 3
    assert Data(kind="digits").dimension is None


# ---- the same however built


SPELLED = """
[data]
kind = "elliptical"
spectrum = {law = "power", dimension = 4, exponent = 0.5}
mean = [0, 1, 0, 0]
radial = {law = "two-point", k4 = 1.25}
samples = 32
fixed = true
[labels]
kind = "rademacher"
variance = 2
outputs = 3
[network]
kind = "mlp"
hidden = [8, 4]
activation = "erf"
parametrization = "ntk"
init_variance = [1, 2, 0.5]
[training]
learning_rate = 0.1
drops = [[10, 0.5], [20, 0.1]]
momentum = 0.9
nesterov = true
weight_decay = 1e-3
batch_size = 8
sampling = "fresh"
steps = [0, 5, 30]
[ensemble]
replicas = 7
seed = 18446744073709551615
dtype = "float32"
"""


def spelled(**changes: object) -> Setting:
    """The setting of SPELLED, from Python."""
    tables = {
        "data": Data(
            kind="elliptical",
            spectrum=PowerLaw(dimension=4, exponent=0.5),
            mean=np.array([0, 1, 0, 0]),  # type: ignore[arg-type]
            radial=TwoPoint(k4=1.25),
            samples=np.int64(32),  # type: ignore[arg-type]
            fixed=True,
        ),
        "labels": Labels(kind="rademacher", variance=2, outputs=3),
        "network": Network(
            kind="mlp",
            hidden=[8, 4],  # type: ignore[arg-type]
            activation="erf",
            parametrization="ntk",
            init_variance=(1, 2, np.float64(0.5)),
        ),
        "training": Training(
            learning_rate=0.1,
            drops=[[10, 0.5], (20, 0.1)],  # type: ignore[arg-type]
            momentum=0.9,
            nesterov=True,
            weight_decay=1e-3,
            batch_size=8,
            sampling="fresh",
            steps=[0, 5, 30],  # type: ignore[arg-type]
        ),
        "ensemble": Ensemble(replicas=7, seed=2**64 - 1, dtype="float32"),
    }
    return Setting(**{**tables, **changes})  # type: ignore[arg-type]


def test_toml_and_python_build_equal_settings() -> None:
    from_toml, from_python = build(SPELLED), spelled()
    assert from_toml == from_python
    assert hash(from_toml) == hash(from_python)
    assert len({from_toml, from_python, spelled(ensemble=Ensemble(replicas=8))}) == 2


def test_a_setting_survives_its_own_mapping() -> None:
    setting = spelled()
    assert Setting(**msgspec.to_builtins(setting)) == setting
    assert msgspec.structs.replace(setting) == setting


def test_settings_are_frozen() -> None:
    with pytest.raises(AttributeError):
        spelled().training.momentum = 0.5  # type: ignore[misc]


def test_replacing_checks_again() -> None:
    with pytest.raises(InvalidInput, match=r"training\.momentum = 2\.0"):
        msgspec.structs.replace(Training(), momentum=2.0)
    with pytest.raises(InvalidInput, match=r"training\.batch_size = 300: must not exceed data\.samples \(256\)"):
        msgspec.structs.replace(Setting(data=GAUSSIAN), training=Training(batch_size=300))


# ---- what a setting knows


@pytest.mark.parametrize(
    ("keys", "full"),
    [
        ({}, True),
        ({"batch_size": 8}, True),
        ({"batch_size": 8, "sampling": "fresh"}, True),
        ({"batch_size": 8, "sampling": "replacement"}, False),
        ({"batch_size": 7}, False),
    ],
)
def test_full_batch(keys: dict, full: bool) -> None:
    assert Setting(data=data(samples=8), training=Training(**keys)).full_batch is full


def test_online_data_are_never_full_batch() -> None:
    training = Training(batch_size=4, sampling="fresh")
    assert Setting(data=data(samples="online"), training=training).full_batch is False


@pytest.mark.parametrize(("size", "rows", "batches"), [("full", 8, 1), (8, 8, 1), (3, 3, 2), (1, 1, 8)])
def test_rows_of_an_update_and_updates_of_an_epoch(size: object, rows: int, batches: int) -> None:
    setting = Setting(data=data(samples=8), training=Training(batch_size=size))  # type: ignore[arg-type]
    assert (setting.data.sample_count, setting.batch_rows, setting.batches_per_epoch) == (8, rows, batches)


def test_online_data_have_batches_but_neither_a_number_of_rows_nor_epochs() -> None:
    setting = Setting(data=data(samples="online"), training=Training(batch_size=4, sampling="fresh"))
    assert setting.batch_rows == 4
    for ask in (lambda: setting.data.sample_count, lambda: setting.batches_per_epoch):
        with pytest.raises(InvalidInput, match=r"data\.samples = 'online': must be a number"):
            ask()


def test_laws_have_no_file() -> None:
    assert Data(kind="array", path="rows.npy").file == "rows.npy"
    with pytest.raises(InvalidInput, match=r"data\.path = None: must be given; data\.kind = 'gaussian' needs no file"):
        _ = data().file


@pytest.mark.parametrize(
    ("labels", "outputs"),
    [
        (Labels(outputs=3), 3),
        (Labels(kind="classes", classes=4), 4),
        (Labels(kind="teacher", outputs=2), 2),
        (Labels(kind="real"), None),
    ],
)
def test_outputs(labels: Labels, outputs: int | None) -> None:
    setting = Setting(data=Data(kind="digits"), labels=labels)
    assert setting.outputs == outputs
    if outputs is None:
        with pytest.raises(InvalidInput, match=r"labels\.kind = 'real': must not be 'real'"):
            _ = setting.output_count
    else:
        assert setting.output_count == outputs
