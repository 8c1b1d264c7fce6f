"""The first step of two-layer linear networks against enumeration, the series of the flow, hypotheses."""

from __future__ import annotations

from fractions import Fraction

import msgspec
import numpy as np
import pytest
import torch

from tests.oracles.linear import exact
from tests.oracles.statistics import largest_z
from tests.oracles.two_layer import draw, enumerated, enumerated_first_step, flow_series, two_layer_setting
from theory.catalogue import predict
from theory.errors import NoClosedForm
from theory.linear import two_layer, two_layer_converged, two_layer_early
from theory.linear.two_layer import TwoLayer, two_layer_first_step_moment
from theory.setting import Data, Labels, Network, Training

# ---- the first step


@pytest.mark.parametrize(("n", "d", "m", "outputs"), [(2, 1, 1, 1), (1, 2, 2, 1), (2, 2, 1, 2), (2, 1, 2, 2)])
def test_first_step_by_enumeration_in_fractions(n: int, d: int, m: int, outputs: int) -> None:
    """Equal as rational numbers: W_2 needs its fourth moments, W_1 and Y their second ones."""
    rows = np.random.default_rng([n, d, m]).integers(-3, 4, (n, d)) / 2
    scales, rate, decay = (Fraction(1, 2), Fraction(3, 2), Fraction(2)), Fraction(1, 4), Fraction(1, 8)
    found = enumerated_first_step(exact(rows), m, outputs, scales, rate, decay)
    x = exact(rows)
    s = [[sum(row[i] * row[j] for row in x) / n for j in range(d)] for i in range(d)]
    first, second, labels = scales[0] ** 2, scales[1] ** 2 / 3, scales[2] ** 2
    for i in range(d):
        for j in range(d):
            square = sum(s[i][k] * s[k][j] for k in range(d))
            expected = (1 - rate * decay) ** 2 * first * (i == j)
            expected -= 2 * (1 - rate * decay) * rate * outputs * first * second * s[i][j]
            expected += rate**2 * outputs * second * labels / n * s[i][j]
            expected += rate**2 * outputs * (outputs + m + 1) * first * second**2 * square
            assert found[i][j] == expected
    net = TwoLayer(m, outputs, np.full(d, float(first)), float(second), 1.0)
    computed = two_layer_first_step_moment(np.array(s, dtype=float), n, float(labels), net, float(rate), float(decay))
    np.testing.assert_allclose(computed, np.array(found, dtype=float), rtol=0, atol=1e-13 * np.abs(computed).max())


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
@pytest.mark.parametrize("spectrum", [(), (0.5, 2.0)])
@pytest.mark.parametrize("keys", [{}, {"momentum": 0.5}, {"momentum": 0.5, "nesterov": True}, {"weight_decay": 0.3}])
def test_first_step_of_a_setting_by_torch(parametrization: str, spectrum: tuple[float, ...], keys: dict) -> None:
    """E over all outcomes of one step of torch.optim.SGD on the network as the setting describes it."""
    n, d, m, outputs = 2, 2, 2, 1
    rows = np.array([[1.0, -0.5], [2.0, 0.25]])
    v1, v2, variance = 0.7, 1.3, 1.5
    ntk = parametrization == "ntk"
    first = np.array(spectrum) if spectrum else np.full(d, v1 if ntk else v1 / d)
    second = v2 if ntk else v2 / m

    def step(unit: np.ndarray, w2: np.ndarray, y: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(rows / (np.sqrt(d * m) if ntk else 1.0))
        weights = torch.tensor(unit * np.sqrt(first), requires_grad=True)
        upper = torch.tensor(w2, requires_grad=True)
        optimizer = torch.optim.SGD(
            [weights, upper],
            lr=0.4,
            momentum=keys.get("momentum", 0.0),
            nesterov=keys.get("nesterov", False),
            weight_decay=keys.get("weight_decay", 0.0),
        )
        out = torch.einsum("kcm,kmd,nd->kcn", upper, weights, x)
        (0.5 * (out - torch.from_numpy(y)).square().sum() / n).backward()  # replicas do not share weights
        optimizer.step()
        moved = weights.detach().numpy()
        return moved.transpose(0, 2, 1) @ moved / m

    expected = enumerated(
        [((m, d), 1.0, 2), ((outputs, m), np.sqrt(3 * second), 3), ((outputs, n), np.sqrt(variance), 2)], step
    )
    training = Training(learning_rate=0.8, drops=((0, 0.5), (1, 0.1)), steps=(0, 1), **keys)
    setting = two_layer_setting(
        rows,
        m,
        training,
        Labels(kind="rademacher", variance=variance, outputs=outputs),
        parametrization=parametrization,
        init_variance=(v1, v2),
        init_spectrum=spectrum,
    )
    prediction = predict(setting, rows=rows)
    assert (prediction.formula, prediction.status) == ("two-layer-first-step", "exact")
    start, moved = prediction.readings
    np.testing.assert_allclose(start.second_moment, np.diag(first), atol=1e-15)
    np.testing.assert_allclose(moved.second_moment, expected, rtol=0, atol=1e-13)
    s, v = np.linalg.eigh(rows.T @ rows / n)
    np.testing.assert_allclose(moved.sigma, np.sqrt(s), rtol=1e-12)
    np.testing.assert_allclose(moved.tau, np.diag(v.T @ expected @ v), rtol=0, atol=1e-13)


def test_first_step_with_classes_over_all_label_vectors() -> None:
    """One-hot classes are dependent between outputs; only E[YᵀY] enters."""
    rows = np.array([[1.0, -0.5], [2.0, 0.25], [0.0, 1.0]])
    n, d, m, classes = 3, 2, 1, 3
    s = rows.T @ rows / n
    expected = np.zeros((d, d))
    for number in range(classes**n):
        y = np.eye(classes)[[number // classes**k % classes for k in range(n)]].T - 1 / classes

        def step(w1: np.ndarray, w2: np.ndarray, y: np.ndarray = y) -> np.ndarray:
            moved = w1 + 0.3 * w2.transpose(0, 2, 1) @ (y @ rows / n - w2 @ w1 @ s)
            return moved.transpose(0, 2, 1) @ moved / m

        expected += enumerated([((m, d), 0.5, 2), ((classes, m), 1.5, 3)], step) / classes**n
    setting = two_layer_setting(
        rows, m, Training(learning_rate=0.3, steps=1), Labels(kind="classes", classes=3), init_variance=(0.5, 0.75)
    )
    np.testing.assert_allclose(predict(setting, rows=rows).readings[0].second_moment, expected, atol=1e-14)


@pytest.mark.parametrize(("m", "outputs"), [(2, 1), (1, 2), (1, 3)])
def test_flow_series_by_enumeration(m: int, outputs: int) -> None:
    """Both derivatives at t = 0: products of up to five factors of each law, exact on three points."""
    n, d = 2, 2
    rows = np.array([[1.0, -0.5], [2.0, 0.25]])
    s, first, second, variance = rows.T @ rows / n, 0.3, 0.45, 1.5

    def second_derivative(w1: np.ndarray, w2: np.ndarray, y: np.ndarray) -> np.ndarray:
        e = y @ rows / n - w2 @ w1 @ s
        v1, v2 = w2.transpose(0, 2, 1) @ e, e @ w1.transpose(0, 2, 1)
        e_dot = -(v2 @ w1 + w2 @ v1) @ s
        acceleration = v2.transpose(0, 2, 1) @ e + w2.transpose(0, 2, 1) @ e_dot
        cross = w1.transpose(0, 2, 1) @ acceleration
        return (2 * v1.transpose(0, 2, 1) @ v1 + cross + cross.transpose(0, 2, 1)) / m

    laws = [
        ((m, d), np.sqrt(3 * first), 3),
        ((outputs, m), np.sqrt(3 * second), 3),
        ((outputs, n), np.sqrt(variance), 2),
    ]
    curvature = enumerated(laws, second_derivative) / 2
    values, basis = np.linalg.eigh(s)
    net = TwoLayer(m, outputs, np.full(d, first), second, 1.0)
    series = [flow_series(values, n, variance, net, t) for t in (0.0, 1.0, -1.0)]
    np.testing.assert_allclose(series[0], first)
    found = basis @ np.diag((series[1] + series[2]) / 2 - first) @ basis.T
    np.testing.assert_allclose(found, curvature, atol=1e-13)
    np.testing.assert_allclose((series[1] - series[2]) / 2, -2 * outputs * first * second * values, rtol=1e-12)


@pytest.mark.slow
def test_flow_series_by_monte_carlo_for_several_outputs() -> None:
    """700,000 samples of both derivatives, C = 3, m = 4, d = 5."""
    generator = np.random.default_rng(71)
    rows = generator.standard_normal((12, 5)) * np.sqrt([0.2, 0.5, 1.0, 1.5, 2.0])
    s, basis = np.linalg.eigh(rows.T @ rows / 12)
    net, total = TwoLayer(4, 3, np.full(5, 0.2), 0.16, 1.0), []
    for _ in range(70):
        g, w1, w2 = draw(generator, 10_000, rows @ basis, 4, 3, 0.2, 0.16)
        e = g - w2 @ w1 * s
        v1, v2 = w2.transpose(0, 2, 1) @ e, e @ w1.transpose(0, 2, 1)
        acceleration = v2.transpose(0, 2, 1) @ e - w2.transpose(0, 2, 1) @ ((v2 @ w1 + w2 @ v1) * s)
        total.append(((v1**2 + w1 * acceleration).mean(axis=1)).mean(axis=0))
    curvature = (flow_series(s, 12, 1.0, net, 1.0) + flow_series(s, 12, 1.0, net, -1.0)) / 2 - 0.2
    z, bound = largest_z(np.array(total), curvature)
    assert z < bound


# ---- hypotheses


BASE = two_layer_setting(np.ones((8, 2)), 3, Training(steps=1))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"network": Network()}, "network.kind = 'linear'"),
        ({"network": Network(kind="mlp", hidden=(3,))}, "network.activation = 'relu'"),
        ({"network": Network(kind="mlp", hidden=(3, 4), activation="identity")}, "network.hidden"),
        ({"network": Network(kind="mlp", hidden=(3,), activation="identity", bias=True)}, "network.bias"),
        ({"training": Training(steps=1, optimizer="adam")}, "training.optimizer"),
        ({"training": Training(steps=1, l1=0.1)}, "training.l1"),
        ({"training": Training(steps=1, batch_size=4)}, "training.batch_size = 4"),
        ({"labels": Labels(kind="teacher")}, "labels.kind = 'teacher'"),
        ({"training": Training(steps=1, loss="cross-entropy"), "labels": Labels(kind="classes")}, "training.loss"),
        ({"data": Data(kind="gaussian", spectrum=(1.0, 1.0), samples=8)}, "data.fixed = false"),
    ],
)
def test_each_missing_hypothesis_is_named(changes: dict, reason: str) -> None:
    for form in (two_layer, two_layer_early, two_layer_converged):
        answer = form.refusal(msgspec.structs.replace(BASE, **changes))
        assert answer is not None
        assert answer.startswith(reason)


@pytest.mark.parametrize(
    ("form", "changes", "reason"),
    [
        (two_layer, {"training": Training(steps=(1, 2))}, "training.steps"),
        (two_layer_early, {"labels": Labels(kind="rademacher")}, "labels.kind = 'rademacher'"),
        (two_layer_early, {"train": "first"}, "network.train = 'first'"),
        (two_layer_early, {"init_spectrum": (1.0, 2.0)}, "network.init_spectrum"),
        (two_layer_converged, {"labels": Labels(outputs=2)}, "labels: gaussian, 2 outputs"),
        (two_layer_converged, {"train": "first"}, "network.train = 'first'"),
        (two_layer_converged, {"init_spectrum": (1.0, 2.0)}, "network.init_spectrum"),
        (two_layer_converged, {"training": Training(momentum=0.5)}, "training.momentum"),
    ],
)
def test_each_own_hypothesis_is_named(form: object, changes: dict, reason: str) -> None:
    network = {key: changes[key] for key in ("train", "init_spectrum") if key in changes}
    tables = {key: value for key, value in changes.items() if key not in network}
    if network:
        tables["network"] = msgspec.structs.replace(BASE.network, **network)
    answer = form.refusal(msgspec.structs.replace(BASE, **tables))  # type: ignore[attr-defined]
    assert answer is not None
    assert answer.startswith(reason)


def test_exact_is_preferred_and_the_first_step_knows_both_trainings() -> None:
    rows = np.random.default_rng(12).standard_normal((8, 2))
    for train_what in ("all", "first"):
        setting = two_layer_setting(rows, 3, Training(steps=(0, 1)), train=train_what, init_variance=1e-4)
        assert predict(setting, rows=rows).formula == "two-layer-first-step"
    with pytest.raises(NoClosedForm, match="exact at steps 0 and 1 only"):
        predict(two_layer_setting(rows, 3, Training(steps=5), train="first"), rows=rows)
