"""What is left of the start, in one direction: there the bound is no bound but the distance itself, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.oracles.linear import fixed_setting
from theory.catalogue import predict
from theory.errors import NoClosedForm
from theory.linear.stationary import remainder, stationary_state
from theory.setting import Labels, Network, Training

ROWS = np.array([[1.0], [0.5], [-2.0], [1.5]])
N, S = 4, float(np.mean(ROWS**2))
VARIANCE, INITIAL = 1.3, 0.6


def of_one_direction(**training: object) -> tuple:
    options = {"learning_rate": 0.1, "batch_size": 1, "sampling": "replacement", "steps": (3, 5, 15), **training}
    return fixed_setting(
        ROWS, Training(**options), labels=Labels(variance=VARIANCE), network=Network(init_variance=INITIAL)
    )


def batch_part(moment: float, label: float = 0.0) -> float:
    """B(T) of residuals R_ik = x_i T x_k + σ_y² 1_ik: [Σ x_i² R_ii − (1/n) Σ x_i R_ik x_k]/n²."""
    x = ROWS[:, 0]
    residual = moment * np.outer(x, x) + label * np.eye(N)
    return float(x**2 @ residual.diagonal() - x @ residual @ x / N) / N**2


@pytest.mark.parametrize("decay", [0.0, 0.4])
def test_the_distance_from_where_it_settles(decay: float) -> None:
    """a_t step by step from D' = 𝓚(D) + what decay still feeds; the cross term 2 p_t (σ_y²/n) s/h² beside it."""
    setting = of_one_direction(weight_decay=decay)
    eta, kappa, h = 0.1, N, S + decay
    rho = (1 - eta * h) ** 2 + kappa * eta**2 * batch_part(1.0)
    # where full-batch training ends, w_* = Xᵀy/(n h): its residuals are X w_* − y
    x = ROWS[:, 0]
    hat = np.outer(x, x) / (N * h) - np.eye(N)
    residual = VARIANCE * hat @ hat.T
    fed_at_rest = kappa * eta**2 * float(x**2 @ residual.diagonal() - x @ residual @ x / N) / N**2
    z = fed_at_rest / (1 - rho)
    state = stationary_state(setting, ROWS)
    np.testing.assert_allclose(state.noise, [[z]], rtol=1e-12)
    end = VARIANCE / N * S / h**2
    np.testing.assert_allclose(state.second_moment, [[end + z]], rtol=1e-12)
    a = abs(INITIAL + end - z)
    fed = kappa * eta**2 * batch_part(2 * VARIANCE * decay / N / h**2)
    bounds, left = [], 1.0
    for step in range(16):
        if step in setting.training.readings:
            bounds.append(a + 2 * (1 - eta * h) ** step * end)
        a, left = rho * a + fed * left, left * rho**0.5
    found = remainder(state)
    np.testing.assert_allclose(found[:, 0], bounds, rtol=1e-9)
    late = of_one_direction(weight_decay=decay, steps=15)
    budget = bounds[-1] / (end + z - bounds[-1])
    assert 0.02 < budget < 0.5
    predicted = predict(late, rows=ROWS, formula="linear-stationary")
    assert predicted.error_budget == pytest.approx(budget, rel=1e-9)


def test_a_schedule_settles_at_its_last_rate() -> None:
    """Before the drop Z is not at rest: what moves it, 𝓚(Z) + Γ C Γᵀ − Z, is summed geometrically."""
    setting = of_one_direction(drops=((4, 0.5),), steps=(4, 30))
    kappa, x = N, ROWS[:, 0]
    end = VARIANCE / N / S
    hat = np.outer(x, x) / (N * S) - np.eye(N)
    residual = VARIANCE * hat @ hat.T
    noise = kappa * float(x**2 @ residual.diagonal() - x @ residual @ x / N) / N**2
    rhos = [(1 - eta * S) ** 2 + kappa * eta**2 * batch_part(1.0) for eta in (0.1, 0.05)]
    z = 0.05**2 * noise / (1 - rhos[1])
    moved = abs(rhos[0] * z + 0.1**2 * noise - z)
    a = abs(INITIAL + end - z)
    for _ in range(4):
        a = rhos[0] * a + moved
    early = a + 2 * (1 - 0.1 * S) ** 4 * end
    late = rhos[1] ** 26 * a + 2 * (1 - 0.1 * S) ** 4 * (1 - 0.05 * S) ** 26 * end
    np.testing.assert_allclose(remainder(stationary_state(setting, ROWS))[:, 0], [early, late], rtol=1e-9)


def test_the_budget_ends_at_one_half() -> None:
    """The first step that is not refused is the first whose bound is a third of τ: b/(τ − b) <= ½."""
    refused = []
    for step in range(2, 40):
        setting = of_one_direction(steps=step)
        state = stationary_state(setting, ROWS)
        bound, tau = remainder(state)[0, 0], state.second_moment[0, 0]
        allowed = bound <= tau / 3
        refused.append(not allowed)
        if allowed:
            assert predict(setting, rows=ROWS, formula="linear-stationary").error_budget <= 0.5
        else:
            with pytest.raises(NoClosedForm, match=f"by step {step} up to"):
                predict(setting, rows=ROWS, formula="linear-stationary")
    assert True in refused
    assert False in refused
