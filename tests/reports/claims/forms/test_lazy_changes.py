"""Changes of order 1/m in real networks: unbiased at every width, and nearly without noise."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy import stats

import simulate
import theory
from reports.claims.forms.lazy_changes import measure_changes
from reports.claims.forms.lazy_variates import mean_of_variates, pilot_variates
from tests.oracles.statistics import FALSE_ALARM
from theory.errors import InvalidInput
from theory.network.lazy import kernel_limit, motion, own_output, stretches, terms
from theory.network.model import model_of
from theory.network.propagators import kernel_propagators
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
    """The changes agree with the form that is exact at every width."""
    changes = measure_changes(setting)
    rows = simulate.rows(setting)
    basis = np.linalg.eigh(rows.T @ rows / len(rows))[1]
    exact = theory.predict(setting, rows=rows, formula="network-first-step").readings[0].second_moment
    initial = setting.network.layer_variances[0] / (1 if setting.network.parametrization == "ntk" else 3)
    expected = 3 * (np.diagonal(basis.T @ exact @ basis) - initial)
    value, error = changes.change[0], np.sqrt(np.diagonal(changes.covariance(0)))
    assert np.all(np.abs(value - expected) <= stats.norm.isf(FALSE_ALARM / 6) * error)


def test_several_steps_of_three_neurons() -> None:
    """The changes agree with the plain ensemble, whose noise is larger: the variates have the mean that is added."""
    setting = small("erf", training=Training(learning_rate=2.0, steps=6), parametrization="ntk", replicas=8000)
    changes = measure_changes(setting)
    (reading,) = simulate.run(setting).readings
    blocks = 3 * (np.trace(reading.second_moments, axis1=1, axis2=2) - 3 * 0.9)
    plain, plain_error = blocks.mean(), blocks.std(ddof=1) / np.sqrt(len(blocks))
    value, error = changes.change[0].sum(), np.sqrt(changes.covariance(0).sum())
    assert abs(value - plain) <= stats.norm.isf(FALSE_ALARM / 2) * np.hypot(error, plain_error)
    assert error < plain_error


@pytest.mark.parametrize("activation", ["relu", "erf", "tanh"])
@pytest.mark.parametrize("keys", [{"train": "first"}, {"parametrization": "ntk", "labels": Labels(outputs=2)}])
def test_variates_are_near_the_motion_at_a_fixed_kernel(activation: str, keys: dict) -> None:
    """A, Z and the mean of what is subtracted against the duals: by these the noise goes, whatever they are."""
    setting = small(activation, 8, 2000, training=Training(learning_rate=0.4, steps=(2, 9)), **keys)
    rows = simulate.rows(setting)
    directions = np.linalg.eigh(rows.T @ rows)[1]
    found = pilot_variates(msgspec.structs.replace(setting, network=narrow(setting, 4096)), 7, directions)
    means = mean_of_variates(setting, found, 10**6, directions)
    model, felt = model_of(setting, rows @ directions)
    limit = kernel_limit(felt, activation, model.s0, model.sa, both=model.factor < 1)
    for reading, (_, stretch) in enumerate(stretches(setting.training, limit.kappa, len(rows))):
        matrices = kernel_propagators(stretch, limit.basis, limit.residual(model.sy))
        expected = terms(limit, matrices)
        np.testing.assert_allclose(found[reading].a, matrices.a, atol=0.02 * np.abs(matrices.a).max())
        second = np.diagonal(expected.gates + expected.output_weights)
        start = limit.basis @ limit.residual(model.sy) @ limit.basis.T
        forms = np.tensordot(found[reading].forms, start, axes=2)
        np.testing.assert_allclose(forms, second, atol=0.05 * np.abs(np.diagonal(expected.total)).max())
        # the other neurons are one fewer than all: m of the motion is (1 − 1/m) N, not N
        around = model.sy * np.eye(len(rows)) + (1 - 1 / 8) * model.sa * limit.k
        a = found[reading].a
        exact = np.diagonal(motion(limit, a @ around @ a) + own_output(limit, a)) + forms
        blocks = means[:, reading]
        error = blocks.std(axis=0, ddof=1) / np.sqrt(len(blocks))
        assert np.all(np.abs(blocks.mean(axis=0) - model.outputs * exact) <= 6.5 * error)
        assert np.all(error < 0.03 * expected.size * model.outputs)  # enough to see a wrong term


def narrow(setting: Setting, width: int) -> Network:
    return msgspec.structs.replace(setting.network, hidden=(width,))


def test_nearly_all_noise_is_taken_away() -> None:
    """Standard errors of forty networks of width 1000 are below 2 % of those of 40,000 independent neurons.

    Between neurons m(v·w)² has a standard deviation of √2 m s_0².
    """
    setting = small(width=1000, replicas=40, parametrization="ntk", training=Training(learning_rate=0.7, steps=20))
    error = np.sqrt(np.diagonal(measure_changes(setting).covariance(0)))
    assert np.all(error < 0.02 * np.sqrt(2 / 40000) * 1000 * 0.9)


def test_single_precision_is_enough() -> None:
    """The same networks in float32: changes differ by a small part of their error."""
    setting = small(width=200, replicas=40, train="first", training=Training(learning_rate=0.7, steps=20))
    single = msgspec.structs.replace(setting, ensemble=msgspec.structs.replace(setting.ensemble, dtype="float32"))
    double, rounded = measure_changes(setting), measure_changes(single)
    assert rounded.values.dtype == np.float64
    error = np.sqrt(np.diagonal(double.covariance(0)))
    assert np.all(np.abs(rounded.change[0] - double.change[0]) < 0.01 * error)


def test_labels_need_a_variance() -> None:
    setting = small(labels=Labels(kind="classes"), replicas=2)
    with pytest.raises(InvalidInput, match=r"labels\.kind"):
        measure_changes(setting)


def test_replicas_are_numbered_from_the_first() -> None:
    """Two ensembles with numbers apart share rows and nothing else; the number at once does not matter."""
    setting = small(replicas=6, width=4000)
    whole, later = measure_changes(setting), measure_changes(setting, first=3)
    values = [changes.values for changes in (whole, later)]
    off = np.abs(values[0][3:] - values[1][:3])
    assert np.all(off < 0.1 * np.abs(values[0][:3] - values[1][:3]))  # other pilots, and so nearly the same variates


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
