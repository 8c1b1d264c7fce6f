"""Mini-batches of fixed rows: every batch sequence in Fractions, Monte Carlo, the scalar form."""

from __future__ import annotations

from fractions import Fraction

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.oracles.batches import (
    block_moments,
    covariance_second_moment,
    enumerated_second_moment,
    random_batch_setting,
    recursion_second_moment,
    replicas,
)
from tests.oracles.linear import OPTIMIZERS, exact, fixed_setting
from theory.catalogue import predict
from theory.eigenspaces import eigenspaces, weight_variances
from theory.errors import InvalidInput, NoClosedForm
from theory.linear.eigenbasis import in_eigenbasis
from theory.linear.mini_batch import batch_variance
from theory.linear.mini_batch_scalar import heaviness
from theory.setting import Data, Labels, Network, Setting, Training
from theory.testing import whole_matrix_test

PLAIN = {name: options for name, options in OPTIMIZERS.items() if "momentum" not in options}


def rational_rows(n: int, d: int) -> np.ndarray:
    return np.random.default_rng([n, d, 3]).integers(-2, 3, (n, d)) / 2


def rational_setting(rows: np.ndarray, training: Training) -> Setting:
    """σ_y = 3/2 and σ_0² = 3/4, as in the enumerations."""
    network = Network(init_variance=0.75 * rows.shape[1])
    return fixed_setting(rows, training, labels=Labels(kind="rademacher", variance=2.25), network=network)


# ---- exactly


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    ("sampling", "n", "d", "size", "steps"),
    [
        ("fresh", 4, 2, 2, 3),
        ("fresh", 4, 2, 1, 2),
        ("fresh", 2, 3, 1, 3),
        ("replacement", 3, 2, 2, 2),
        ("replacement", 3, 2, 1, 3),
        ("replacement", 2, 1, 2, 3),
        ("epochs", 3, 2, 2, 2),  # one batch an epoch, one row left over: a new batch at every step
    ],
)
def test_every_batch_sequence(optimizer: str, sampling: str, n: int, d: int, size: int, steps: int) -> None:
    """All label vectors and all sequences in Fractions: the recursions exactly, the package to 1e-13."""
    rows = rational_rows(n, d)
    problem = (exact(rows), Fraction(3, 2), [Fraction(3, 4)] * d)
    training = Training(
        learning_rate=0.125, batch_size=size, sampling=sampling, steps=tuple(range(steps + 1)), **OPTIMIZERS[optimizer]
    )
    enumerated = enumerated_second_moment(*problem, training, size, steps)
    assert enumerated == covariance_second_moment(*problem, training, size, steps)
    if optimizer in PLAIN:
        assert enumerated == recursion_second_moment(*problem, training, size, steps)
    prediction = predict(rational_setting(rows, training), rows=rows)
    assert prediction.formula == "linear-mini-batch"
    expected = np.array(enumerated, dtype=float)
    atol = 1e-13 * np.abs(expected).max()
    np.testing.assert_allclose(prediction.readings[-1].second_moment, expected, rtol=0, atol=atol)


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 9),
    levels=st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=1, max_size=6),
    sampling=st.sampled_from(["fresh", "replacement"]),
    optimizer=st.sampled_from(sorted(OPTIMIZERS)),
    steps=st.integers(1, 9),
    ntk=st.booleans(),
)
@settings(max_examples=25)
def test_the_eigenbasis_changes_nothing(
    seed: int, n: int, levels: list[float], sampling: str, optimizer: str, steps: int, ntk: bool
) -> None:
    """The form agrees with the covariance of (weights, buffer) in the coordinates of the data, by dense matrices."""
    generator = np.random.default_rng(seed)
    d = len(levels)
    rows = generator.standard_normal((n, d)) * np.sqrt(levels)
    size = int(generator.integers(1, n))
    options = OPTIMIZERS[optimizer]
    training = Training(learning_rate=0.1, batch_size=size, sampling=sampling, steps=steps, **options)
    variances = generator.uniform(0.1, 1, d)
    network = Network(init_spectrum=tuple(variances), parametrization="ntk" if ntk else "standard")
    setting = fixed_setting(rows, training, network=network, labels=Labels(variance=1.5))
    predicted = predict(setting, rows=rows).readings[0].second_moment
    expected = _dense(rows / np.sqrt(d) if ntk else rows, 1.5, np.diag(variances), training, size)
    np.testing.assert_allclose(predicted, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def _dense(rows: np.ndarray, sigma_y2: float, initial: np.ndarray, training: Training, size: int) -> np.ndarray:
    """E of (w, v, y)(w, v, y)ᵀ, propagated as one matrix: the mean update, plus the covariance of the batch."""
    n, d = rows.shape
    mu, decay = training.momentum, training.weight_decay
    kappa = n / size if training.sampling == "replacement" else n * (n - size) / (size * (n - 1))
    joint = np.zeros((2 * d + n, 2 * d + n))
    joint[:d, :d], joint[2 * d :, 2 * d :] = initial, sigma_y2 * np.eye(n)
    residual = np.hstack([rows, np.zeros((n, d)), -np.eye(n)])
    gradient = rows.T @ residual / n
    gradient[:, :d] += decay * np.eye(d)
    for step in range(training.readings[-1]):
        eta = training.learning_rate_at(step)
        buffer = gradient.copy()
        buffer[:, d : 2 * d] += mu * np.eye(d)
        move = gradient + mu * buffer if training.nesterov else buffer
        noise_gain = eta * (1 + mu) if training.nesterov else eta
        update = np.eye(2 * d + n)
        update[:d] -= eta * move
        update[d : 2 * d] = buffer
        gamma = np.vstack([-noise_gain * np.eye(d), np.eye(d), np.zeros((n, d))])
        r = residual @ joint @ residual.T
        c = kappa / n**2 * (rows.T @ np.diag(r.diagonal()) @ rows - rows.T @ r @ rows / n)
        joint = update @ joint @ update.T + gamma @ c @ gamma.T
    return joint[:d, :d]


@pytest.mark.parametrize("sampling", ["fresh", "replacement"])
def test_the_variance_of_batch_weights(sampling: str) -> None:
    """κ_B from all batches of 3 out of 5 rows."""
    import itertools

    setting = fixed_setting(np.ones((5, 1)), Training(batch_size=3, sampling=sampling))
    every = itertools.combinations(range(5), 3) if sampling == "fresh" else itertools.product(range(5), repeat=3)
    weights = np.array([np.bincount(batch, minlength=5) * 5 / 3 for batch in every])
    expected = batch_variance(setting) * (np.eye(5) - 1 / 5)
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=1e-14)
    np.testing.assert_allclose(np.cov(weights.T, bias=True), expected, atol=1e-14)


def test_given_the_rows_alignment_is_approximate() -> None:
    """The full batch commutes with X'X; mini-batches do not, unless the average over rows is taken."""
    rows = np.random.default_rng(8).standard_normal((12, 3))
    s = rows.T @ rows / 12
    for size, aligned in (("full", True), (2, False)):
        moment = predict(
            fixed_setting(rows, Training(batch_size=size, sampling="fresh", learning_rate=0.2)), rows=rows
        ).readings[0]
        commutator = s @ moment.second_moment - moment.second_moment @ s
        assert (np.abs(commutator).max() < 1e-14) == aligned


# ---- against Monte Carlo


def judged(seed: int, sampling: str, count: int = 50_000) -> tuple[Setting, np.ndarray, np.ndarray, np.ndarray]:
    setting, rows = random_batch_setting(seed, sampling)
    predicted = predict(setting, rows=rows).readings[0].second_moment
    assert predicted is not None
    return setting, rows, predicted, block_moments(replicas(setting, rows, seed, count))


@pytest.mark.parametrize("sampling", ["fresh", "replacement"])
@pytest.mark.parametrize("seed", range(4))
def test_second_moment_matrix(seed: int, sampling: str) -> None:
    _, _, predicted, blocks = judged(seed, sampling)
    test = whole_matrix_test(predicted, blocks, gaussian=False, counts=np.full(200, 250))
    assert test.pvalue >= 1e-7


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_second_moment_matrices_of_many_settings() -> None:
    """No rejection, uniform p-values, and 7 % planted in one τ is found, over 210 settings."""
    tests, uniform, found = [], [], []
    for seed in range(1000, 1210):
        _, rows, predicted, blocks = judged(seed, ("fresh", "replacement")[seed % 2], count=80_000)
        counts = np.full(200, 400)
        test = whole_matrix_test(predicted, blocks, gaussian=False, counts=counts)
        tests.append(test.pvalue)
        # one diagonal a setting, chosen beforehand: its score is a standard normal number
        uniform.append(2 * stats.norm.sf(abs(test.diagonal_zscores[seed % test.rank])))
        spaces = eigenspaces(rows.T @ rows / len(rows))
        tau = weight_variances(spaces, predicted)
        space = seed % len(tau)
        stretch = np.eye(rows.shape[1]) + (1.07**0.5 - 1) * spaces.projectors[space]
        wrong = whole_matrix_test(stretch @ predicted @ stretch, blocks, gaussian=False, counts=counts)
        found.append(wrong.pvalue < 1e-6 / 210)
    assert min(tests) >= 1e-6 / len(tests)
    assert stats.kstest(uniform, "uniform").pvalue >= 1e-6
    assert np.mean(found) >= 0.95


def test_rows_that_are_all_zero() -> None:
    rows = np.zeros((4, 2))
    training = Training(batch_size=2, sampling="fresh", steps=5)
    assert predict(fixed_setting(rows, training), rows=rows).readings[0].tau.tolist() == [0.5]


# ---- the door


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"training": Training()}, "the full batch is not drawn"),
        ({"training": Training(batch_size=3)}, "not independent"),
        ({"training": Training(batch_size=3, sampling="fresh", optimizer="adam")}, "optimizer"),
        ({"data": Data(kind="gaussian", spectrum=(1.0, 2.0), samples=6)}, "data.fixed = false"),
    ],
)
@pytest.mark.parametrize("formula", ["linear-mini-batch", "linear-mini-batch-scalar"])
def test_refusals(change: dict, reason: str, formula: str) -> None:
    fixed = Data(kind="gaussian", spectrum=(1.0, 2.0), samples=6, fixed=True)
    tables: dict = {"data": fixed, "training": Training(batch_size=3, sampling="fresh"), **change}
    with pytest.raises(NoClosedForm, match=reason):
        predict(Setting(**tables), rows=np.ones((6, 2)), formula=formula)


def test_an_overflow_names_the_learning_rate() -> None:
    rows = np.random.default_rng(2).standard_normal((10, 3))
    training = Training(learning_rate=30.0, batch_size=1, sampling="fresh", steps=(3, 2000))
    with pytest.raises(InvalidInput, match="overflow by step 2000: unstable in mean square") as caught:
        predict(fixed_setting(rows, training), rows=rows)
    assert caught.value.key == "training.learning_rate"


# ---- by d numbers


def gaussian_rows(n: int, d: int, seed: int) -> np.ndarray:
    return np.random.default_rng([n, d, seed]).standard_normal((n, d)) * np.sqrt(np.linspace(0.1, 3, d))


def scalar_error(rows: np.ndarray, training: Training, init: float, **data: object) -> tuple[float, float]:
    """The largest relative error of τ against the exact form, and the error budget."""
    n, d = rows.shape
    law = Data(**{"kind": "gaussian", "spectrum": (1.0,) * d, "samples": n, "fixed": True, **data})  # type: ignore[arg-type]
    setting = Setting(data=law, training=training, network=Network(init_variance=init * d))
    scalar = predict(setting, rows=rows, formula="linear-mini-batch-scalar")
    exact_form = predict(setting, rows=rows)
    assert exact_form.formula == "linear-mini-batch"
    assert scalar.error_budget is not None
    errors = [np.abs(a.tau / b.tau - 1).max() for a, b in zip(scalar.readings, exact_form.readings, strict=True)]
    return float(max(errors)), scalar.error_budget


@pytest.mark.parametrize("init", [0.01, 0.1])
def test_the_scalar_reduction_is_within_its_budget(init: float) -> None:
    rows = gaussian_rows(300, 10, 0)
    training = Training(learning_rate=0.05, batch_size=5, sampling="fresh", weight_decay=0.05, steps=(10, 50, 200))
    error, budget = scalar_error(rows, training, init)
    assert error < budget
    wrong = msgspec.structs.replace(training, batch_size=3)
    lone = predict(fixed_setting(rows, training), rows=rows, formula="linear-mini-batch-scalar").readings[-1].tau
    other = predict(fixed_setting(rows, wrong), rows=rows, formula="linear-mini-batch-scalar").readings[-1].tau
    assert np.abs(other / lone - 1).max() > 2 * budget  # a wrong κ_B would be seen


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("size", [2, 10])
@pytest.mark.parametrize("n", [60, 300, 2000])
def test_table_of_errors_of_the_scalar_reduction(n: int, size: int) -> None:
    """d = 30; η halved three times at fixed ηt: the error stays below ε/4, ε = ηκ_B tr(S)/n, so it is O(η)."""
    rows, errors = gaussian_rows(n, 30, 1), []
    for halvings in range(4):
        t = 80 * 2**halvings
        training = Training(
            learning_rate=size / 100 / 2**halvings,
            batch_size=size,
            sampling="fresh",
            steps=(t // 8, t // 2, t, 2 * t),
        )
        error, _ = scalar_error(rows, training, 0.01)
        noise = training.learning_rate * (n - size) / (n - 1) / size * np.sum(rows**2) / n
        errors.append((noise, error))
        assert error < noise / 4, (n, size, halvings)
    print(f"n = {n}, B = {size}: " + ", ".join(f"{e:.4f} at ε = {x:.3f}" for x, e in errors))


@pytest.mark.slow
@pytest.mark.parametrize("law", ["gaussian, n <= 2d", "sphere", "signs", "laplace"])
def test_budget_without_the_gaussian_term(law: str) -> None:
    for seed in range(3):
        generator = np.random.default_rng([seed, 21])
        n, d = (20, 15) if law == "gaussian, n <= 2d" else (200, 15)
        z = generator.standard_normal((n, d))
        if law == "sphere":
            z *= np.sqrt(d) / np.linalg.norm(z, axis=1, keepdims=True)
        if law == "signs":
            z = np.sign(z)
        if law == "laplace":
            z = generator.laplace(size=(n, d)) / np.sqrt(2)
            z *= 0.5 ** (np.sum(z**2, axis=1, keepdims=True) > 1.4 * d)  # the tails that the regime admits
        rows = z * np.sqrt(np.linspace(0.1, 3, d))
        data = {"mean": (1e-9,) * d} if n > 2 * d else {}  # a mean, however small: no Gaussian term
        training = Training(learning_rate=0.05, batch_size=4, sampling="fresh", steps=(10, 100, 400))
        error, budget = scalar_error(rows, training, 0.05, **data)
        print(f"{law}: {error:.4f} of {budget:.4f}")
        assert error < budget


def test_the_scalar_reduction_refuses_outside_its_regime() -> None:
    rows = gaussian_rows(60, 10, 2)
    name = "linear-mini-batch-scalar"
    with pytest.raises(NoClosedForm, match="the batch noise") as caught:
        predict(
            fixed_setting(rows, Training(learning_rate=0.2, batch_size=2, sampling="fresh")), rows=rows, formula=name
        )
    assert caught.value.key == "training.learning_rate"
    tails = rows * np.where(np.arange(60) % 10 == 0, 4.0, 0.5)[:, None]
    small = Training(learning_rate=0.01, batch_size=5, sampling="fresh")
    with pytest.raises(NoClosedForm, match="times that of Gaussian rows"):
        predict(fixed_setting(tails, small), rows=tails, formula=name)
    for training in (
        Training(learning_rate=0.01, batch_size=5, sampling="fresh", momentum=0.5),
        Training(learning_rate=0.01, batch_size=5),
    ):
        with pytest.raises(NoClosedForm):
            predict(fixed_setting(rows, training), rows=rows, formula=name)
    oblique = fixed_setting(rows, small, network=Network(init_spectrum=tuple(np.linspace(1, 2, 10))))
    with pytest.raises(NoClosedForm, match="isotropic"):
        predict(oblique, rows=rows, formula=name)


def test_heaviness_of_gaussian_rows_is_one() -> None:
    rows = gaussian_rows(40_000, 6, 3)
    assert heaviness(in_eigenbasis(fixed_setting(rows, Training()), rows)) == pytest.approx(1, abs=0.02)
    assert heaviness(in_eigenbasis(fixed_setting(np.zeros((3, 2)), Training()), np.zeros((3, 2)))) == 1


@pytest.mark.parametrize(("samples", "variance"), [(1, 0.0), (2, 0.0), (4, 4 * 2 / (2 * 3))])
def test_batches_of_all_rows_do_not_vary(samples: int, variance: float) -> None:
    """One row of one, two of two, two of four."""
    data = Data(kind="gaussian", spectrum=(1.0,), samples=samples, fixed=True)
    training = Training(batch_size=min(2, samples), sampling="fresh")
    assert batch_variance(Setting(data=data, training=training)) == pytest.approx(variance)
