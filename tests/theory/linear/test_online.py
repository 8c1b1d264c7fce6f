"""Online training: exact enumeration, torch-free Monte Carlo, readings and hypotheses."""

from __future__ import annotations

from fractions import Fraction

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.oracles.batches import block_moments
from tests.oracles.online import OPTIMIZERS, Atom, enumerated, gaussian_atoms, train_online, two_point_atoms
from theory.catalogue import choose_form, predict
from theory.errors import InvalidInput
from theory.linear import online, population
from theory.linear.online import mean_square_limit, variances
from theory.setting import Data, Labels, Network, PowerLaw, Setting, Sphere, Student, Training, TwoPoint
from theory.testing.whole_matrix import whole_matrix_test

# ---- exactly


def agrees(atoms: list[Atom], square: int, k4: float, roots: list[Fraction], training: Training, size: int) -> None:
    """Enumeration of all rows and labels against `variances`; the off-diagonal entries vanish exactly."""
    d, steps = len(roots), training.readings[-1]
    initial = [Fraction(3, 4), Fraction(1, 2)][:d]
    found = enumerated(atoms, Fraction(square), roots, initial, Fraction(3, 2), training, size, steps)
    assert all(found[i][j] == 0 for i in range(d) for j in range(d) if i != j)
    s = np.array([float(root**2) for root in roots])
    start = np.array([float(value) for value in initial])
    p = variances(training, s, start, batch_size=size, sigma_y2=2.25, k4=k4)
    np.testing.assert_allclose(p[-1], [float(found[i][i]) for i in range(d)], rtol=1e-13)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("d", "size", "steps"), [(1, 1, 3), (1, 2, 2), (2, 1, 2)])
def test_enumeration_of_a_law_with_gaussian_moments(optimizer: str, d: int, size: int, steps: int) -> None:
    training = Training(learning_rate=0.25, steps=steps, **OPTIMIZERS[optimizer])
    agrees(gaussian_atoms(d), 3, 1.0, [Fraction(1), Fraction(1, 2)][:d], training, size)


@pytest.mark.parametrize("optimizer", ["decay", "nesterov"])
@pytest.mark.parametrize(("d", "size", "steps"), [(1, 1, 3), (1, 2, 2), (2, 1, 2)])
def test_enumeration_of_an_elliptical_law(optimizer: str, d: int, size: int, steps: int) -> None:
    """χ = 0 or 2: k4 = 2."""
    training = Training(learning_rate=0.125, steps=steps, **OPTIMIZERS[optimizer])
    agrees(two_point_atoms(d), 6, 2.0, [Fraction(1), Fraction(1, 2)][:d], training, size)


def test_on_a_sphere_in_one_dimension_x_squared_is_sure() -> None:
    """x = ±√s: k4 = 1/3, and N = s σ_y²/B without any noise from the weights."""
    training = Training(learning_rate=0.25, weight_decay=0.5, steps=3)
    agrees(
        [Atom((Fraction(1),), Fraction(1, 2)), Atom((Fraction(-1),), Fraction(1, 2))],
        1,
        1 / 3,
        [Fraction(2)],
        training,
        1,
    )
    # the limit is the noiseless one, ηh = 2
    limit = mean_square_limit(training, np.array([4.0]), batch_size=1, k4=1 / 3)
    np.testing.assert_allclose(limit, 2 / 4.5, rtol=1e-14)


@given(
    s=st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=1, max_size=5),
    optimizer=st.sampled_from(sorted(OPTIMIZERS)),
    size=st.integers(1, 4),
    k4=st.sampled_from([0.5, 1.0, 1.5]),
    steps=st.integers(0, 12),
)
def test_the_whole_matrix_recursion(s: list[float], optimizer: str, size: int, k4: float, steps: int) -> None:
    """E of (w, v)(w, v)ᵀ as one 2d × 2d matrix, from a random start: diagonal blocks are what `variances` says."""
    training = Training(learning_rate=0.1, steps=steps, **OPTIMIZERS[optimizer])
    d, sigma = len(s), np.diag(s)
    h = sigma + training.weight_decay * np.eye(d)
    z = np.zeros((2 * d, 2 * d))
    z[:d, :d] = np.diag(np.arange(1.0, d + 1))
    for k in range(steps):
        eta, mu = training.learning_rate_at(k), training.momentum
        gain, carry = (eta * (1 + mu), mu) if training.nesterov else (eta, 1.0)
        m = np.block([[np.eye(d) - gain * h, -eta * mu * carry * np.eye(d)], [h, mu * np.eye(d)]])
        kick = np.vstack([-gain * np.eye(d), np.eye(d)])
        p = z[:d, :d]
        noise = (k4 * (2 * sigma @ p @ sigma + np.trace(sigma @ p) * sigma) - sigma @ p @ sigma + 0.7 * sigma) / size
        z = m @ z @ m.T + kick @ noise @ kick.T
    found = variances(training, np.array(s), np.arange(1.0, d + 1), batch_size=size, sigma_y2=0.7, k4=k4)
    np.testing.assert_allclose(np.diag(found[0]), z[:d, :d], rtol=1e-12, atol=1e-14 * np.abs(z).max())


# ---- against Monte Carlo


def random_setting(seed: int) -> Setting:
    """Fresh rows, every law and optimizer, repeated and zero eigenvalues, well below the mean-square limit."""
    generator = np.random.default_rng([seed, 7])
    d = int(generator.integers(1, 7))
    eigenvalues = generator.choice([0.0, 0.3, 1.0, *generator.uniform(0.1, 3, 3)], d)
    eigenvalues[0] = generator.uniform(0.5, 3)
    radial = [None, Student(dof=30.0), Sphere(), TwoPoint(k4=1.5)][generator.integers(4)]
    momentum = float(generator.choice([0.0, 0.0, 0.5, 0.8]))
    size, steps, online_rows = int(generator.integers(1, 5)), int(generator.integers(1, 16)), generator.integers(2)
    training = Training(
        momentum=momentum,
        nesterov=bool(momentum and generator.integers(2)),
        weight_decay=float(generator.choice([0.0, 0.2])),
        drops=((3, 0.5), (8, 0.5)) if generator.integers(2) else (),
        batch_size=size,
        sampling="fresh" if online_rows else "epochs",
        steps=steps,
    )
    data = Data(
        kind="gaussian" if radial is None else "elliptical",
        spectrum=tuple(eigenvalues.tolist()),
        radial=radial,
        rotate=False,
        samples="online" if online_rows else size * steps + int(generator.integers(size)),
    )
    network = Network(
        parametrization=str(generator.choice(["standard", "ntk"])),
        init_spectrum=tuple(generator.uniform(0.2, 2, d).tolist()) if generator.integers(3) == 0 else (),
    )
    limit = mean_square_limit(
        training,
        eigenvalues / (d if network.parametrization == "ntk" else 1),
        batch_size=size,
        k4=population.fourth_moment_ratio(data),
    )
    training = msgspec.structs.replace(training, learning_rate=float(generator.uniform(0.05, 0.35) * limit))
    labels = Labels(variance=float(generator.uniform(0.5, 3)))
    return Setting(data=data, network=network, training=training, labels=labels)


def judged(setting: Setting, replicas: int, seed: int, factor: np.ndarray | float = 1.0) -> tuple[float, np.ndarray]:
    """The p-value of the predicted matrix, its diagonal stretched by `factor`, and the scores of the diagonals."""
    (reading,) = predict(setting).readings
    assert reading.second_moment is not None
    (weights,) = train_online(setting, replicas, seed)
    test = whole_matrix_test(
        reading.second_moment * factor,
        block_moments(weights),
        gaussian=False,
        counts=np.full(200, replicas / 200),
    )
    return test.pvalue, test.diagonal_zscores


@pytest.mark.parametrize("seed", range(10))
def test_second_moment_matrix(seed: int) -> None:
    assert judged(random_setting(seed), 40_000, 100 + seed)[0] >= 1e-7


@pytest.mark.parametrize("seed", [1, 5])
def test_seven_percent_in_one_tau_is_found(seed: int) -> None:
    setting = random_setting(seed)
    factor = np.eye(len(setting.data.eigenvalues))
    factor[0, 0] = 1.07
    assert judged(setting, 100_000, 100 + seed, factor)[0] < 1e-7


@pytest.mark.slow
def test_second_moment_matrices_of_many_settings() -> None:
    """No rejection, uniform p-values, and 7 % planted in one τ is found, over 240 settings."""
    pvalues, uniform, found = [], [], []
    for seed in range(1000, 1240):
        setting = random_setting(seed)
        (reading,) = predict(setting).readings
        (weights,) = train_online(setting, 60_000, seed)
        moments, counts = block_moments(weights), np.full(200, 300)
        test = whole_matrix_test(reading.second_moment, moments, gaussian=False, counts=counts)
        pvalues.append(test.pvalue)
        uniform.append(stats.norm.sf(test.diagonal_zscores[seed % test.rank]))
        planted = reading.second_moment.copy()
        planted[0, 0] *= 1.07
        found.append(whole_matrix_test(planted, moments, gaussian=False, counts=counts).pvalue < 1e-6 / 240)
    assert min(pvalues) >= 1e-6 / len(pvalues)
    assert stats.kstest(uniform, "uniform").pvalue >= 1e-6
    assert np.mean(found) >= 0.95


# ---- readings and hypotheses


def test_ntk_is_standard_on_divided_rows() -> None:
    spectrum = (0.5, 2.0, 3.0, 3.0)
    training = Training(batch_size=2, sampling="fresh", steps=(1, 9), learning_rate=0.1)
    ntk = Setting(
        data=Data(kind="elliptical", spectrum=spectrum, samples="online"),
        network=Network(parametrization="ntk"),
        training=training,
    )
    divided = Data(kind="elliptical", spectrum=tuple(s / 4 for s in spectrum), samples="online")
    standard = Setting(data=divided, network=Network(init_variance=4.0), training=training)
    for one, two in zip(predict(ntk).readings, predict(standard).readings, strict=True):
        np.testing.assert_allclose(one.tau, two.tau, rtol=1e-14)
        np.testing.assert_allclose(one.sigma, 2 * two.sigma, rtol=1e-14)


def test_one_full_batch_step_averaged_over_rows() -> None:
    """σ_0² [1 − 2ηs + η² ((1 + 1/n) s² + s tr Σ/n)] + σ_y² η² s/n."""
    s, n, eta = np.array([0.5, 1.0, 2.0]), 7, 0.3
    setting = Setting(
        data=Data(kind="gaussian", spectrum=tuple(s), samples=n), training=Training(steps=1, learning_rate=eta)
    )
    assert choose_form(setting) is online.FORM
    expected = (1 - 2 * eta * s + eta**2 * ((1 + 1 / n) * s**2 + s * s.sum() / n)) / 3 + eta**2 * s / n
    np.testing.assert_allclose(predict(setting).readings[0].tau, expected, rtol=1e-14)


ONLINE = Setting(
    data=Data(kind="gaussian", spectrum=(1.0, 2.0), samples="online"),
    training=Training(batch_size=4, sampling="fresh", steps=20),
)


@pytest.mark.parametrize(
    ("data", "training", "fresh"),
    [
        ({"samples": "online"}, {"batch_size": 4, "sampling": "fresh"}, None),
        ({"samples": 23}, {"batch_size": 4}, 5),
        ({"samples": 23}, {"batch_size": 23}, 1),
        ({"samples": 23}, {}, 1),
        ({"samples": 23}, {"batch_size": 4, "sampling": "fresh"}, 1),
        ({"samples": 23}, {"batch_size": 4, "sampling": "replacement"}, 0),
        ({"samples": 23}, {"batch_size": 1, "sampling": "replacement"}, 1),
    ],
)
def test_as_long_as_rows_are_fresh(data: dict, training: dict, fresh: int | None) -> None:
    law = Data(kind="gaussian", spectrum=(1.0, 2.0), **data)
    for steps in (0, 1, 5, 6, 500):
        setting = Setting(data=law, training=Training(steps=steps, **training))
        assert (online.refusal(setting) is None) == (fresh is None or steps <= fresh)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"network": Network(kind="mlp")}, "network.kind = 'mlp'"),
        ({"labels": Labels(kind="teacher")}, "labels.kind = 'teacher'"),
        ({"data": Data(kind="digits")}, "data.kind = 'digits'"),
        ({"data": Data(kind="gaussian", spectrum=(1.0,), fixed=True)}, "data.fixed = true"),
        ({"data": Data(kind="gaussian", spectrum=(1.0,), mean=(0.5,), samples="online")}, "data.mean"),
        ({"network": Network(init_spectrum=(1.0, 2.0))}, "network.init_spectrum"),
        (
            {"data": Data(kind="elliptical", spectrum=(1.0,), radial=Student(dof=4.0), samples="online")},
            "data.radial.dof = 4: the fourth moment",
        ),
    ],
)
def test_each_missing_hypothesis_is_named(changes: dict, reason: str) -> None:
    answer = online.refusal(msgspec.structs.replace(ONLINE, **changes))
    assert answer is not None
    assert answer.startswith(reason)


def test_overflow_is_said_and_growth_is_not_refused() -> None:
    growing = msgspec.structs.replace(
        ONLINE, training=Training(batch_size=1, sampling="fresh", steps=50, learning_rate=0.9)
    )
    assert predict(growing).readings[0].tau[-1] > 1e4
    endless = msgspec.structs.replace(growing.training, steps=9_000)
    with pytest.raises(InvalidInput, match=r"makes the mean square overflow by step 9000: it stays bounded below 0\."):
        predict(msgspec.structs.replace(growing, training=endless))


def test_five_hundred_directions() -> None:
    """A power law, d = 512, 1000 steps: the recursion costs O(d) per step."""
    data = Data(kind="gaussian", spectrum=PowerLaw(dimension=512), samples="online")
    training = Training(batch_size=8, sampling="fresh", steps=(0, 1000), learning_rate=0.05)
    reading = predict(Setting(data=data, training=training)).readings[1]
    assert reading.multiplicity == (1,) * 512
    assert np.all(np.diff(reading.sigma) > 0)
