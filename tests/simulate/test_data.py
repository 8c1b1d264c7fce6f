"""The laws of rows and labels: moments within their standard errors, at a false alarm below 1e-6 a test."""

import numpy as np
import pytest
from scipy import stats

import simulate
from simulate.data import haar_orthogonal, open_source
from simulate.inputs import Draws
from simulate.labels import one_hot
from simulate.streams import SCHEME, Purpose, Streams
from theory.setting import Data, Ensemble, InvalidInput, Labels, Network, Setting, Sphere, Student, Training, TwoPoint

SPECTRUM = (0.5, 1.0, 1.0, 3.0)
N = 40_000
LAWS = {
    "gaussian": {"kind": "gaussian"},
    "gaussian, axes": {"kind": "gaussian", "rotate": False},
    "gaussian, mean": {"kind": "gaussian", "mean": (1.0, 0.0, 0.5, -2.0)},
    "student": {"kind": "elliptical", "radial": Student(dof=30)},
    "sphere": {"kind": "elliptical", "radial": Sphere()},
    "two-point": {"kind": "elliptical", "radial": TwoPoint(k4=1.4), "mean": (0.0, 0.0, 1.0, 0.0)},
}


def drawn(setting, n=N, replica=0):
    streams = Streams(setting.ensemble.seed)
    source, _ = open_source(setting, streams)
    out = np.empty((n, setting.data.dimension))
    assert source.draw(streams.at(Purpose.DATA, replica), out) is None
    return out, source.population


def largest_z(samples, expected):
    """The largest |z| of the sample means (n, …) against their expectations, by their own standard errors."""
    error = samples.std(axis=0) / np.sqrt(len(samples))
    return np.max(np.abs(samples.mean(axis=0) - expected) / np.maximum(error, 1e-12))


def limit(quantities, alpha=1e-7):
    return stats.norm.isf(alpha / 2 / quantities)


@pytest.mark.parametrize("name", LAWS)
def test_moments_of_a_law(name):
    setting = Setting(data=Data(spectrum=SPECTRUM, **LAWS[name]))
    x, population = drawn(setting)
    assert np.allclose(np.linalg.eigvalsh(population.covariance), SPECTRUM)
    products = np.einsum("ni,nj->nij", x, x)
    assert largest_z(x, population.mean) < limit(4)
    assert largest_z(products, population.second_moment) < limit(10)
    # The test can fail: a covariance that is 8 % too large is seen.
    assert largest_z(products, 1.08 * population.second_moment) > limit(10)


@pytest.mark.parametrize(
    ("radial", "k4"), [(None, 1.0), (Student(dof=30), 28 / 26), (TwoPoint(k4=1.4), 1.4), (Sphere(), None)]
)
def test_radial_laws(radial, k4):
    """The squared radius q = xᵀ Σ⁻¹ x has E q = d and E q² = E χ² · d(d + 2), or q = d on the sphere."""
    kind = "gaussian" if radial is None else "elliptical"
    x, population = drawn(Setting(data=Data(kind=kind, spectrum=SPECTRUM, radial=radial)))
    q = np.einsum("ni,ij,nj->n", x, np.linalg.inv(population.covariance), x)
    if k4 is None:
        assert np.allclose(q, 4)
    else:
        assert largest_z(q[:, None], 4) < limit(1)
        assert largest_z(q[:, None] ** 2, 24 * k4) < limit(1)


def test_singular_spectrum_stays_in_its_range():
    x, population = drawn(Setting(data=Data(kind="gaussian", spectrum=(0.0, 0.0, 1.0))), n=50)
    assert np.linalg.matrix_rank(x) == 1
    assert np.linalg.matrix_rank(population.second_moment, tol=1e-12) == 1


def test_one_basis_for_a_setting():
    setting = Setting(data=Data(kind="gaussian", spectrum=SPECTRUM))
    first, again = simulate.population(setting), simulate.population(setting)
    assert np.array_equal(first.second_moment, again.second_moment)
    axes = simulate.population(Setting(data=Data(kind="gaussian", spectrum=SPECTRUM, rotate=False)))
    assert np.array_equal(axes.second_moment, np.diag(SPECTRUM))
    assert np.abs(first.second_moment - np.diag(np.diag(first.second_moment))).max() > 0.1


def test_mean_is_given_in_the_eigenbasis():
    mean = (1.0, 0.0, 0.0, 0.0)
    population = simulate.population(Setting(data=Data(kind="gaussian", spectrum=SPECTRUM, mean=mean)))
    assert np.allclose(population.covariance @ population.mean, SPECTRUM[0] * population.mean)
    assert np.isclose(np.linalg.norm(population.mean), 1)


def test_haar_orthogonal():
    rng = np.random.default_rng(0)
    draws = np.array([haar_orthogonal(rng, 3) for _ in range(4000)])
    assert np.allclose(draws @ draws.transpose(0, 2, 1), np.eye(3))
    # E q_ij = 0 and E q_ij² = 1/d; QR without the sign correction has a negative diagonal on average.
    assert largest_z(draws, 0) < limit(9)
    assert largest_z(draws**2, 1 / 3) < limit(9)
    raw = np.array([np.linalg.qr(rng.standard_normal((3, 3)))[0] for _ in range(4000)])
    assert largest_z(raw, 0) > limit(9)


def labels_of(labels, n=N, loss="mse"):
    data = Data(kind="gaussian", spectrum=SPECTRUM, samples=n)
    setting = Setting(data=data, labels=labels, training=Training(loss=loss))
    inputs = simulate.replica_inputs(setting, [3])
    return inputs.x[0].numpy(), inputs.y[0].numpy()


@pytest.mark.parametrize("kind", ["gaussian", "rademacher"])
def test_random_labels(kind):
    x, y = labels_of(Labels(kind=kind, variance=2.5, outputs=2))
    assert y.shape == (N, 2)
    assert largest_z(y[:, :1] * y[:, 1:], 0) < limit(1)
    if kind == "rademacher":
        assert np.allclose(np.abs(y), np.sqrt(2.5))
    else:
        assert largest_z(y**2, 2.5) < limit(2)
        assert largest_z(y**4, 3 * 2.5**2) < limit(2)
    assert largest_z(y, 0) < limit(2)
    assert largest_z(np.einsum("ni,na->nia", x, y), 0) < limit(8)


def test_random_classes():
    x, y = labels_of(Labels(kind="classes", classes=5))
    assert np.allclose(np.sort(y, axis=1), [[-0.2] * 4 + [0.8]])
    assert largest_z(y, 0) < limit(5)
    # σ_y² = (C − 1)/C² for every output.
    assert largest_z(y**2, 4 / 25) < limit(5)
    assert largest_z(np.einsum("ni,na->nia", x, y), 0) < limit(20)
    _, indices = labels_of(Labels(kind="classes", classes=5), loss="cross-entropy")
    assert indices.dtype == np.int64
    # The same replica has the same classes, whatever the loss makes of them.
    assert np.array_equal(one_hot(indices, 5), y)


def test_teacher_is_linear_shared_and_of_unit_variance():
    x, y = labels_of(Labels(kind="teacher", outputs=2))
    teacher = np.linalg.lstsq(x, y, rcond=None)[0]
    assert np.allclose(x @ teacher, y)
    data = Data(kind="gaussian", spectrum=SPECTRUM)
    covariance = simulate.population(Setting(data=data)).covariance
    assert np.allclose(np.diag(teacher.T @ covariance @ teacher), 1)
    other = simulate.replica_inputs(Setting(data=data, labels=Labels(kind="teacher", outputs=2)), [11])
    assert np.allclose(other.x[0].numpy() @ teacher, other.y[0].numpy())
    x, noisy = labels_of(Labels(kind="teacher", outputs=2, noise=0.5))
    assert largest_z((noisy - x @ teacher) ** 2, 0.5) < limit(2)


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
def test_initial_weights(parametrization):
    network = Network(
        kind="mlp", hidden=(50, 40), init_variance=(2.0, 1.0, 3.0), parametrization=parametrization, bias=True
    )
    setting = Setting(data=Data(kind="gaussian", spectrum=SPECTRUM, samples=2), network=network)
    inputs = simulate.replica_inputs(setting, range(100))
    shapes = [tuple(p.shape[1:]) for p in inputs.parameters]
    assert shapes == [(50, 4), (50,), (40, 50), (40,), (1, 40), (1,)]
    fan_in = (4, 50, 40) if parametrization == "standard" else (1, 1, 1)
    for w, variance, fan in zip(inputs.parameters[::2], network.layer_variances, fan_in, strict=True):
        flat = w.numpy().reshape(-1, 1)
        assert largest_z(flat, 0) < limit(1)
        assert largest_z(flat**2, variance / fan) < limit(1)
    assert all((b == 0).all() for b in inputs.parameters[1::2])


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
def test_initial_spectrum(parametrization):
    spectrum = (0.0, 1.0, 2.0, 5.0)
    network = Network(kind="mlp", hidden=(200,), init_spectrum=spectrum, parametrization=parametrization)
    setting = Setting(data=Data(kind="gaussian", spectrum=SPECTRUM, samples=2), network=network)
    w = simulate.replica_inputs(setting, range(100)).parameters[0].numpy().reshape(-1, 4)
    assert (w[:, 0] == 0).all()
    assert largest_z(np.einsum("ni,nj->nij", w, w), np.diag(spectrum)) < limit(10)


def test_streams_are_independent_of_each_other():
    setting = Setting(data=Data(kind="gaussian", spectrum=SPECTRUM, samples=20))
    inputs = simulate.replica_inputs(setting, [0, 1])
    assert not np.isin(inputs.x[0].numpy(), inputs.x[1].numpy()).any()
    # Rows and labels of one replica start from different streams, though both are Gaussian.
    streams = Streams(0)
    starts = [streams.at(purpose, 0).standard_normal() for purpose in Purpose]
    starts += [streams.at(purpose).standard_normal() for purpose in Purpose]
    starts += [Streams(1).at(purpose, 0).standard_normal() for purpose in Purpose]
    assert len(set(starts)) == len(starts)


def test_streams_are_philox():
    key, counter = np.array([7, 3], dtype=np.uint64), np.array([0, 0, 0, Purpose.ORDER], dtype=np.uint64)
    fresh = np.random.Generator(np.random.Philox(key=key, counter=counter))
    streams = Streams(7)
    streams.at(Purpose.DATA, 3).integers(5, dtype=np.uint32)  # leaves half a word behind
    assert np.array_equal(streams.at(Purpose.ORDER, 3).integers(2**32, size=9), fresh.integers(2**32, size=9))


def test_the_random_scheme_is_pinned():
    """A change of these numbers is another `streams.SCHEME`, since stored ensembles would no longer be continued."""
    data = Data(kind="gaussian", spectrum=(1.0, 4.0), rotate=False, samples=3)
    setting = Setting(data=data, training=Training(batch_size=2, steps=2), ensemble=Ensemble(seed=5))
    inputs = simulate.replica_inputs(setting, [17])
    assert SCHEME == 1
    np.testing.assert_allclose(inputs.x[0, 0], [-1.2968979269650251, -0.36688852627903124], rtol=1e-15)
    np.testing.assert_allclose(
        inputs.y[0, :, 0], [-0.6497992022809379, 1.3193215566117582, -2.3570446507858036], rtol=1e-15
    )
    np.testing.assert_allclose(inputs.parameters[0][0, 0], [0.589669983156693, -0.3551729910229885], rtol=1e-15)
    assert inputs.orders[0].tolist() == [[2, 0], [1, 2]]


def test_fixed_rows():
    setting = Setting(data=Data(kind="gaussian", spectrum=SPECTRUM, samples=7, fixed=True))
    x = simulate.rows(setting)
    inputs = simulate.replica_inputs(setting, [0, 5])
    assert np.array_equal(inputs.x.numpy(), x)
    assert not np.array_equal(inputs.y[0], inputs.y[1])
    assert np.array_equal(Draws(setting).data_moment, x.T @ x / 7)
    with pytest.raises(InvalidInput, match=r"data\.fixed = False: must be true"):
        simulate.rows(Setting(data=Data(kind="gaussian", spectrum=SPECTRUM)))


def test_data_moment():
    data = {"kind": "gaussian", "spectrum": (1.0, 2.0), "rotate": False}
    plain, shifted = Setting(data=Data(**data)), Setting(data=Data(**data, mean=(0.0, 1.0)))
    assert np.array_equal(Draws(plain).data_moment, np.diag([1.0, 2.0]))
    assert np.array_equal(Draws(shifted).data_moment, np.diag([1.0, 2.0]))
    assert np.array_equal(simulate.population(shifted).second_moment, np.diag([1.0, 3.0]))
