"""Every rule of a setting, value by value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.theory.setting.tables import GAUSSIAN, build, data
from theory.errors import InvalidInput
from theory.setting import (
    Data,
    Ensemble,
    Labels,
    Network,
    PowerLaw,
    Setting,
    Sphere,
    Student,
    Training,
    TwoPoint,
)

NAN, INF = float("nan"), float("inf")
BAD = [
    # unknown keys and tables
    (lambda: build("[data]\nkind = 'digits'\nspectra = 3"), "data.spectra = 3: is not a key of this table"),
    (lambda: build("[data]\nkind = 'digits'\n[training]\nlr = 0.1"), "training.lr = 0.1: is not a key of this table"),
    (lambda: build("[data]\nspectrum = [1.0]"), "data.kind = None: is missing"),
    (lambda: data(spectrum={"law": "power", "dimension": 2, "scale": 1}), "data.spectrum.scale = 1: is not a key"),
    (lambda: data(spectrum={"law": "power"}), "data.spectrum.dimension = None: is missing"),
    (lambda: data(spectrum={"law": "exponential", "dimension": 2}), "data.spectrum.law = 'exponential': must be one"),
    # wrong types
    (lambda: Training(learning_rate="0.1"), "training.learning_rate = '0.1': must be a number"),
    (lambda: Training(learning_rate=True), "training.learning_rate = True: must be a number"),
    (lambda: Training(learning_rate=None), "training.learning_rate = None: must be a number"),
    (lambda: Training(learning_rate=10**400), "is out of the range of numbers"),
    (lambda: Training(steps=10.0), "training.steps = 10.0: must be an integer or a list"),
    (lambda: Training(steps=True), "training.steps = True: must be an integer or a list"),
    (lambda: Training(steps=(1, 2.5)), "training.steps[1] = 2.5: must be an integer"),
    (lambda: Training(nesterov=1), "training.nesterov = 1: must be true or false"),
    (lambda: Training(batch_size="half"), "training.batch_size = 'half': must be an integer or 'full'"),
    (lambda: Training(drops=((5, 0.5, 1),)), "training.drops[0]"),
    (lambda: Training(drops=(5, 0.5)), "training.drops[0] = 5: must be a list"),
    (lambda: data(samples="all"), "data.samples = 'all': must be an integer or 'online'"),
    (lambda: data(spectrum=3.0), "data.spectrum = 3.0: must be a table or a list"),
    (lambda: data(spectrum=("1",)), "data.spectrum[0] = '1': must be a number"),
    (lambda: data(kind="cubist"), "data.kind = 'cubist': must be one of 'gaussian', 'elliptical'"),
    (lambda: Network(kind="linear", bias="yes"), "network.bias = 'yes': must be true or false"),
    (lambda: Setting(data=GAUSSIAN, training=3), "training = 3: must be a table"),
    (lambda: Setting(data=GAUSSIAN, training=None), "training = None: must be a table"),
    (lambda: Setting(data=GAUSSIAN, training=Labels()), "must be a table"),
    # not finite
    (lambda: Training(learning_rate=NAN), "training.learning_rate = nan: must be a finite number"),
    (lambda: Training(weight_decay=INF), "training.weight_decay = inf: must be a finite number"),
    (lambda: Training(drops=((1, NAN),)), "training.drops[0][1] = nan: must be a finite number"),
    (lambda: data(spectrum=np.array([1.0, NAN])), "data.spectrum[1] = nan: must be a finite number"),
    (lambda: data(mean=(0.0, -INF)), "data.mean[1] = -inf: must be a finite number"),
    (lambda: Network(init_variance=(INF,)), "network.init_variance[0] = inf: must be a finite number"),
    (lambda: Labels(variance=NAN), "labels.variance = nan: must be a finite number"),
    (lambda: Student(dof=INF), "data.radial.dof = inf: must be a finite number"),
    # data
    (lambda: data(spectrum=(1.0, -0.5)), "data.spectrum[1] = -0.5: an eigenvalue of a covariance is not negative"),
    (lambda: data(spectrum=(0.0, 0.0)), "at least one eigenvalue must be positive"),
    (lambda: data(spectrum=()), "data.spectrum = (): or data.moments_of is needed by data.kind = 'gaussian'"),
    (lambda: data(mean=(1.0,)), "data.mean = (1.0,): must have one entry per eigenvalue (2)"),
    (lambda: PowerLaw(dimension=0), "data.spectrum.dimension = 0: must be at least 1"),
    (
        lambda: PowerLaw(dimension=3, exponent=-2000.0),
        "data.spectrum.exponent = -2000.0: makes the eigenvalues overflow",
    ),
    (lambda: Student(dof=2.0), "data.radial.dof = 2.0: must exceed 2"),
    (lambda: TwoPoint(k4=2.5), "data.radial.k4 = 2.5: must lie in [1, 2]"),
    (lambda: TwoPoint(k4=0.9), "data.radial.k4 = 0.9: must lie in [1, 2]"),
    (lambda: data(radial=Sphere()), "data.radial = Sphere(): belongs to data.kind 'elliptical', not to 'gaussian'"),
    (lambda: data(path="x.npy"), "data.path = 'x.npy': belongs to data.kind 'array' or 'cifar10'"),
    (lambda: Data(kind="mnist", path="x"), "'array' or 'cifar10' or 'fashion-mnist', not to 'mnist'"),
    (lambda: data(center=False), "data.center = False: belongs to data.kind"),
    (lambda: data(patch=(5, 5)), "data.patch = (5, 5): belongs to data.kind"),
    (lambda: Data(kind="digits", spectrum=(1.0,)), "data.spectrum = (1.0,): belongs to data.kind"),
    (lambda: Data(kind="digits", rotate=False), "data.rotate = False: belongs to data.kind"),
    (lambda: Data(kind="array"), "data.path = None: is needed by data.kind = 'array'"),
    (lambda: Data(kind="cifar10"), "data.path = None: is needed by data.kind = 'cifar10'"),
    (lambda: Data(kind="photographs", patch=(0, 3)), "data.patch = (0, 3): sides must be at least 1"),
    (lambda: Data(kind="photographs", crop=(16, 0)), "data.crop = (16, 0): sides must be at least 1"),
    (lambda: data(samples=0), "data.samples = 0: must be at least 1"),
    (lambda: data(samples="online", fixed=True), "data.fixed = True: must be false when data.samples"),
    (lambda: Data(kind="digits", samples="online"), '"online" needs data.kind'),
    (lambda: data(spectrum={"dimension": 3}), "data.spectrum.law = None: is missing"),
    (lambda: Setting(data={"kind": "gaussian", "spectrum": {"dimension": 3}}), "data.spectrum.law = None: is missing"),
    (lambda: Data(kind="array", path="x.npy", patch=(5, 5)), "data.patch = (5, 5): belongs to data.kind 'photographs'"),
    (
        lambda: Setting(data=Data(kind="photographs", patch=(5, 5)), network=Network(kind="conv")),
        "data.patch = (5, 5): does not belong to network.kind 'conv': a filter sees network.kernel",
    ),
    (
        lambda: Setting(data=Data(kind="photographs", crop=(8, 8)), network=Network(kind="mlp")),
        "data.crop = (8, 8): does not belong to network.kind 'mlp': its rows are patches",
    ),
    # labels
    (lambda: Labels(variance=-1.0), "labels.variance = -1.0: must not be negative"),
    (lambda: Labels(outputs=0), "labels.outputs = 0: must be at least 1"),
    (lambda: Labels(kind="classes", classes=1), "labels.classes = 1: must be at least 2"),
    (lambda: Labels(kind="teacher", noise=-0.1), "labels.noise = -0.1: must not be negative"),
    (lambda: Labels(classes=3), "labels.classes = 3: belongs to labels.kind 'classes', not to 'gaussian'"),
    (lambda: Labels(kind="classes", variance=2.0), "labels.variance = 2.0: belongs to labels.kind"),
    (lambda: Labels(kind="real", outputs=2), "labels.outputs = 2: belongs to labels.kind"),
    (lambda: Setting(data=GAUSSIAN, labels=Labels(kind="real")), "labels.kind = 'real': needs data with labels"),
    (
        lambda: Setting(data=Data(kind="array", path="x.npy"), labels=Labels(kind="real")),
        "data.labels_path = None: is needed by real labels",
    ),
    (
        lambda: Setting(data=Data(kind="array", path="x.npy", labels_path="y.npy")),
        "data.labels_path = 'y.npy': needs labels.kind = 'real'",
    ),
    # network
    (lambda: Network(kind="linear", hidden=(4,)), "network.hidden = (4,): a linear model has no hidden layer"),
    (lambda: Network(kind="mlp", hidden=()), "network.hidden = (): an mlp has at least one hidden layer"),
    (lambda: Network(kind="mlp", hidden=(4, 0)), "network.hidden[1] = 0: a width must be at least 1"),
    (lambda: Network(kind="mlp", filters=0), "network.filters = 0: must be at least 1"),
    (lambda: Network(kind="conv", kernel=(3, 0)), "network.kernel = (3, 0): sides must be at least 1"),
    (lambda: Network(kind="mlp", filters=8), "network.filters = 8: belongs to network.kind 'conv', not to 'mlp'"),
    (
        lambda: Network(kernel=(5, 5)),
        "network.kernel = (5, 5): belongs to network.kind 'conv' or 'resnet', not to 'linear'",
    ),
    (lambda: Network(kind="conv", blocks=((8,),)), "network.blocks = ((8,),): belongs to network.kind 'vgg'"),
    (
        lambda: Network(kind="vgg", blocks=((8,), ())),
        "network.blocks[1] = (): a block has at least one layer of filters",
    ),
    (lambda: Network(kind="vgg", blocks=((8, 0),)), "network.blocks[0] = (8, 0): a layer has at least one filter"),
    (lambda: Network(kind="vgg", filters=8), "network.filters = 8: belongs to network.kind 'conv', not to 'vgg'"),
    (
        lambda: Network(kind="vgg", kernel=(5, 5)),
        "network.kernel = (5, 5): belongs to network.kind 'conv' or 'resnet', not to 'vgg'",
    ),
    (lambda: Setting(data=data(), network=Network(kind="vgg")), "network.kind = 'vgg': needs images: data.kind"),
    (lambda: Network(init_variance=-1.0), "network.init_variance[0] = -1.0: a variance is not negative"),
    (lambda: Network(init_variance=(1.0, 2.0)), "must be one number, or one per layer (1)"),
    (lambda: Network(init_spectrum=(1.0, -2.0)), "network.init_spectrum[1] = -2.0: a variance is not negative"),
    (
        lambda: Setting(data=GAUSSIAN, network=Network(init_spectrum=(1.0,))),
        "network.init_spectrum = (1.0,): must have one entry per dimension (2)",
    ),
    (lambda: Setting(data=GAUSSIAN, network=Network(kind="conv")), "network.kind = 'conv': needs images"),
    # training
    (lambda: Training(learning_rate=0.0), "training.learning_rate = 0.0: must be positive"),
    (lambda: Training(momentum=1.0), "training.momentum = 1.0: must lie in [0, 1)"),
    (lambda: Training(momentum=-0.1), "training.momentum = -0.1: must lie in [0, 1)"),
    (lambda: Training(nesterov=True), "training.nesterov = True: needs a positive training.momentum"),
    (lambda: Training(optimizer="adam", momentum=0.9), "training.momentum = 0.9: belongs to training.optimizer 'sgd'"),
    (lambda: Training(weight_decay=-1e-3), "training.weight_decay = -0.001: must not be negative"),
    (lambda: Training(l1=-1.0), "training.l1 = -1.0: must not be negative"),
    (lambda: Training(drops=((-1, 0.5),)), "training.drops[0] = (-1, 0.5): a step is not negative"),
    (lambda: Training(drops=((1, 0.0),)), "training.drops[0] = (1, 0.0): a factor must be positive"),
    (lambda: Training(drops=((3, 0.5), (3, 0.5))), "steps must ascend"),
    (lambda: Training(batch_size=0), "training.batch_size = 0: must be at least 1"),
    (lambda: Training(steps=()), "training.steps = (): must name at least one step"),
    (lambda: Training(steps=-1), "training.steps = -1: a step is not negative"),
    (lambda: Training(steps=(3, 2)), "training.steps = (3, 2): must ascend"),
    (lambda: Training(steps=(2, 2)), "training.steps = (2, 2): must ascend"),
    (
        lambda: Setting(data=GAUSSIAN, training=Training(loss="cross-entropy")),
        "training.loss = 'cross-entropy': needs labels.kind 'classes' or 'real'",
    ),
    (
        lambda: Setting(data=data(samples=8), training=Training(batch_size=9)),
        "training.batch_size = 9: must not exceed data.samples (8)",
    ),
    (
        lambda: Setting(data=data(samples="online")),
        "training.batch_size = 'full': must be a number when data.samples",
    ),
    (
        lambda: Setting(data=data(samples="online"), training=Training(batch_size=4)),
        "training.sampling = 'epochs': must be \"fresh\"",
    ),
    # ensemble
    (lambda: Ensemble(replicas=0), "ensemble.replicas = 0: must be at least 1"),
    (lambda: Ensemble(seed=-1), "ensemble.seed = -1: must lie in [0, 2^64)"),
    (lambda: Ensemble(seed=2**64), "ensemble.seed = 18446744073709551616: must lie in [0, 2^64)"),
    (lambda: Ensemble(dtype="float16"), "ensemble.dtype = 'float16': must be one of 'float32', 'float64'"),
]


@pytest.mark.parametrize(("make", "message"), BAD, ids=[message[:50] for _, message in BAD])
def test_bad_values_are_named(make: object, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        make()  # type: ignore[operator]
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_error_carries_key_value_and_rule() -> None:
    with pytest.raises(InvalidInput) as caught:
        build("[data]\nkind = 'gaussian'\nspectrum = [1.0, -2.0]")
    assert (caught.value.key, caught.value.value) == ("data.spectrum[1]", -2.0)
    assert caught.value.rule == "an eigenvalue of a covariance is not negative"
    assert isinstance(caught.value, ValueError)


def test_long_values_are_shortened_in_the_message() -> None:
    with pytest.raises(InvalidInput) as caught:
        data(mean=tuple(range(1000)))
    assert len(str(caught.value)) < 200


RANGES = {
    "learning_rate": lambda value: value > 0,
    "momentum": lambda value: 0 <= value < 1,
    "weight_decay": lambda value: value >= 0,
    "l1": lambda value: value >= 0,
}


@given(st.floats(), st.sampled_from(sorted(RANGES)))
def test_any_float_is_stored_as_it_is_or_named(value: float, key: str) -> None:
    if np.isfinite(value) and RANGES[key](value):
        assert getattr(Training(**{key: value}), key) == value
        return
    with pytest.raises(InvalidInput) as caught:
        Training(**{key: value})
    assert caught.value.key == f"training.{key}"
