"""Transfer experiments so small that they take a moment, and what is compared of them."""

from __future__ import annotations

import msgspec

import simulate.transfer.store as files
from simulate.transfer import TransferResult
from theory.setting import (
    Data,
    Downstream,
    Ensemble,
    Experiment,
    Labels,
    Network,
    Training,
    Treatments,
    Until,
    Upstream,
)

TRAINING = Training(loss="cross-entropy", learning_rate=0.1, momentum=0.9, batch_size=8, steps=30)
ALL = (
    "scratch",
    "pretrained",
    "rescaled",
    {"kind": "first-layers", "layers": 1},
    {"kind": "first-layers", "layers": 3},
    "covariance",
    "recursive",
    "eigenvectors",
    "spectrum",
)
KINDS = ("scratch", "pretrained", "covariance", "recursive")
# Three ranges of 12 replicas, which processes of their own agree on; the last one is not full.
MANY = 26
EXPERIMENT = """
[upstream.data]
kind = "digits"
samples = 200
[upstream.labels]
kind = "classes"
[upstream.network]
kind = "mlp"
hidden = [64, 32]
[upstream.training]
loss = "cross-entropy"
learning_rate = 0.05
batch_size = 20
steps = 400
[treatment]
kinds = ["scratch", "pretrained", "covariance", "recursive"]
[downstream]
samples = 200
[downstream.labels]
kind = "real"
[downstream.training]
loss = "cross-entropy"
learning_rate = 0.05
batch_size = 20
steps = [0, 20, 40]
[ensemble]
replicas = 48
dtype = "float32"
"""


def small(*, kinds=ALL, replicas=7, seed=0, steps=30, until=None, **network) -> Experiment:
    """Random classes upstream and downstream: a network so small that all treatments take a moment."""
    return Experiment(
        upstream=Upstream(
            data=Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0, 3.0), samples=26),
            labels=Labels(kind="classes", classes=3),
            network=Network(**{"kind": "mlp", "hidden": (8, 6), **network}),
            training=msgspec.structs.replace(TRAINING, steps=steps),
            until=until,
        ),
        treatment=Treatments(kinds=kinds),
        downstream=Downstream(
            samples=20,
            held_out=9,
            labels=Labels(kind="classes", classes=3),
            training=msgspec.structs.replace(TRAINING, steps=(0, 4, 9)),
        ),
        ensemble=Ensemble(replicas=replicas, seed=seed),
    )


def filters(path: str) -> Experiment:
    """A small convolution on images (40, 2, 5, 5)."""
    training = Training(loss="cross-entropy", learning_rate=0.1, batch_size=6, steps=300)
    return Experiment(
        upstream=Upstream(
            data=Data(kind="array", path=path, samples=12),
            labels=Labels(kind="classes", classes=2),
            network=Network(kind="conv", filters=5, hidden=(6,), bias=True),
            training=training,
            until=Until(accuracy=1.0),
        ),
        treatment=Treatments(kinds=("scratch", "rescaled", "covariance", "eigenvectors", "spectrum")),
        downstream=Downstream(
            samples=12,
            held_out=4,
            labels=Labels(kind="classes", classes=2),
            training=msgspec.structs.replace(training, steps=(0, 10)),
        ),
        ensemble=Ensemble(replicas=3),
    )


def content(result: TransferResult) -> list[bytes]:
    """Every number of a result, as bytes."""
    end = result.upstream
    found = [repr((result.replicas, result.diverged, result.device, result.width)).encode(), result.data_moment]
    found += [end.steps, end.fitted, end.loss, end.accuracy]
    for treated in result.treated:
        for record in (treated.curves, treated.layers):
            found += [getattr(record, name) for name in record.__dataclass_fields__]
        for reading in treated.weights:
            found += [reading.counts, reading.second_moments, reading.means, reading.losses]
    return [b"" if array is None else array if isinstance(array, bytes) else array.tobytes() for array in found]


def shards(folder):
    return sorted(path for path in folder.rglob("*.safetensors") if path.name != files.EXPERIMENT)


def squares(**options):
    """Real labels, so that there are no accuracies, a bias, and no weights drawn from other replicas."""
    experiment = small(kinds=("scratch", "pretrained"), bias=True, until=Until(loss=0.9), **options)
    labels, loss = Labels(kind="gaussian"), "mse"
    up, down = (
        msgspec.structs.replace(side, labels=labels, training=msgspec.structs.replace(side.training, loss=loss))
        for side in (experiment.upstream, experiment.downstream)
    )
    return msgspec.structs.replace(experiment, upstream=up, downstream=down)


def in_single(experiment):
    return msgspec.structs.replace(experiment, ensemble=msgspec.structs.replace(experiment.ensemble, dtype="float32"))


def bits(result: TransferResult, replicas: int | None = None) -> list[bytes]:
    """Every array of a result, of the first replicas."""
    arrays = [result.upstream.steps, result.upstream.fitted, result.upstream.loss, result.upstream.accuracy]
    for treated in result.treated:
        for record in (treated.curves, treated.layers):
            arrays += [getattr(record, name) for name in record.__dataclass_fields__ if name != "steps"]
    return [array[:replicas].tobytes() for array in arrays]
