"""The full-batch form against enumeration in Fractions and torch.optim.SGD; readings, hypotheses."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.linear import (
    OPTIMIZERS,
    enumerated_second_moment,
    exact,
    fixed_setting,
    formula_second_moment,
    rows_with_spectrum,
)
from theory.catalogue import predict
from theory.eigenspaces import eigenspaces, weight_variances
from theory.errors import InvalidInput
from theory.linear import full_batch
from theory.linear.propagators import propagators, stability_limit
from theory.setting import Data, Labels, Network, Setting, Training


@dataclass(frozen=True, eq=False)
class Problem:
    """Rows with a known spectrum, and how they are trained."""

    rows: np.ndarray
    eigenvalues: np.ndarray  # of X'X/n, ascending
    training: Training
    seed: int


@st.composite
def problems(draw: st.DrawFn, max_steps: int = 30) -> Problem:
    """n above and below d, repeated and zero eigenvalues, every optimizer, within the stability limit."""
    n = draw(st.integers(1, 12))
    levels = draw(st.lists(st.sampled_from([0.0, 0.25, 1.0, 1.5, 3.0]), min_size=1, max_size=7))
    eigenvalues = np.sort(levels)
    eigenvalues[: max(0, len(levels) - n)] = 0.0
    momentum = draw(st.sampled_from([0.0, 0.5, 0.9]))
    decay = draw(st.sampled_from([0.0, 0.1]))
    partial = Training(
        learning_rate=1.0,
        momentum=momentum,
        nesterov=momentum > 0 and draw(st.booleans()),
        weight_decay=decay,
        drops=draw(st.sampled_from([(), ((0, 0.5),), ((3, 0.5), (5, 0.1))])),
        steps=draw(st.integers(0, max_steps)),
    )
    speed = draw(st.floats(0.01, 0.95))
    rate = speed * stability_limit(partial) / max(eigenvalues[-1] + decay, 0.1)
    seed = draw(st.integers(0, 2**32 - 1))
    rows = rows_with_spectrum(np.random.default_rng(seed), n, eigenvalues)
    return Problem(rows, eigenvalues, msgspec.structs.replace(partial, learning_rate=rate), seed)


# ---- exactly


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("n", "d"), [(6, 2), (3, 3), (2, 4)])
def test_enumerated_labels_give_the_formula_exactly(optimizer: str, n: int, d: int) -> None:
    generator = np.random.default_rng([n, d])
    rows = generator.integers(-3, 4, (n, d)) / 2
    sigma_y, variances = Fraction(3, 2), [Fraction(3, 4)] * d
    training = Training(learning_rate=0.125, steps=5, **OPTIMIZERS[optimizer])
    enumerated = enumerated_second_moment(exact(rows), sigma_y, variances, training, 5)
    assert enumerated == formula_second_moment(exact(rows), sigma_y, variances, training, 5)
    setting = fixed_setting(
        rows,
        training,
        labels=Labels(kind="rademacher", variance=2.25),
        network=Network(init_variance=0.75 * d),
    )
    predicted = predict(setting, rows=rows).readings[0].second_moment
    np.testing.assert_allclose(predicted, np.array(enumerated, dtype=float), rtol=0, atol=1e-13 * _size(enumerated))


@settings(max_examples=15)
@given(data=st.data())
def test_random_rational_settings_exactly(data: st.DataObject) -> None:
    n, d = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    entries = data.draw(st.lists(st.integers(-3, 3), min_size=n * d, max_size=n * d))
    rows = np.reshape(entries, (n, d)) / 2
    spectrum = data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=d, max_size=d))
    steps = data.draw(st.integers(0, 4))
    optimizer = data.draw(st.sampled_from(sorted(OPTIMIZERS)))
    training = Training(learning_rate=data.draw(st.sampled_from([0.0625, 0.5])), steps=steps, **OPTIMIZERS[optimizer])
    variances = [Fraction(v) for v in spectrum]
    enumerated = enumerated_second_moment(exact(rows), Fraction(1, 2), variances, training, steps)
    setting = fixed_setting(
        rows, training, labels=Labels(kind="rademacher", variance=0.25), network=Network(init_spectrum=tuple(spectrum))
    )
    predicted = predict(setting, rows=rows).readings[0].second_moment
    np.testing.assert_allclose(predicted, np.array(enumerated, dtype=float), rtol=0, atol=1e-13 * _size(enumerated))


def _size(matrix: list[list[Fraction]]) -> float:
    return max(float(abs(entry)) for row in matrix for entry in row)


# ---- against torch.optim.SGD


def sgd(rows: np.ndarray, labels: np.ndarray, weights: np.ndarray, setting: Setting) -> np.ndarray:
    """A plain loop of torch.optim.SGD: labels (n, C), weights (C, d)."""
    training, scale = setting.training, rows.shape[1] ** -0.5 if setting.network.parametrization == "ntk" else 1.0
    x, y = torch.from_numpy(rows), torch.from_numpy(labels)
    w = torch.tensor(weights, requires_grad=True)
    optimizer = torch.optim.SGD(
        [w],
        lr=training.learning_rate,
        momentum=training.momentum,
        nesterov=training.nesterov,
        weight_decay=training.weight_decay,
    )
    for step in range(training.readings[-1]):
        for group in optimizer.param_groups:
            group["lr"] = training.learning_rate_at(step)
        optimizer.zero_grad()
        (0.5 * (scale * x @ w.T - y).square().sum(dim=1).mean()).backward()
        optimizer.step()
    return w.detach().numpy()


@given(problem=problems(), outputs=st.integers(1, 3), parametrization=st.sampled_from(["standard", "ntk"]))
def test_weights_of_torch_are_p_w0_plus_q_b(problem: Problem, outputs: int, parametrization: str) -> None:
    rows = problem.rows
    n, d = rows.shape
    generator = np.random.default_rng(problem.seed + 1)
    labels, weights = generator.standard_normal((n, outputs)), generator.standard_normal((outputs, d))
    setting = fixed_setting(rows, problem.training, network=Network(parametrization=parametrization))
    scaled = rows / np.sqrt(d) if parametrization == "ntk" else rows
    s, v = np.linalg.eigh(scaled.T @ scaled / n)
    p, q = propagators(problem.training, np.maximum(s, 0) + problem.training.weight_decay, problem.training.readings)
    b = labels.T @ scaled / n
    predicted = (weights @ v * p[0] + b @ v * q[0]) @ v.T
    np.testing.assert_allclose(
        sgd(rows, labels, weights, setting), predicted, rtol=0, atol=1e-10 * max(1, np.abs(predicted).max())
    )


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
@pytest.mark.parametrize("kind", ["gaussian", "classes"])
def test_prediction_from_torch_by_linearity(parametrization: str, kind: str) -> None:
    """Σ_w from the columns of the linear map (w_0, y) ↦ w that torch computes; for classes, over all label vectors."""
    rows = np.random.default_rng(5).standard_normal((3, 4))
    n, d = rows.shape
    labels = Labels(kind="classes", classes=3) if kind == "classes" else Labels(variance=2.0, outputs=2)
    training = Training(learning_rate=0.3, momentum=0.5, weight_decay=0.1, steps=6)
    setting = fixed_setting(
        rows, training, labels=labels, network=Network(parametrization=parametrization, init_variance=0.7)
    )
    sigma_0 = 0.7 if parametrization == "ntk" else 0.7 / d
    starts = sgd(rows, np.zeros((n, d)), np.eye(d), setting)
    expected = sigma_0 * starts.T @ starts
    if kind == "gaussian":
        answers = sgd(rows, np.eye(n), np.zeros((n, d)), setting)
        expected += 2.0 * answers.T @ answers
    else:
        classes = np.stack(np.meshgrid(*[range(3)] * n, indexing="ij"), -1).reshape(-1, n)
        one_hot = (classes[..., None] == np.arange(3)) - 1 / 3  # (27, n, C)
        weights = sgd(rows, one_hot.transpose(1, 0, 2).reshape(n, -1), np.zeros((81, d)), setting)
        expected += weights.T @ weights / 81
    predicted = predict(setting, rows=rows).readings[0].second_moment
    np.testing.assert_allclose(predicted, expected, rtol=0, atol=1e-13)


# ---- readings


@given(problem=problems())
def test_readings_have_one_entry_per_eigenspace(problem: Problem) -> None:
    setting = fixed_setting(problem.rows, problem.training)
    (reading,) = predict(setting, rows=problem.rows).readings
    levels, multiplicity = np.unique(problem.eigenvalues, return_counts=True)
    assert reading.multiplicity == tuple(multiplicity)
    np.testing.assert_allclose(reading.sigma, np.sqrt(levels), atol=1e-12)
    spaces = eigenspaces(problem.rows.T @ problem.rows / len(problem.rows))
    np.testing.assert_allclose(weight_variances(spaces, reading.second_moment), reading.tau, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(reading.mean, np.zeros(len(problem.eigenvalues)))
    # aligned: Σ_w is a function of S
    rebuilt = np.einsum("i,ijk->jk", reading.tau, spaces.projectors)
    np.testing.assert_allclose(reading.second_moment, rebuilt, atol=1e-12 * max(1, reading.tau.max()))


def test_the_scalar_formula() -> None:
    """τ written out with (1 − p)/(s + λ), away from zero."""
    rows = np.random.default_rng(3).standard_normal((9, 4))
    training = Training(learning_rate=0.2, weight_decay=0.3, steps=(0, 1, 7))
    prediction = predict(fixed_setting(rows, training, labels=Labels(variance=1.5)), rows=rows)
    s = np.linalg.eigvalsh(rows.T @ rows / 9)
    for reading in prediction.readings:
        p = (1 - 0.2 * (s + 0.3)) ** reading.step
        tau = p**2 / 4 + 1.5 / 9 * s * ((1 - p) / (s + 0.3)) ** 2
        np.testing.assert_allclose(reading.tau, tau, rtol=1e-13)
        np.testing.assert_allclose(reading.f**2, tau, rtol=1e-13)
        np.testing.assert_allclose(reading.sigma**2, s, rtol=1e-13)


def test_anisotropic_init_breaks_alignment() -> None:
    rows = np.random.default_rng(4).standard_normal((20, 3))
    setting = fixed_setting(rows, Training(steps=1), network=Network(init_spectrum=(5.0, 1.0, 1.0)))
    (reading,) = predict(setting, rows=rows).readings
    s = rows.T @ rows / 20
    commutator = s @ reading.second_moment - reading.second_moment @ s
    assert np.abs(commutator).max() > 0.1


def test_ntk_is_standard_on_divided_rows() -> None:
    rows = np.random.default_rng(6).standard_normal((5, 4))
    training = Training(learning_rate=0.4, momentum=0.5, weight_decay=0.1, steps=9)
    ntk = predict(fixed_setting(rows, training, network=Network(parametrization="ntk")), rows=rows)
    standard = predict(fixed_setting(rows / 2, training, network=Network(init_variance=4.0)), rows=rows / 2)
    np.testing.assert_allclose(
        ntk.readings[0].second_moment, standard.readings[0].second_moment, rtol=1e-12, atol=1e-15
    )
    np.testing.assert_allclose(ntk.readings[0].sigma, 2 * standard.readings[0].sigma, atol=1e-14)


def test_overflow_is_said_and_growth_is_not_refused() -> None:
    rows = np.diag([1.0, 2.0])
    growing = fixed_setting(rows, Training(learning_rate=2.0, steps=10))
    assert predict(growing, rows=rows).readings[0].tau[-1] > 1e4
    with pytest.raises(InvalidInput, match=r"training.learning_rate = 2.0: makes the weights overflow by step 5000"):
        predict(fixed_setting(rows, Training(learning_rate=2.0, steps=(10, 5000))), rows=rows)


def test_init_spectrum_must_fit_the_rows() -> None:
    setting = Setting(
        data=Data(kind="digits", samples=3, fixed=True), network=Network(init_spectrum=(1.0, 2.0)), training=Training()
    )
    with pytest.raises(InvalidInput, match=r"network\.init_spectrum .* \(5\)"):
        predict(setting, rows=np.ones((3, 5)))


# ---- hypotheses


BASE = Setting(data=Data(kind="gaussian", spectrum=(1.0, 2.0), samples=8, fixed=True))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"network": Network(kind="mlp", hidden=(4,), activation="identity")}, "network.kind = 'mlp'"),
        ({"network": Network(bias=True)}, "network.bias = true"),
        ({"training": Training(optimizer="adam")}, "training.optimizer = 'adam'"),
        ({"training": Training(l1=0.1)}, "training.l1 = 0.1"),
        ({"training": Training(batch_size=4)}, "training.batch_size = 4"),
        ({"training": Training(batch_size=8, sampling="replacement")}, "training.batch_size = 8"),
        ({"labels": Labels(kind="classes"), "training": Training(loss="cross-entropy")}, "training.loss"),
        ({"labels": Labels(kind="teacher")}, "labels.kind = 'teacher'"),
        ({"data": Data(kind="digits", samples=8, fixed=True), "labels": Labels(kind="real")}, "labels.kind = 'real'"),
        ({"data": Data(kind="gaussian", spectrum=(1.0,), samples=8)}, "data.fixed = false"),
    ],
)
def test_each_missing_hypothesis_is_named(changes: dict, reason: str) -> None:
    answer = full_batch.refusal(msgspec.structs.replace(BASE, **changes))
    assert answer is not None
    assert answer.startswith(reason)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"training": Training(batch_size=8)},
        {"training": Training(batch_size=8, sampling="fresh")},
        {"network": Network(train="first", parametrization="ntk")},
        {"labels": Labels(kind="rademacher", outputs=3)},
        {"data": Data(kind="digits", samples=8, fixed=True)},
    ],
)
def test_where_it_applies(changes: dict) -> None:
    assert full_batch.refusal(msgspec.structs.replace(BASE, **changes)) is None


def test_the_curve_passes_through_the_predicted_readings():
    for training in (
        Training(learning_rate=0.1, steps=(0, 7)),
        Training(momentum=0.5, nesterov=True, weight_decay=0.1),
    ):
        data = Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples=2, fixed=True)
        setting = Setting(data=data, training=training, network=Network(init_variance=0.3))
        x = np.random.default_rng(3).standard_normal((2, 3))
        predicted = np.stack([reading.tau for reading in full_batch.predict(setting, x).readings])
        sigma = full_batch.predict(setting, x).readings[0].sigma
        np.testing.assert_allclose(full_batch.tau(setting, sigma**2, 2, 3), predicted, rtol=1e-12)


def test_the_curve_refuses_what_is_no_curve():
    data = Data(kind="gaussian", spectrum=(1.0, 2.0), samples=2, fixed=True)
    with pytest.raises(InvalidInput, match="eigenvalues"):
        full_batch.tau(Setting(data=data), np.array([-0.1]), 2, 2)
    uneven = Setting(data=data, network=Network(init_spectrum=(0.1, 0.2)))
    with pytest.raises(InvalidInput, match="init_spectrum"):
        full_batch.tau(uneven, np.array([1.0]), 2, 2)
