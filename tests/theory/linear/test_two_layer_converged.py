"""Two-layer linear networks in the limit: quadrature, training, where the limit is refused."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from scipy import integrate
from scipy.special import gammaln

from tests.oracles.statistics import largest_z
from tests.oracles.two_layer import converged_many_outputs, draw, train, two_layer_setting
from theory.catalogue import predict
from theory.errors import InvalidInput, NoClosedForm
from theory.linear import two_layer_converged
from theory.linear.two_layer_converged import converged_average, converged_moment
from theory.setting import Labels, Setting, Training


@pytest.mark.parametrize("nu", [[1.0], [0.0, 3.0], [1.0, 0.01, 100.0], [1e-8, 1.0], [2.0] * 30])
def test_converged_average_by_adaptive_quadrature(nu: list[float]) -> None:
    variances = np.array(nu)
    found = converged_average(variances)
    for i, v in enumerate(nu):

        def integrand(y: float, v: float = v) -> float:
            return 2 * v / (1 + 2 * y * y * v) / np.prod(np.sqrt(1 + 2 * y * y * variances)) / np.sqrt(np.pi)

        pieces = [0.0, *10.0 ** np.arange(-4, 9)]
        expected = sum(integrate.quad(integrand, a, b, limit=200)[0] for a, b in pairwise(pieces))
        assert found[i] == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_converged_average_in_closed_cases() -> None:
    """E|β| of a χ law of d degrees of freedom, shared by d directions; and Monte Carlo."""
    for d in (1, 2, 7):
        mean = np.sqrt(2) * np.exp(gammaln((d + 1) / 2) - gammaln(d / 2))
        np.testing.assert_allclose(converged_average(np.full(d, 4.0)), 2 * mean / d, rtol=1e-13)
    nu = np.array([1.0, 0.3, 0.05])
    beta = np.random.default_rng(6).standard_normal((200_000, 3)) * np.sqrt(nu)
    z, bound = largest_z(beta**2 / np.linalg.norm(beta, axis=1, keepdims=True), converged_average(nu))
    assert z < bound
    for bad in ([], [-1.0], [0.0], [np.inf], [[1.0]]):
        with pytest.raises(InvalidInput, match="variances"):
            converged_average(np.array(bad))


def test_many_outputs_is_a_limit() -> None:
    """E (βᵀβ)^½ → sqrt(Cν) as C grows; half and double off for C < d."""
    nu, generator = np.array([1.0, 0.25]), np.random.default_rng(7)
    errors = []
    for outputs in (1, 10, 100):
        beta = generator.standard_normal((2000, outputs, 2)) * np.sqrt(nu)
        mean = np.mean([np.diag(converged_moment(b)) for b in beta], axis=0)
        errors.append(np.abs(mean / converged_many_outputs(nu, outputs) - 1).max())
    assert errors[0] > 0.25 > 5 * errors[1] - 0.3
    assert errors[2] < 0.02


@pytest.mark.parametrize(("outputs", "n", "d"), [(1, 12, 3), (2, 12, 3), (1, 2, 4), (3, 2, 3)])
def test_converged_moment_by_training(outputs: int, n: int, d: int) -> None:
    """Replica by replica: W_1ᵀW_1 after long training from tiny weights is (βᵀβ)^½, n above and below d."""
    generator = np.random.default_rng([outputs, n])
    rows = generator.standard_normal((n, d))
    s = rows.T @ rows / n
    g, w1, w2 = draw(generator, 6, rows, 3, outputs, 1e-12, 1e-12)
    trained = train(s, g, w1, w2, Training(learning_rate=0.05), 12_000, linear=False)[0]
    found = trained.transpose(0, 2, 1) @ trained
    for weights, label in zip(found, g, strict=True):
        limit = converged_moment(label @ np.linalg.pinv(s))
        np.testing.assert_allclose(weights, limit, atol=0.003 * np.abs(limit).max())


SMALL = np.random.default_rng(10).standard_normal((20, 3)) * np.sqrt([0.6, 1.0, 1.5])


def converged_setting(rows: np.ndarray, steps: int, **keys: object) -> Setting:
    network: dict = {"init_variance": 1e-6, **keys}
    return two_layer_setting(rows, 2, Training(learning_rate=0.05, steps=steps), **network)


@pytest.mark.parametrize("kind", ["standard", "ntk", "null space"])
def test_converged_form_of_a_setting(kind: str) -> None:
    """The form is within the budget of the training of the setting as described, with weights read per neuron."""
    ntk = kind == "ntk"
    rows = SMALL[:2] if kind == "null space" else SMALL
    n, d, m, steps = *rows.shape, 2, 16_000
    setting = converged_setting(rows, steps)
    if kind == "null space":  # the smallest s of 2 rows is smaller, and |β| larger
        training = msgspec.structs.replace(setting.training, learning_rate=0.03)
        setting = msgspec.structs.replace(setting, training=training)
    if ntk:  # S/(m d) and β·sqrt(m d): the same s|β| with a rate sqrt(m d) as large
        network = msgspec.structs.replace(setting.network, parametrization="ntk")
        training = msgspec.structs.replace(setting.training, learning_rate=0.05 * np.sqrt(m * d))
        setting = msgspec.structs.replace(setting, network=network, training=training)
    prediction = predict(setting, rows=rows)
    assert prediction.formula == "two-layer-converged"
    (reading,) = prediction.readings
    s, basis = np.linalg.eigh(rows.T @ rows / n)
    scaled = rows @ basis / (np.sqrt(m * d) if ntk else 1)
    first, second = (1e-6, 1e-6) if ntk else (1e-6 / d, 1e-6 / m)
    g, w1, w2 = draw(np.random.default_rng(9), 200, scaled, m, 1, first, second)
    trained = train(scaled.T @ scaled / n, g, w1, w2, setting.training, steps, linear=False)[0]
    values = (trained**2).mean(axis=1)
    # against the limit with the same labels: the mean over labels is known from the tests above
    factor = 1 / (m * d) if ntk else 1.0
    inverse = np.where(s > 1e-12, 1 / np.where(s > 1e-12, s * factor, 1), 0)
    beta = g[:, 0] * inverse
    paired = beta**2 / np.linalg.norm(beta, axis=1, keepdims=True) / m
    tau = np.repeat(reading.tau, reading.multiplicity)
    seen = s > 1e-12
    error = np.abs((values - paired).mean(axis=0)[seen] / tau[seen])
    assert error.max() <= prediction.error_budget
    z, bound = largest_z(paired[:, seen], tau[seen])
    assert z < bound
    np.testing.assert_allclose(tau[~seen], first)


def test_converged_form_holds_from_the_first_step_it_accepts() -> None:
    """Bisection finds the first step that is not refused; there the budget is kept, a sixth of the way it is not."""

    def refused(steps: int) -> bool:
        try:
            two_layer_converged.predict(converged_setting(SMALL, steps), SMALL)
        except NoClosedForm:
            return True
        return False

    low, high = 1, 16_000
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if refused(middle) else (low, middle)
    s, basis = np.linalg.eigh(SMALL.T @ SMALL / 20)
    g, w1, w2 = draw(np.random.default_rng(14), 400, SMALL @ basis, 2, 1, 1e-6 / 3, 1e-6 / 2)
    beta = g[:, 0] / s
    limit = (beta**2 / np.linalg.norm(beta, axis=1, keepdims=True)).mean(axis=0) / 2
    errors = []
    for steps in (high // 6, high):
        trained = train(np.diag(s), g, w1, w2, Training(learning_rate=0.05), steps, linear=False)[0]
        errors.append(np.abs((trained**2).mean(axis=(0, 1)) / limit - 1).max())
    assert errors[0] > two_layer_converged.ERROR_BUDGET > errors[1]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"steps": 50}, "leaves e"),
        ({"init_variance": 0.1}, "initial variances"),
        ({"init_variance": 0.0}, "leaves e"),
        ({"learning_rate": 0.5}, "learning rate times the curvature"),
        ({"variance": 0.0}, "nothing is learnt"),
    ],
)
def test_converged_form_refuses(changes: dict, match: str) -> None:
    setting = converged_setting(SMALL, changes.get("steps", 16_000), init_variance=changes.get("init_variance", 1e-6))
    rate = changes.get("learning_rate", 0.05)
    setting = msgspec.structs.replace(
        setting,
        training=msgspec.structs.replace(setting.training, learning_rate=rate),
        labels=Labels(variance=changes.get("variance", 1.0)),
    )
    with pytest.raises(NoClosedForm, match=match):
        two_layer_converged.predict(setting, SMALL)


def accepted(setting: Setting) -> bool:
    try:
        two_layer_converged.predict(setting, SMALL)
    except NoClosedForm:
        return False
    return True


@pytest.mark.parametrize("drops", [(), ((2000, 0.5),)])
def test_the_first_step_that_is_accepted(drops: tuple) -> None:
    """Plateau and decay for labels a quarter of their size: s_min |β| (t − log(4|β|/|p_0|²)/(2|b|)) >= 4."""
    s = np.linalg.eigvalsh(SMALL.T @ SMALL / 20)
    beta, b = 0.25 * np.sqrt(np.sum(1 / 20 / s)), 0.25 * np.sqrt(np.sum(s) / 20)
    start = 2 * (1e-6 / 3 + 1e-6 / 2)
    needed = 4 / (s.min() * beta) + np.log(4 * beta / start) / (2 * b)
    first, time = 0, 0.0
    while time < needed:
        time += 0.05 * (0.5 if drops and first >= 2000 else 1.0)
        first += 1
    for steps, enough in ((first - 1, False), (first, True)):
        setting = two_layer_setting(
            SMALL, 2, Training(learning_rate=0.05, steps=steps, drops=drops), init_variance=1e-6
        )
        assert accepted(setting) == enough
    assert first > 2000


def test_initial_variances_may_be_half_the_budget() -> None:
    """The larger of σ_1² and σ_2², per weight, over the smallest τ: at most 2.5 %."""
    s = np.linalg.eigvalsh(SMALL.T @ SMALL / 20)
    least = converged_average(1 / 20 / s).min() / 2
    for first, second in ((1.0, 0.1), (0.1, 1.0)):
        for factor, enough in ((0.0249, True), (0.0251, False)):
            variances = (3 * first * factor * least, 2 * second * factor * least)
            assert accepted(converged_setting(SMALL, 16_000, init_variance=variances)) == enough


def test_the_rate_may_be_twice_the_budget_over_the_curvature() -> None:
    """η s_max |β| at most 10 %, |β| the root mean square of labels' solutions."""
    s = np.linalg.eigvalsh(SMALL.T @ SMALL / 20)
    limit = 0.1 / (s.max() * np.sqrt(np.sum(1 / 20 / s)))
    for factor, enough in ((0.999, True), (1.001, False)):
        training = Training(learning_rate=factor * limit, steps=16_000)
        assert accepted(two_layer_setting(SMALL, 2, training, init_variance=1e-6)) == enough
