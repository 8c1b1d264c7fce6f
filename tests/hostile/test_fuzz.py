"""A fuzzer of what comes from outside: settings, experiments, weights, data, stores, records.

Every input ends within 20 seconds and 2 GB, with an answer or an error that names what is wrong, never with a fault of
the program. The seed of a run is printed; EIGENALIGN_FUZZ sets it, and EIGENALIGN_FUZZ_INPUTS the number of inputs.
"""

import io
import json
import os
import random
import resource
import signal
import warnings
import zipfile
from contextlib import contextmanager, suppress

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from safetensors.numpy import save

import simulate
from reports import cli
from reports.campaign.records import Asked, Records
from reports.check.files import stored
from reports.codec import Unreadable, unpack
from reports.experiment_file import load as load_experiment
from reports.findings import Table
from reports.setting_file import load as load_setting
from simulate.store import Damaged, read_file, write_file
from tests.oracles.linear import train_all
from tests.simulate.stores import SETTING, shards
from theory.errors import InvalidInput
from theory.setting.array_file import read_array

SEED = int(os.environ.get("EIGENALIGN_FUZZ", random.SystemRandom().randrange(2**32)))
INPUTS = int(os.environ.get("EIGENALIGN_FUZZ_INPUTS", 20_000))
SECONDS, BYTES = 20, 2 * 10**9
LIMITS = {"EIGENALIGN_MEMORY": "0.02", "EIGENALIGN_OPERATIONS": "1e8", "EIGENALIGN_UPDATES": "2000"}


def inputs(share):
    """The settings of hypothesis for a share of the inputs, without what it remembers of other runs."""
    return lambda test: seed(SEED)(
        settings(
            max_examples=round(INPUTS * share),
            database=None,
            deadline=None,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        )(test)
    )


@pytest.fixture(scope="module", autouse=True)
def bounded():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in LIMITS.items():
            patch.setenv(name, value)
        print(f"EIGENALIGN_FUZZ={SEED} EIGENALIGN_FUZZ_INPUTS={INPUTS}")
        yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < BYTES


@contextmanager
def watched():
    """A hang is a failure of its own, not of the suite's."""

    def late(number, frame):
        raise AssertionError(f"took longer than {SECONDS} s")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's, of numbers that leave the doubles
            yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


NUMBERS = st.one_of(
    st.integers(-3, 40),
    st.sampled_from([2**31, 2**53 - 1, 2**53, 2**63, 10**30, 1e-300, 1e300, -1e-5, 0.0, -0.0]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(1e-4, 3.0),
)
WORDS = st.one_of(
    st.sampled_from(
        ["full", "online", "gaussian", "array", "x.npy", "../x", "a\0b", "=1", "`$\\input{x}$`", "\x1b[31m"]
    ),
    st.text(max_size=8),
)
VALUES = st.recursive(
    st.one_of(NUMBERS, WORDS, st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)


def table(**keys):
    """A table of which every key may be absent, as it should be, or anything."""
    return st.fixed_dictionaries(
        {}, optional={key: st.one_of(value, value, value, VALUES) for key, value in keys.items()}
    )


def either(*words):
    return st.sampled_from(words)


RATES = st.floats(1e-4, 1.0)
DATA = st.fixed_dictionaries(
    {
        "kind": either("gaussian", "gaussian", "elliptical", "digits", "array", "cifar10", "nonsense"),
        "spectrum": st.one_of(
            st.lists(st.floats(0.0, 4.0), min_size=1, max_size=6),
            st.fixed_dictionaries({"law": st.just("power"), "dimension": st.integers(1, 30)}),
            VALUES,
        ),
    },
    optional={
        "samples": st.one_of(st.integers(1, 60), st.just("online"), VALUES),
        "fixed": st.booleans(),
        "mean": st.lists(st.floats(-2, 2), max_size=6),
        "path": WORDS,
        "scale": st.booleans(),
        "radial": st.fixed_dictionaries({"law": either("student", "sphere", "two-point")}),
    },
)
LABELS = table(kind=either("gaussian", "rademacher", "classes", "teacher"), outputs=st.integers(1, 4), variance=RATES)
NETWORK = table(
    kind=either("linear", "linear", "mlp"),
    hidden=st.lists(st.integers(1, 12), max_size=2),
    activation=either("relu", "tanh", "erf", "identity"),
    parametrization=either("standard", "ntk"),
    train=either("all", "first"),
    init_variance=RATES,
    bias=st.booleans(),
)
TRAINING = table(
    optimizer=either("sgd", "adam"),
    loss=either("mse", "cross-entropy"),
    learning_rate=RATES,
    momentum=st.floats(0, 0.95),
    weight_decay=RATES,
    batch_size=st.one_of(st.just("full"), st.integers(1, 8)),
    sampling=either("epochs", "fresh", "replacement"),
    steps=st.one_of(st.integers(0, 30), st.lists(st.integers(0, 30), max_size=3).map(sorted)),
    drops=st.lists(st.tuples(st.integers(0, 20), RATES).map(list), max_size=2),
)
ENSEMBLE = table(replicas=st.integers(1, 6), seed=st.integers(0, 9), dtype=either("float64", "float32"))
SETTINGS = st.fixed_dictionaries(
    {"data": DATA}, optional={"labels": LABELS, "network": NETWORK, "training": TRAINING, "ensemble": ENSEMBLE}
)
EXPERIMENTS = st.fixed_dictionaries(
    {"upstream": st.one_of(SETTINGS.map(lambda s: {k: v for k, v in s.items() if k != "ensemble"}), VALUES)},
    optional={
        "treatment": table(kinds=st.lists(either("scratch", "pretrained", "rescaled", "covariance"), max_size=3)),
        "downstream": table(samples=st.integers(1, 20), labels=LABELS, training=TRAINING, held_out=st.integers(0, 9)),
        "ensemble": ENSEMBLE,
        "other": VALUES,
    },
)


def toml(value):
    """A value as TOML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))} = {toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value).replace("\x7f", "\\u007f")
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)


def document(tables, cut):
    """The text of a file, with a piece of it cut out now and then."""
    text = "".join(f"{json.dumps(str(name))} = {toml(each)}\n" for name, each in tables.items())
    return text if cut is None else text[: cut % (len(text) + 1)] + text[cut % (len(text) + 1) + 1 + cut % 7 :]


CUTS = st.one_of(st.none(), st.none(), st.none(), st.integers(0, 10**4))


def command(*arguments):
    """The exit status of a command, and what it prints; a status of 70 fails with what is said of it."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, watched():
        patch.setattr("sys.stdout", out)
        patch.setattr("sys.stderr", err)
        status = cli.main([*arguments, "--json", "--quiet"])
    assert status in (0, 1, 2), err.getvalue()
    return status, out.getvalue()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@inputs(0.25)
@given(tables=SETTINGS, cut=CUTS)
def test_settings(place, tables, cut):
    (place / "setting.toml").write_text(document(tables, cut), encoding="utf-8", errors="surrogatepass")
    status, printed = command("predict", str(place / "setting.toml"))
    if status == 0:
        found = json.loads(printed)["readings"]
        assert all(tau is None or tau >= 0 for reading in found for tau in reading["tau"])


def spectrum_at(scale, values):
    return [value * 10.0**scale for value in values]


PREDICTED = st.fixed_dictionaries(
    {
        "data": st.fixed_dictionaries(
            {
                "kind": st.just("gaussian"),
                "spectrum": st.builds(
                    spectrum_at, st.integers(-200, 100), st.lists(st.floats(0.01, 4.0), min_size=1, max_size=6)
                ),
                "samples": st.integers(1, 30),
                "fixed": st.just(True),
            }
        )
    },
    optional={
        "labels": st.fixed_dictionaries({"kind": either("gaussian", "rademacher"), "variance": RATES}),
        "network": st.fixed_dictionaries({"kind": st.just("linear"), "init_variance": RATES}),
        "training": st.fixed_dictionaries(
            {"learning_rate": RATES, "steps": st.integers(0, 30)},
            optional={"momentum": st.floats(0, 0.95), "nesterov": st.booleans(), "weight_decay": RATES},
        ),
    },
)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@inputs(0.05)
@given(tables=PREDICTED)
def test_predictions(place, tables):
    """Where the closed form of linear models answers, it says what training from unit vectors says."""
    (place / "setting.toml").write_text(document(tables, None))
    status, printed = command("predict", str(place / "setting.toml"))
    if status == 0:
        agrees_with_training(load_setting(place / "setting.toml"), json.loads(printed))


def agrees_with_training(setting, predicted):
    """A second route: E[w wᵀ] from trainings that start at unit vectors of the weights and of the labels."""
    assert predicted["formula"] == "linear-full-batch"
    x, (reading,) = simulate.rows(setting), predicted["readings"]
    n, d = x.shape
    with np.errstate(all="ignore"):
        one = train_all(x, np.zeros((d, n)), np.eye(d), setting.training, reading["step"])
        other = train_all(x, np.eye(n), np.zeros((n, d)), setting.training, reading["step"])
        moment = setting.network.init_variance[0] / d * one.T @ one + setting.labels.variance * other.T @ other
        taus = np.einsum("ij,ij->j", vectors := np.linalg.svd(x)[2][::-1].T, moment @ vectors)
    places = np.cumsum([0, *reading["multiplicity"]])
    assert places[-1] == d
    for tau, first, last in zip(reading["tau"], places, places[1:], strict=False):
        assert tau == pytest.approx(taus[first:last].mean(), rel=1e-6, abs=1e-9 * np.abs(taus).max()), setting


@pytest.mark.slow
@pytest.mark.timeout(3600)
@inputs(0.1)
@given(tables=SETTINGS)
def test_ensembles(place, tables):
    (place / "setting.toml").write_text(document(tables, None), encoding="utf-8", errors="surrogatepass")
    command("simulate", str(place / "setting.toml"), "--replicas", "2")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@inputs(0.15)
@given(tables=EXPERIMENTS, cut=CUTS)
def test_experiments(place, tables, cut):
    (place / "experiment.toml").write_text(document(tables, cut), encoding="utf-8", errors="surrogatepass")
    with watched(), suppress(InvalidInput):
        load_experiment(place / "experiment.toml")


def numpy_file(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def archive(compression):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as packed:
        packed.writestr("w.npy", numpy_file(ARRAY))
    return file.getvalue()


def checkpoint(content):
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


ARRAY = np.random.default_rng(60703).standard_normal((4, 3))
FILES = (
    numpy_file(ARRAY),
    archive(zipfile.ZIP_STORED),
    archive(zipfile.ZIP_DEFLATED),
    save({"w": ARRAY, "b": np.ones(4)}),
    checkpoint({"model": {"w": torch.ones(4, 3)}, "step": 3}),
)
CHANGES = st.lists(
    st.tuples(either("set", "cut", "insert", "repeat"), st.integers(0, 10**6), st.integers(0, 255)), max_size=6
)


def changed(content, changes):
    """A file with some of its bytes changed."""
    content = bytearray(content)
    for kind, place, byte in changes:
        at = place % (len(content) + 1)
        if kind == "set" and at < len(content):
            content[at] = byte
        elif kind == "cut":
            del content[at : at + 1 + byte // 8]
        elif kind == "insert":
            content[at:at] = bytes([byte]) * (1 + byte % 4)
        elif kind == "repeat":
            content[at:at] = content[at : at + byte]
    return bytes(content)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@inputs(0.3)
@given(content=st.one_of(st.sampled_from(FILES), st.binary(max_size=200)), changes=CHANGES)
def test_weights_and_data(place, content, changes):
    path = place / "w"
    path.write_bytes(changed(content, changes))

    def read_weights():
        array = stored(str(path), "weights", (2,))
        return array.read(0, array.shape[0] if array.shape else 0)

    for read in (read_weights, lambda: read_array(str(path), "data.path")):
        with watched(), suppress(InvalidInput):
            assert isinstance(read(), np.ndarray)


@pytest.fixture(scope="module")
def shard(place):
    simulate.run(SETTING, replicas=20, store=place / "store")
    path = shards(place / "store")[0]
    return path, path.read_bytes(), *read_file(path)


ABOUT = st.dictionaries(either("slots", "replicas", "first", "digest", "device", "range", "more"), VALUES, max_size=3)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@inputs(0.1)
@given(changes=CHANGES, about=ABOUT, without=st.sets(either("steps", "counts", "means", "losses", "second_moments")))
def test_stores(shard, changes, about, without):
    """Shards of which bytes are changed, and shards with a right checksum that say anything."""
    path, content, known, tensors = shard
    if changes:
        path.write_bytes(changed(content, changes))
    else:
        kept = {name: array for name, array in tensors.items() if name not in without}
        write_file(path, {**known, **about}, kept)
    with watched(), suppress(InvalidInput):
        simulate.merge(path.parent)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@inputs(0.05)
@given(plain=VALUES, text=st.one_of(st.text(max_size=60), VALUES.map(lambda value: json.dumps({"budget": value}))))
def test_records(place, plain, text):
    with watched():
        for kind in (tuple[Table, ...], Asked, dict[str, tuple[float, ...]]):
            with suppress(Unreadable):
                unpack(plain, {}, kind)
        (place / "report.json").write_text(text, encoding="utf-8", errors="surrogatepass")
        with suppress(InvalidInput, Damaged):
            Records(place, "").description()
