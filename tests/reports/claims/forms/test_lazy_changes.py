"""Changes of order 1/m in real networks: unbiased at every width, and nearly without noise."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy import stats

import simulate
import theory
from reports.claims.forms.lazy_changes import measure_changes, second_order_forms
from tests.oracles import FALSE_ALARM
<<<<<<< HEAD:tests/reports/claims/forms/test_lazy_changes.py
from theory.network.lazy import kernel_limit, terms_after
=======
from theory.network.lazy import LazyTerms, kernel_limit, terms_after
>>>>>>> theory:tests/test_reports_lazy.py
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
<<<<<<< HEAD:tests/reports/claims/forms/test_lazy_changes.py
=======


def imagined(gap: float, error: float, displacement: float = 0.1, replicas: int = 400) -> Changes:
    """A change of trace 10 in five directions, measured with this gap and this standard error of the trace."""
    part = np.diag(np.full(5, 1.0))
    predicted = LazyTerms(part, part, -part, np.zeros((5, 5)))
    noise = np.random.default_rng(2).standard_normal((replicas, 1, 5))
    noise = (noise - noise.mean(axis=0)) * error * np.sqrt(replicas / 5)
    values = (5.0 - gap) / 5 + noise
    return Changes((7,), np.arange(1.0, 6.0), values, (predicted,), (displacement,), 0)


@pytest.mark.parametrize("exponent", [-0.5, -1.0])
def test_a_power_law_is_found(exponent: float) -> None:
    widths = (16, 64, 256)
    changes = tuple(imagined(2.0 * (m / 16) ** exponent, 0.02) for m in widths)
    found, error, quality = f4_lazy.power_law("erf", widths, changes)
    assert abs(found - exponent) < 4 * error < 0.2
    assert quality > 1e-4


def test_widths_outside_the_regime_are_left_out() -> None:
    changes = (imagined(9.0, 0.01, displacement=0.6), imagined(1.0, 0.01), imagined(0.5, 0.01))
    found, error, _ = f4_lazy.power_law("relu", (16, 64, 256), changes)
    assert abs(found + 0.5) < 4 * error


def test_no_exponent_without_a_gap() -> None:
    assert f4_lazy.power_law("erf", (16, 64), (imagined(0.02, 0.02), imagined(0.0, 0.02))) is None


def case_of(name: str) -> f4_lazy.Case:
    return next(case for case in f4_lazy.cases(Context(seed=5)) if case.name == name)


def verdicts(changes: tuple[Changes, ...], law: tuple[float, float, float] | None) -> dict[str, str]:
    measured = f4_lazy.Measured((16, 64, 256), changes, law)
    found = f4_lazy.decide(case_of("erf, first layer"), -1.0, measured)
    return {finding.quantity.split(",")[0]: finding.verdict for finding in found}


def test_a_wrong_exponent_is_refuted_and_a_vague_one_undecided() -> None:
    changes = tuple(
        replace(
            imagined(0.01, 0.01),
            values=np.repeat(imagined(0.01, 0.01).values, 2, axis=2)[..., :10],
            sigma=np.ones(10),
            predicted=(LazyTerms(*(np.eye(10) * k for k in (1.0, 1.0, -1.0, 0.0))),),
        )
        for _ in range(3)
    )
    quantity = "exponent of $m$ in the error of the trace"
    assert verdicts(changes, (-1.02, 0.01, 0.5))[quantity] == "holds"
    assert verdicts(changes, (-0.5, 0.01, 0.5))[quantity] == "refuted"
    assert verdicts(changes, (-1.0, 0.2, 0.5))[quantity] == "undecided"
    assert verdicts(changes, None)[quantity] == "undecided"


def test_a_term_that_is_not_there_is_not_found() -> None:
    """A measured change from which T_3 is missing: its share is 0, and leaving it out is no control that holds."""
    change = imagined(0.0, 0.01)
    missing = replace(change, values=change.values + 1.0)
    value, error = f4_lazy.share(missing, "gates")
    assert abs(value) < 5 * error
    value, error = f4_lazy.share(change, "gates")
    assert abs(value - 1) < 5 * error


def test_a_family_shares_its_rows_and_its_claim_is_judged() -> None:
    """One family with few replicas: findings of every kind, a row a width."""
    context = Context(seed=5)
    case = case_of("erf, both layers")
    ensemble = msgspec.structs.replace(case.setting.ensemble, replicas=4)
    case = replace(case, setting=msgspec.structs.replace(case.setting, ensemble=ensemble))
    measured = f4_lazy.measure(case, context)
    assert [change.replicas for change in measured.changes] == [64, 4]
    np.testing.assert_array_equal(measured.changes[0].sigma, measured.changes[1].sigma)
    findings = f4_lazy.decide(case, f4_lazy.predict(case), measured)
    assert [finding.kind for finding in findings] == ["asymptotic", "control", "control", "control"]
    (table,), (figure,) = f4_lazy.illustrate((f4_lazy.Outcome(case, None, measured, findings),))
    assert len(table.rows) == 2
    assert figure.name == "f4-changes"
>>>>>>> theory:tests/test_reports_lazy.py
