"""The first step of one hidden layer: every outcome by quadrature, plain networks, and the average over rows."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from tests.oracles.first_step import (
    enumerated_step,
    first_step_blocks,
    first_step_setting,
    networks,
    one_hot_labels,
    signs,
    steps,
)
from tests.oracles.statistics import largest_z
from theory.catalogue import predict
from theory.errors import InvalidInput, NoClosedForm
from theory.network.first_step import FirstStepTerms, first_step_moment, first_step_terms
from theory.network.model import Model, not_hidden_layer, not_plain_hidden_layer
from theory.setting import Data, Labels, Network, Setting, Training

# ---- every outcome

PLANE = np.array([[1.0, -0.5], [0.6, 0.8]])
THREE_ROWS = np.array([[1.0, -0.5], [0.6, 0.8], [-0.7, 0.1]])
LINE = np.array([[0.9], [-0.4]])
EXACT = {
    "relu, two neurons": ("relu", PLANE, 2, 1),
    "relu, two outputs": ("relu", PLANE, 1, 2),
    "relu, three rows": ("relu", THREE_ROWS, 1, 1),
    "erf, two neurons": ("erf", LINE, 2, 1),
    "erf, in the plane": ("erf", PLANE, 1, 1),
    "tanh, two neurons": ("tanh", LINE, 2, 1),
    "tanh, two outputs": ("tanh", LINE, 1, 2),
}


@pytest.mark.parametrize("case", EXACT)
@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
def test_first_step_by_enumeration(case: str, parametrization: str) -> None:
    """All Rademacher labels, all three-point output weights, quadrature over the neurons, torch.optim.SGD."""
    activation, rows, width, outputs = EXACT[case]
    labels = Labels(kind="rademacher", variance=1.5, outputs=outputs)
    training = Training(learning_rate=0.7, steps=(0, 1))
    network = {"activation": activation, "parametrization": parametrization, "init_variance": (0.8, 1.3)}
    setting = first_step_setting(rows, width, training, labels, **network)
    values, chances = signs(len(rows) * outputs)
    moment, mean = enumerated_step(setting, rows, (np.sqrt(1.5) * values, chances))
    prediction = predict(setting, rows=rows)
    assert (prediction.formula, prediction.status) == ("network-first-step", "exact")
    start, moved = prediction.readings
    variance = 0.8 if parametrization == "ntk" else 0.8 / rows.shape[1]
    np.testing.assert_allclose(start.second_moment, variance * np.eye(rows.shape[1]), atol=1e-15)
    assert not start.mean.any()
    np.testing.assert_allclose(moved.second_moment, moment, rtol=0, atol=1e-10)
    np.testing.assert_allclose(moved.mean, mean, rtol=0, atol=1e-10)
    s, v = np.linalg.eigh(rows.T @ rows / len(rows))
    np.testing.assert_allclose(moved.sigma, np.sqrt(s), rtol=1e-12)
    np.testing.assert_allclose(moved.tau, np.diag(v.T @ moment @ v), rtol=0, atol=1e-10)


@pytest.mark.parametrize("train", ["first", "all"])
@pytest.mark.parametrize("keys", [{}, {"momentum": 0.5, "nesterov": True}, {"momentum": 0.5, "weight_decay": 0.3}])
def test_first_step_of_optimizers_and_layers_by_enumeration(train: str, keys: dict) -> None:
    training = Training(learning_rate=0.7, steps=1, **keys)
    setting = first_step_setting(PLANE, 1, training, Labels(kind="rademacher"), train=train)
    moment, mean = enumerated_step(setting, PLANE, signs(2))
    (moved,) = predict(setting, rows=PLANE).readings
    np.testing.assert_allclose(moved.second_moment, moment, rtol=0, atol=1e-12)
    np.testing.assert_allclose(moved.mean, mean, rtol=0, atol=1e-12)


def test_first_step_with_classes_by_enumeration() -> None:
    """One-hot classes are dependent between outputs; only their variances enter."""
    setting = first_step_setting(PLANE, 1, Training(learning_rate=0.7, steps=1), Labels(kind="classes", classes=3))
    moment, mean = enumerated_step(setting, PLANE, one_hot_labels(2, 3))
    (moved,) = predict(setting, rows=PLANE).readings
    np.testing.assert_allclose(moved.second_moment, moment, rtol=0, atol=1e-12)
    np.testing.assert_allclose(moved.mean, mean, rtol=0, atol=1e-12)


def test_rows_that_say_nothing() -> None:
    """A zero row has no gradient, and parallel rows no angle."""
    rows = np.array([[1.0, -0.5], [0.0, 0.0], [-2.0, 1.0]])
    setting = first_step_setting(rows, 1, Training(learning_rate=0.7, steps=1), Labels(kind="rademacher"))
    moment, _ = enumerated_step(setting, rows, signs(3))
    (moved,) = predict(setting, rows=rows).readings
    np.testing.assert_allclose(moved.second_moment, moment, rtol=0, atol=1e-12)
    assert moved.sigma[0] == 0


# ---- plain networks


def a_setting(number: int) -> tuple[np.ndarray, Model, float]:
    """Rows, constants and learning rate; at the rate the square of the motion and the cross term are of one size."""
    generator = np.random.default_rng([999, number])
    n, d = int(generator.integers(2, 10)), int(generator.integers(1, 5))
    rows = generator.standard_normal((n, d)) * np.sqrt(generator.uniform(0.2, 2.0, d))
    sa = float(generator.choice([0.5, 1.0, 2.0]))
    model = Model(
        activation=("relu", "erf", "tanh")[number % 3],
        width=int(generator.integers(1, 7)),
        outputs=int(generator.integers(1, 4)),
        s0=float(generator.choice([0.2, 1.0])),
        sa=sa,
        a4=3 * sa**2,
        sy=float(generator.choice([0.0, 0.5, 2.0])),
    )
    terms = first_step_terms(rows, model)
    squared = np.trace(terms.labels + terms.others + terms.quartic)
    return rows, model, float(generator.uniform(0.3, 2.0) * abs(np.trace(terms.own)) / squared)


def scores(number: int, blocks: int, count: int) -> np.ndarray:
    """z of the diagonal and the upper triangle of E[w wᵀ] in the eigenbasis of X'X."""
    rows, model, rate = a_setting(number)
    basis = np.linalg.eigh(rows.T @ rows)[1]
    found = basis.T @ first_step_blocks(np.random.default_rng([0, number]), rows, model, rate, blocks, count) @ basis
    expected = basis.T @ first_step_moment(rows, model, rate) @ basis
    upper = np.triu_indices(rows.shape[1])
    error = (found.std(axis=0, ddof=1) / np.sqrt(blocks))[upper]
    difference = (found.mean(axis=0) - expected)[upper]
    still = error < 1e-12  # directions that no row reaches
    assert np.all(np.abs(difference[still]) < 1e-10)
    return difference[~still] / error[~still]


@pytest.mark.parametrize("number", range(6))
def test_first_step_of_networks(number: int) -> None:
    rows, model, rate = a_setting(number)
    found = first_step_blocks(np.random.default_rng([1, number]), rows, model, rate, 50, 400)
    z, bound = largest_z(found, first_step_moment(rows, model, rate))
    assert z < bound


def test_the_control_variate_has_mean_zero() -> None:
    """The step without the neuron's own output is uncorrelated with w, and the rest is the step."""
    rows, model, rate = a_setting(0)
    drawn = networks(np.random.default_rng(5), 15_000, rows, model.width, model.outputs, model.s0, model.sa)
    moved, others = steps(rows, model.activation, drawn, rate, np.subtract)
    z, bound = largest_z(np.einsum("Nmi,Nmj->Nij", drawn[0], others), 0.0)
    assert z < bound
    own = np.einsum("Nmi,Nmj->Nij", drawn[0], moved - others)
    assert largest_z(own, 0.0)[0] > 8


PLANTED = {
    "own": ("relu", 2, 1.0, 1.0, 0.3),
    "labels": ("relu", 8, 0.2, 2.0, 3.0),
    "others": ("relu", 8, 1.0, 0.2, 3.0),
    "quartic": ("relu", 2, 1.0, 0.2, 3.0),
    "Q": ("erf", 2, 1.0, 1.0, 0.3),
}


@pytest.mark.parametrize("term", PLANTED)
def test_a_sign_error_in_any_term_is_seen(term: str) -> None:
    """Each flipped term is off by more than 8 standard errors where the form is not off by what chance allows."""
    activation, width, s0, sy, relative = PLANTED[term]
    rows = np.random.default_rng(999).standard_normal((8, 3)) * np.sqrt([0.5, 1.0, 2.0])
    model = Model(activation, width=width, outputs=1, s0=s0, sa=1.0, a4=3.0, sy=sy)
    terms = first_step_terms(rows, model)
    squared = terms.labels + terms.others + terms.quartic
    rate = relative * abs(np.trace(terms.own)) / np.trace(squared)
    found = first_step_blocks(np.random.default_rng([0, len(term)]), rows, model, rate, 100, 400)

    def moment(terms: FirstStepTerms) -> np.ndarray:
        motion = rate * terms.own + rate**2 * (terms.labels + terms.others + terms.quartic)
        return s0 * np.eye(3) + motion / width

    flipped = (
        replace(terms, **{term: -getattr(terms, term)}) if term != "Q" else replace(terms, own=without_q(rows, model))
    )
    z, bound = largest_z(found, moment(terms))
    assert z < bound
    assert largest_z(found, moment(flipped))[0] > 8


def without_q(rows: np.ndarray, model: Model) -> np.ndarray:
    """T_own of erf with P − Q in place of P + Q: P_ii = (4/π)/sqrt(1 + 4g), Q_ii = −2gP_ii/(1 + 2g), g = s_0²|x|²."""
    g = model.s0 * (rows**2).sum(axis=1)
    p = 4 / np.pi / np.sqrt(1 + 4 * g)
    weights = p + 2 * g * p / (1 + 2 * g)
    return -2 * model.sa * model.s0 / len(rows) * (rows.T * weights) @ rows


@pytest.mark.slow
def test_first_steps_of_sixty_random_networks() -> None:
    """Every entry of E[w wᵀ] in sixty settings: Bonferroni at 1e-6 over all of them, and z is of order 1."""
    from scipy.stats import norm

    z = np.concatenate([scores(number, 100, 1000) for number in range(60)])
    assert np.abs(z).max() < norm.isf(1e-6 / 2 / len(z))
    assert 0.7 < np.mean(z**2) < 1.4


# ---- what the form says of a setting


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"network": Network(kind="linear")}, "network.kind"),
        ({"network": Network(kind="mlp", hidden=(4, 4))}, "network.hidden"),
        ({"network": Network(kind="mlp", activation="identity")}, "network.activation"),
        ({"network": Network(kind="mlp", bias=True)}, "network.bias"),
        ({"network": Network(kind="mlp", init_spectrum=(1.0, 2.0))}, "network.init_spectrum"),
        ({"training": Training(optimizer="adam", steps=1)}, "training.optimizer"),
        ({"training": Training(l1=0.1, steps=1)}, "training.l1"),
        ({"training": Training(batch_size=1, steps=1)}, "training.batch_size"),
        ({"training": Training(steps=(0, 1, 2))}, "training.steps"),
        ({"labels": Labels(kind="teacher")}, "labels.kind"),
        (
            {"training": Training(loss="cross-entropy", steps=1), "labels": Labels(kind="classes")},
            "training.loss",
        ),
        ({"data": Data(kind="gaussian", spectrum=(1.0, 1.0), samples=2)}, "data.fixed"),
    ],
)
def test_hypotheses(changes: dict, match: str) -> None:
    base = first_step_setting(PLANE, 4, Training(steps=1))
    setting = Setting(
        **{"data": base.data, "labels": base.labels, "network": base.network, "training": base.training} | changes
    )
    rows = PLANE if setting.data.fixed else None
    with pytest.raises(NoClosedForm, match=match.replace(".", r"\.")):
        predict(setting, rows=rows, formula="network-first-step")


@pytest.mark.parametrize(
    ("changes", "rows", "key"),
    [
        ({"training": Training(learning_rate=1e200, steps=1)}, PLANE, "training.learning_rate"),
        ({}, 1e100 * PLANE, "rows"),
        ({"network": Network(kind="mlp", activation="tanh", init_variance=1e7)}, PLANE, "network.init_variance"),
    ],
)
def test_numbers_that_are_too_large(changes: dict, rows: np.ndarray, key: str) -> None:
    setting = msgspec.structs.replace(first_step_setting(PLANE, 4, Training(steps=1)), **changes)
    with pytest.raises(NoClosedForm) as caught:
        predict(setting, rows=rows, formula="network-first-step")
    assert caught.value.key == key


def test_plain_descent_is_asked_for_where_the_kernel_limit_needs_it() -> None:
    setting = first_step_setting(PLANE, 4, Training(momentum=0.5, steps=1))
    assert not_hidden_layer(setting) is None
    assert "training.momentum" in (not_plain_hidden_layer(setting) or "")


def test_constants_that_are_no_model() -> None:
    with pytest.raises(InvalidInput, match="activation"):
        first_step_terms(PLANE, Model("cubic", width=2, outputs=1, s0=1.0, sa=1.0, a4=3.0, sy=1.0))
