"""Changes of order 1/m in real networks: unbiased at every width, and nearly without noise."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy import stats

import simulate
import theory
from reports.claims.forms.lazy_changes import measure_changes, second_order_forms
from tests.oracles.statistics import FALSE_ALARM
from theory.network.lazy import kernel_limit, terms_after
from theory.network.propagators import descent_step
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training


def small(activation: str = "relu", width: int = 3, replicas: int = 6000, **keys: object) -> Setting:
    """Far from the kernel limit: three neurons, large steps."""
    tables = {name: keys.pop(name) for name in ("labels", "training") if name in keys}
    return Setting(
        data=Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples=5, fixed=True),
        network=Network(kind="mlp", hidden=(width,), activation=activation, init_variance=(0.9, 1.2), **keys),
        ensemble=Ensemble(replicas=replicas, seed=999),
        **{"labels": Labels(), "training": Training(learning_rate=0.7, steps=1), **tables},
    )


@pytest.mark.parametrize(
    "setting",
    [
        small("relu", labels=Labels(kind="rademacher", outputs=2)),
        small("erf", train="first"),
        small("tanh", parametrization="ntk", labels=Labels(outputs=3)),
    ],
    ids=lambda setting: setting.network.activation,
)
def test_the_first_step_of_three_neurons(setting: Setting) -> None:
    """Against the form that is exact at every width."""
    changes = measure_changes(setting)
    rows = simulate.rows(setting)
    basis = np.linalg.eigh(rows.T @ rows / len(rows))[1]
    exact = theory.predict(setting, rows=rows, formula="network-first-step").readings[0].second_moment
    initial = setting.network.layer_variances[0] / (1 if setting.network.parametrization == "ntk" else 3)
    expected = 3 * (np.diagonal(basis.T @ exact @ basis) - initial)
    value, error = changes.measured(0)
    assert np.all(np.abs(value - expected) <= stats.norm.isf(FALSE_ALARM / 6) * error)


def test_several_steps_of_three_neurons() -> None:
    """Against the plain ensemble, whose noise is larger: the variates of second order have the mean that is added."""
    setting = small("erf", training=Training(learning_rate=2.0, steps=6), parametrization="ntk", replicas=8000)
    changes = measure_changes(setting)
    (reading,) = simulate.run(setting).readings
    blocks = 3 * (np.trace(reading.second_moments, axis1=1, axis2=2) - 3 * 0.9)
    plain, plain_error = blocks.mean(), blocks.std(ddof=1) / np.sqrt(len(blocks))
    value, error = changes.trace(0)
    assert abs(value - plain) <= stats.norm.isf(FALSE_ALARM / 2) * np.hypot(error, plain_error)
    assert error < plain_error


@pytest.mark.parametrize("both", [False, True])
def test_second_order_forms_have_the_mean_of_the_terms(both: bool) -> None:
    """Σ S̃ ∘ Z_v = vᵀ(T_3 + T_4)v, so that E ρᵀZ_vρ is what is added again."""
    x = np.random.default_rng(1).standard_normal((6, 3))
    limit = kernel_limit(x, "tanh", 0.3, 1.2, both=both)
    stretch = descent_step(limit.kappa, 0.1).repeated(9)
    found = terms_after(limit, stretch, 0.7)
    expected = np.diagonal(found.gates + found.output_weights)
    forms = second_order_forms(limit, stretch.double_sum)
    np.testing.assert_allclose(np.tensordot(forms, limit.residual(0.7), axes=2), expected, rtol=1e-10)


def test_nearly_all_noise_is_taken_away() -> None:
    """Between neurons m(v·w)² has a standard deviation of √2 m s_0²; forty networks of 1000 have 40,000 of them."""
    setting = small(width=1000, replicas=40, parametrization="ntk", training=Training(learning_rate=0.7, steps=20))
    _, error = measure_changes(setting).measured(0)
    assert np.all(error < 0.02 * np.sqrt(2 / 40000) * 1000 * 0.9)


def test_replicas_are_numbered_from_the_first() -> None:
    """Two ensembles with numbers apart share rows and nothing else; the number at once does not matter."""
    setting = small(replicas=6, width=4000)
    whole, later = measure_changes(setting), measure_changes(setting, first=3)
    np.testing.assert_allclose(whole.values[3:], later.values[:3], rtol=1e-7)
    assert not np.isclose(whole.values[:3], later.values[:3]).any()


def test_diverged_replicas_are_counted() -> None:
    setting = small("relu", training=Training(learning_rate=1.9, steps=4000), replicas=40, parametrization="ntk")
    wild = msgspec.structs.replace(
        setting, network=msgspec.structs.replace(setting.network, init_variance=(90.0, 1.2)), labels=Labels(variance=9)
    )
    rows = simulate.rows(wild)
    largest = kernel_limit(rows / np.sqrt(3), "relu", 90.0, 1.2, both=True).kappa[-1]
    training = Training(learning_rate=1.9 * 5 / largest, steps=4000)
    changes = measure_changes(msgspec.structs.replace(wild, training=training))
    assert changes.diverged > 0
    assert changes.replicas == 40
    assert np.isfinite(changes.values).all()
