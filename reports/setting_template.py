"""A new setting file with every key, its default and what it means: `eigenalign new-setting`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from reports.files import write_atomically
from reports.setting_file import defaults
from theory.errors import InvalidInput
from theory.setting import Network

WIDTH = 44  # the width of the assignments, before the comments, in characters


@dataclass(frozen=True)
class Key:
    """A key of a table: what it means, and the value that the template sets, if not the default."""

    meaning: str
    value: Any = None
    example: Any = None  # shown, commented out, for a key without a default


TEMPLATE: dict[str, dict[str, Key]] = {
    "data": {
        "kind": Key(
            "gaussian, elliptical; array (your own); digits, mnist, fashion-mnist, photographs, cifar10", "gaussian"
        ),
        "spectrum": Key(
            'eigenvalues of the covariance; or {law = "power", dimension = 20, exponent = 1.0}',
            [0.2, 0.6, 1.0, 1.6, 3.0]
        ),
        "moments_of": Key(
            "instead of spectrum: an .npy file whose second moments rows have: of rows, images, or a covariance",
            example="rows.npy"
        ),
        "mean": Key("mean of the rows, along the eigenvectors; default: 0", example=[1.0, 0.0, 0.0, 0.0, 0.0]),
        "rotate": Key("draw the eigenvectors at random; false: they are the coordinate axes"),
        "radial": Key(
            "elliptical data: law of the radius, student, sphere or two-point", example={"law": "student", "dof": 5}
        ),
        "path": Key("array: an .npy file; cifar10, fashion-mnist: a folder", example="rows.npy"),
        "labels_path": Key("array: labels as an .npy file of integers", example="labels.npy"),
        "patch": Key("photographs, cifar10, images of moments_of: size of the patches that a dense network sees"),
        "crop": Key("photographs: size of the images that filters see"),
        "center": Key("real data, moments_of: subtract the mean"),
        "scale": Key("real data, moments_of: the mean square of an entry becomes 1; \"channels\": of every channel"),
        "samples": Key('rows of a replica, n (array: all, if left out); "online": new ones in every update', 40),
        "fixed": Key("true: all replicas share one X; false: each draws its own", True),
    },
    "labels": {
        "kind": Key("gaussian, rademacher, classes: random; teacher, real: they depend on x"),
        "variance": Key("gaussian, rademacher: variance of a label"),
        "outputs": Key("gaussian, rademacher, teacher: number of outputs"),
        "classes": Key("classes: how many"),
        "noise": Key("teacher: variance of the noise on its labels"),
    },
    "network": {
        "kind": Key("linear; mlp (dense); conv (filters, then dense); vgg; resnet (with batch normalisation)"),
        "hidden": Key("mlp, conv, vgg: widths of the dense hidden layers", example=[256]),
        "filters": Key("conv: number of filters"),
        "kernel": Key("conv: size of the filters; resnet: of the stem's"),
        "blocks": Key(
            "vgg, resnet: numbers of filters, block by block; default: VGG16's, WRN-28-4's",
            example=[[64, 64], [128, 128]]
        ),
        "activation": Key("relu, tanh, erf, identity"),
        "parametrization": Key(
            "standard: initial weights of variance v/fan-in; ntk: v, and layers divided by sqrt(fan-in)"
        ),
        "init_variance": Key("v: one number, or one per layer; He: 2.0"),
        "init_spectrum": Key(
            "variance of the initial first-layer weights per coordinate", example=[0.1, 0.1, 0.1, 0.2, 0.2]
        ),
        "bias": Key("train biases, too"),
        "train": Key("all; first: the other layers stay as they are drawn"),
    },
    "training": {
        "optimizer": Key("sgd, adam, rmsprop, signsgd"),
        "loss": Key("mse; cross-entropy (with labels.kind classes or real)"),
        "learning_rate": Key("in the conventions of torch.optim", 0.1),
        "drops": Key("multiply the learning rate: [update, factor], …", example=[[100, 0.1]]),
        "momentum": Key("heavy ball, in the convention of torch.optim.SGD"),
        "nesterov": Key("Nesterov's momentum"),
        "weight_decay": Key("in the convention of torch.optim: added to the gradient"),
        "l1": Key("weight of the sum of |w| in the loss"),
        "batch_size": Key('rows of an update, or "full"'),
        "sampling": Key("epochs: shuffled; fresh: new batches without replacement; replacement"),
        "steps": Key("updates; a list: f is read after each of these", [0, 5, 20]),
    },
    "ensemble": {
        "replicas": Key("independent trainings", 60000),
        "seed": Key("all randomness follows from it"),
        "dtype": Key("float64 or float32"),
    },
}  # fmt: skip


def template() -> str:
    """The text of the file: a valid setting, in which the keys at their defaults are commented out."""
    plain = defaults(Network())
    blocks = [
        "# What is trained: predict, simulate and verify read this file. Keys that are commented out show defaults."
    ]
    for table, keys in TEMPLATE.items():
        blocks.append("\n".join([f"[{table}]", *(_line(name, key, plain[table]) for name, key in keys.items())]))
    return "\n\n".join(blocks) + "\n"


def write_template(path: Path) -> Path:
    """Write the template to a new file.

    Raises
    ------
    InvalidInput
        If there is a file of this name already, or it cannot be written.
    """
    if path.exists():
        raise InvalidInput("file", str(path), "exists already: name another, or delete it")
    try:
        write_atomically(path, template())
    except OSError as error:
        raise InvalidInput("file", str(path), (error.strerror or str(error)).lower()) from None
    return path


def _line(name: str, key: Key, plain: dict[str, Any]) -> str:
    value = next(found for found in (key.value, key.example, plain[name]) if found is not None)
    mark = "" if key.value is not None else "# "
    return f"{f'{mark}{name} = {_toml(value)}':{WIDTH}}  # {key.meaning}"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml(held)}" for name, held in value.items()) + "}"
    return json.dumps(msgspec.to_builtins(value))
