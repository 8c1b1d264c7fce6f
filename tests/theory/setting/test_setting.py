"""Settings: defaults, every rule case by case, and the same setting however it was built."""

from __future__ import annotations

import tomllib

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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

GAUSSIAN = Data(kind="gaussian", spectrum=(1.0, 2.0))


def build(text: str) -> Setting:
    """A setting from TOML text."""
    return Setting(**tomllib.loads(text))


def data(**keys: object) -> Data:
    """Gaussian data with changes."""
    return Data(**{"kind": "gaussian", "spectrum": (1.0, 2.0), **keys})  # type: ignore[arg-type]


# ---- defaults


def test_defaults() -> None:
    setting = build('[data]\nkind = "gaussian"\nspectrum = [0.1, 0.2]')
    assert msgspec.to_builtins(setting) == {
        "data": {
            "kind": "gaussian",
            "spectrum": (0.1, 0.2),
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


# ---- every rule, value by value


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
    (lambda: data(spectrum=()), "data.spectrum = (): is needed by data.kind = 'gaussian'"),
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
    (lambda: Network(kernel=(5, 5)), "network.kernel = (5, 5): belongs to network.kind 'conv', not to 'linear'"),
    (lambda: Network(kind="conv", blocks=((8,),)), "network.blocks = ((8,),): belongs to network.kind 'vgg'"),
    (
        lambda: Network(kind="vgg", blocks=((8,), ())),
        "network.blocks[1] = (): a block has at least one layer of filters",
    ),
    (lambda: Network(kind="vgg", blocks=((8, 0),)), "network.blocks[0] = (8, 0): a layer has at least one filter"),
    (lambda: Network(kind="vgg", filters=8), "network.filters = 8: belongs to network.kind 'conv', not to 'vgg'"),
    (
        lambda: Network(kind="vgg", kernel=(5, 5)),
        "network.kernel = (5, 5): belongs to network.kind 'conv', not to 'vgg'",
    ),
    (lambda: Setting(data=data(), network=Network(kind="vgg")), "network.kind = 'vgg': needs images: data.kind"),
    (lambda: Network(init_variance=-1.0), "network.init_variance[0] = -1.0: a variance is not negative"),
    (lambda: Network(init_variance=(1.0, 2.0)), "must be one number, or one a layer (1)"),
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


# ---- what a setting knows


@given(
    drops=st.lists(st.tuples(st.integers(0, 40), st.floats(0.1, 2)), max_size=4, unique_by=lambda drop: drop[0]),
    step=st.integers(0, 50),
)
def test_learning_rate_at(drops: list[tuple[int, float]], step: int) -> None:
    """Each drop multiplies from its own step on."""
    training = Training(learning_rate=0.3, drops=tuple(sorted(drops)))
    rate = 0.3
    for start, factor in sorted(drops):
        if start <= step:
            rate *= factor
    assert training.learning_rate_at(step) == pytest.approx(rate, rel=1e-15)


def test_readings() -> None:
    assert Training(steps=0).readings == (0,)
    assert Training(steps=(0, 3)).readings == (0, 3)


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
