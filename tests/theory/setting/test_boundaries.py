"""The last value that each rule of a setting lets through: rules that are one step too strict are as wrong."""

from __future__ import annotations

import math

import pytest

from tests.theory.setting.tables import GAUSSIAN, data
from theory.errors import InvalidInput
from theory.setting import Data, Ensemble, Labels, Network, PowerLaw, Setting, Student, Training, TwoPoint

ONLINE = Data(kind="gaussian", spectrum=(1.0, 2.0), samples="online")

ALLOWED = [
    # data
    (lambda: data(samples=1), "samples", 1),
    (lambda: data(spectrum=(0.0, 1.0)), "spectrum", (0.0, 1.0)),
    (lambda: data(spectrum=(1e-300,)), "spectrum", (1e-300,)),
    (lambda: PowerLaw(dimension=1), "dimension", 1),
    (lambda: PowerLaw(dimension=1, exponent=-2000.0), "exponent", -2000.0),
    (lambda: Student(dof=math.nextafter(2.0, 3.0)), "dof", math.nextafter(2.0, 3.0)),
    (lambda: TwoPoint(k4=1.0), "k4", 1.0),
    (lambda: TwoPoint(k4=2.0), "k4", 2.0),
    (lambda: Data(kind="photographs", patch=(1, 1)), "patch", (1, 1)),
    (lambda: Data(kind="photographs", crop=(1, 1)), "crop", (1, 1)),
    # labels
    (lambda: Labels(variance=0.0), "variance", 0.0),
    (lambda: Labels(outputs=1), "outputs", 1),
    (lambda: Labels(kind="classes", classes=2), "classes", 2),
    (lambda: Labels(kind="teacher", noise=0.0), "noise", 0.0),
    # network
    (lambda: Network(kind="mlp", hidden=(1, 1)), "hidden", (1, 1)),
    (lambda: Network(kind="conv", filters=1), "filters", 1),
    (lambda: Network(kind="conv", kernel=(1, 1)), "kernel", (1, 1)),
    (lambda: Network(kind="vgg", blocks=((1,), (1, 1))), "blocks", ((1,), (1, 1))),
    (lambda: Network(init_variance=0.0), "init_variance", (0.0,)),
    (lambda: Network(init_spectrum=(0.0, 0.0)), "init_spectrum", (0.0, 0.0)),
    # training
    (lambda: Training(learning_rate=5e-324), "learning_rate", 5e-324),
    (lambda: Training(momentum=0.0), "momentum", 0.0),
    (lambda: Training(momentum=math.nextafter(1.0, 0.0)), "momentum", math.nextafter(1.0, 0.0)),
    (lambda: Training(momentum=5e-324, nesterov=True), "nesterov", True),
    (lambda: Training(weight_decay=0.0), "weight_decay", 0.0),
    (lambda: Training(l1=0.0), "l1", 0.0),
    (lambda: Training(drops=((0, 5e-324), (1, 3.0))), "drops", ((0, 5e-324), (1, 3.0))),
    (lambda: Training(batch_size=1), "batch_size", 1),
    (lambda: Training(steps=0), "readings", (0,)),
    (lambda: Training(steps=(0, 1)), "readings", (0, 1)),
    # whole settings
    (lambda: Setting(data=data(samples=8), training=Training(batch_size=8)), "batch_rows", 8),
    (lambda: Setting(data=data(samples=1), training=Training(batch_size=1)), "batches_per_epoch", 1),
    (lambda: Setting(data=ONLINE, training=Training(batch_size=1, sampling="fresh")), "batch_rows", 1),
    (lambda: Setting(data=Data(kind="array", path="x.npy")), "full_batch", True),
    # ensemble
    (lambda: Ensemble(replicas=1), "replicas", 1),
    (lambda: Ensemble(replicas=2**63 - 1), "replicas", 2**63 - 1),
    (lambda: Ensemble(seed=0), "seed", 0),
    (lambda: Ensemble(seed=2**64 - 1), "seed", 2**64 - 1),
]


@pytest.mark.parametrize(("make", "key", "value"), ALLOWED)
def test_the_last_value_that_a_rule_allows(make, key: str, value: object) -> None:
    assert getattr(make(), key) == value


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: Ensemble(replicas=2**63), "ensemble.replicas"),
        (lambda: Student(dof=2.0), "data.radial.dof"),
        (lambda: TwoPoint(k4=math.nextafter(1.0, 0.0)), "data.radial.k4"),
        (lambda: TwoPoint(k4=math.nextafter(2.0, 3.0)), "data.radial.k4"),
        (lambda: Training(steps=(0, 0)), "training.steps"),
        (lambda: Training(drops=((0, 0.5), (0, 0.5))), "training.drops"),
        # the largest eigenvalue is 10^304, which a double holds, and 10^305, which is beyond e^700
        (lambda: PowerLaw(dimension=10, exponent=-305.0), "data.spectrum.exponent"),
    ],
)
def test_the_first_value_that_a_rule_forbids(make, key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        make()
    assert caught.value.key == key


def test_eigenvalues_that_almost_overflow() -> None:
    assert PowerLaw(dimension=10, exponent=-304.0).eigenvalues()[-1] == pytest.approx(1e304, rel=1e-12)
    assert PowerLaw(dimension=3, exponent=2.0).eigenvalues() == (1.0, 0.25, 3.0**-2)


@pytest.mark.parametrize(
    ("batch", "sampling", "full", "rows", "batches"),
    [
        ("full", "epochs", True, 8, 1),
        (8, "epochs", True, 8, 1),
        (8, "fresh", True, 8, 1),
        (8, "replacement", False, 8, 1),
        (5, "epochs", False, 5, 1),
        (4, "epochs", False, 4, 2),
        (1, "fresh", False, 1, 8),
    ],
)
def test_batches_of_eight_rows(batch, sampling: str, full: bool, rows: int, batches: int) -> None:
    setting = Setting(data=data(samples=8), training=Training(batch_size=batch, sampling=sampling))
    assert (setting.full_batch, setting.batch_rows, setting.batches_per_epoch) == (full, rows, batches)


@pytest.mark.parametrize(
    ("network", "layers"),
    [
        (Network(), 1),
        (Network(kind="mlp", hidden=(4,)), 2),
        (Network(kind="mlp", hidden=(4, 3)), 3),
        (Network(kind="conv", hidden=()), 2),
        (Network(kind="conv", hidden=(4,)), 3),
        (Network(kind="vgg", blocks=((4, 4), (4,))), 4),
        (Network(kind="vgg", blocks=((4,),), hidden=(3,)), 3),
    ],
)
def test_layers_of_weights(network: Network, layers: int) -> None:
    """Filters, dense hidden layers, and the outputs: as many variances of initial weights."""
    assert network.layers == layers
    assert network.layer_variances == (1.0,) * layers
    assert network.convolves == (network.kind in ("conv", "vgg"))


def test_defaults() -> None:
    """What a table that names nothing stands for: the reference says so, and results depend on it."""
    setting = Setting(data=GAUSSIAN)
    assert (setting.data.samples, setting.data.rotate, setting.data.fixed) == (256, True, False)
    assert (setting.data.center, setting.data.scale, setting.data.patch, setting.data.crop) == (
        True,
        True,
        (3, 3),
        (16, 16),
    )
    assert (setting.labels.kind, setting.labels.variance, setting.labels.outputs) == ("gaussian", 1.0, 1)
    assert (Labels(kind="classes").classes, Labels(kind="teacher").noise) == (10, 0.0)
    assert (setting.network.kind, setting.network.bias, setting.network.train) == ("linear", False, "all")
    assert (Network(kind="mlp").hidden, Network(kind="conv").hidden, Network(kind="vgg").hidden) == ((256,), (256,), ())
    assert (Network(kind="conv").filters, Network(kind="conv").kernel) == (256, (3, 3))
    training = setting.training
    assert (training.optimizer, training.loss, training.learning_rate) == ("sgd", "mse", 0.05)
    assert (training.momentum, training.weight_decay, training.l1, training.nesterov) == (0.0, 0.0, 0.0, False)
    assert (training.batch_size, training.sampling, training.readings) == ("full", "epochs", (100,))
    assert (setting.ensemble.replicas, setting.ensemble.seed, setting.ensemble.dtype) == (2000, 0, "float64")
    assert (PowerLaw(dimension=2).exponent, Student().dof, TwoPoint().k4) == (1.0, 12.0, 1.5)
    assert Data(kind="elliptical", spectrum=(1.0,)).radial == Student()


def test_vgg16_is_the_one_of_the_paper() -> None:
    """Table 1, D of arXiv:1409.1556: 13 layers of filters, doubled from 64 to 512 from block to block."""
    blocks = Network(kind="vgg").blocks
    assert [len(block) for block in blocks] == [2, 2, 3, 3, 3]
    assert [set(block) for block in blocks] == [{64}, {128}, {256}, {512}, {512}]
