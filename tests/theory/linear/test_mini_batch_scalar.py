"""Mini-batches by d numbers: the recursion of the module's head as a plain loop, its budgets, and where it stops."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from tests.oracles.linear import fixed_setting
from theory.catalogue import predict
from theory.errors import NoClosedForm
from theory.linear.eigenbasis import in_eigenbasis
from theory.linear.mini_batch_scalar import gaussian_term, heaviness
from theory.setting import Data, Labels, Network, Setting, Training

NAME = "linear-mini-batch-scalar"
DATA = {"kind": "gaussian", "spectrum": (1.0, 1.0, 1.0), "fixed": True}


def rows_of(n: int, d: int = 3) -> np.ndarray:
    return np.random.default_rng([n, d, 8]).standard_normal((n, d)) * np.sqrt([0.3, 1.0, 2.0][:d])


def scalar_loop(rows: np.ndarray, setting: Setting, gaussian: bool) -> dict[int, np.ndarray]:
    """τ in the eigendirections of S, ascending, after every step: full-batch moments and batch noise apart."""
    n, size, training = len(rows), setting.training.batch_size, setting.training
    d, variance = rows.shape[1], setting.labels.variance
    s = np.linalg.eigvalsh(rows.T @ rows / n)
    s[s < 1e-12] = 0.0
    kappa = n / size if training.sampling == "replacement" else n * (n - size) / (size * (n - 1))
    p, q, u = np.ones(d), np.zeros(d), np.zeros(d)
    initial = setting.network.layer_variances[0] / d
    found = {}
    for step in range(training.readings[-1] + 1):
        descent = p**2 * initial + variance / n * s * q**2  # τ of gradient descent on all rows
        found[step] = descent + u
        eta, h = training.learning_rate_at(step), s + training.weight_decay
        rho = n * s * (descent + u) - 2 * variance * s * q + variance  # per direction, n times the mean square residual
        mean = (sum(rho[i] for i in range(d) if s[i] > 0) + (n - np.sum(s > 0)) * variance) / n
        noise = s * mean - s * rho / n
        if gaussian:
            noise = noise + 2 * s**2 * (descent + u - 2 * variance / n * q)
        u = (1 - eta * h) ** 2 * u + eta**2 * kappa / n * noise
        p, q = (1 - eta * h) * p, (1 - eta * h) * q + eta
    return found


@pytest.mark.parametrize("sampling", ["fresh", "replacement"])
@pytest.mark.parametrize(
    ("n", "gaussian"),
    [(2, False), (6, False), (7, True), (30, True)],  # the term of Gaussian rows needs more than twice as many as d
)
def test_the_recursion_is_a_plain_loop(n: int, gaussian: bool, sampling: str) -> None:
    rows = rows_of(n) / 4
    training = Training(
        learning_rate=0.2, batch_size=1, sampling=sampling, weight_decay=0.1, drops=((4, 0.5),), steps=(0, 3, 4, 9)
    )
    setting = fixed_setting(rows, training, labels=Labels(variance=1.7), network=Network(init_variance=0.6))
    setting = msgspec.structs.replace(setting, data=Data(**DATA, samples=n))
    assert gaussian_term(setting, 3) == gaussian
    basis = in_eigenbasis(setting, rows)
    expected = scalar_loop(rows, setting, gaussian)
    prediction = predict(setting, rows=rows, formula=NAME)
    for reading in prediction.readings:
        assert len(reading.tau) == len(basis.spaces.multiplicity)
        tau = np.repeat(reading.tau, reading.multiplicity)
        mean = [expected[reading.step][block].mean() for block in basis.spaces.slices]
        np.testing.assert_allclose(tau, np.repeat(mean, reading.multiplicity), rtol=1e-11)
    kappa = n if sampling == "replacement" else n * (n - 1) / (n - 1)
    strength = 0.2 * kappa * np.trace(rows.T @ rows / n) / n
    assert prediction.error_budget == pytest.approx(max(0.02, (0.25 if gaussian else 0.8) * strength), rel=1e-12)


def test_the_gaussian_term_is_for_centred_gaussian_rows() -> None:
    def taken(**data: object) -> bool:
        return gaussian_term(Setting(data=Data(**{**DATA, "samples": 7, **data}), training=Training(batch_size=2)), 3)

    assert taken()
    assert not taken(samples=6)
    assert not taken(mean=(0.0, 0.0, 1.0))
    assert not taken(kind="elliptical")


def test_it_stops_where_the_batch_noise_or_the_tails_exceed_what_was_measured() -> None:
    """ε = ηκ_B tr(S)/n with the largest learning rate of the schedule, at most ½; E‖x‖⁴ at most 1.1 of Gaussian."""
    rows = np.repeat(np.eye(3), 4, axis=0)  # tr S = 1
    kappa = 12 * 11 / 11
    edge = 0.5 * 12 / kappa
    for options, refused in (
        ({"learning_rate": 0.999 * edge}, False),
        ({"learning_rate": 1.001 * edge}, True),
        ({"learning_rate": 0.25 * edge, "drops": ((3, 4.01),)}, True),
        ({"learning_rate": 0.25 * edge, "drops": ((3, 3.99),)}, False),
        ({"learning_rate": 1.001 * edge, "drops": ((1, 0.5),)}, True),
        ({"learning_rate": 1.001 * edge, "drops": ((0, 0.5),)}, False),
    ):
        setting = fixed_setting(rows, Training(batch_size=1, steps=5, sampling="fresh", **options))
        if refused:
            with pytest.raises(NoClosedForm, match=r"the batch noise .* exceeds 0\.5"):
                predict(setting, rows=rows, formula=NAME)
        else:
            predict(setting, rows=rows, formula=NAME)


def test_heaviness_by_its_definition() -> None:
    """Rows along one axis, of lengths whose 4th and 2nd powers are known: E x⁴/(3 (E x²)²)."""
    for lengths, expected in (([1.0, 1.0], 1 / 3), ([0.0, 2.0], 8 / 12), ([0.0] * 9 + [3.0], 8.1 / (3 * 0.81))):
        rows = np.array(lengths)[:, None]
        assert heaviness(in_eigenbasis(fixed_setting(rows, Training()), rows)) == pytest.approx(expected, rel=1e-12)
    rows = np.array([[2.0, 0.0], [0.0, 1.0]])  # s = ½, 2: (16 + 1)/2 over 2.5² + 2 (.25 + 4)
    assert heaviness(in_eigenbasis(fixed_setting(rows, Training()), rows)) == pytest.approx(8.5 / 14.75, rel=1e-12)
