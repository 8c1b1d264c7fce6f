"""Cross-entropy near the kernel limit, linear in the logits: classes one by one, written out as one large system."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

import theory
from theory.errors import NoClosedForm
from theory.network.lazy import kernel_limit, motion, moving_gates, own_output
from theory.network.propagators import descent_step, kernel_propagators
from theory.network.softmax_lazy import (
    FORM,
    SATURATION,
    logit_variance,
    softmax_lazy_terms,
    softmax_limit,
    softmax_residual,
)
from theory.setting import Data, Labels, Network, Setting, Training

CLASSES, N, RATE, STEPS = 3, 4, 0.1, 7


def system() -> tuple:
    """The limit, and the residuals of all classes as a vector of C n entries: its update, its second moment, Π."""
    x = np.random.default_rng(1).standard_normal((N, 3))
    limit = kernel_limit(x, "relu", 0.4, 1.3, both=False)
    kernel = limit.basis * limit.kappa @ limit.basis.T
    project = np.eye(CLASSES) - 1 / CLASSES
    update = np.eye(CLASSES * N) - RATE * np.kron(project / CLASSES, kernel)
    one_hot = np.kron(project / CLASSES, np.eye(N))  # E ỹỹᵀ: uniform classes, rows independent
    output = np.kron(project @ project / CLASSES**2, limit.sa * limit.k)
    return limit, kernel, project, update, one_hot + output


def over_classes(matrix: np.ndarray) -> np.ndarray:
    """Σ_c of the blocks (c, c), (C n, C n) → (n, n)."""
    return np.einsum("cicj->ij", matrix.reshape(CLASSES, N, CLASSES, N))


def test_terms_are_those_of_all_classes_together() -> None:
    limit, _, project, update, start = system()
    a, b, power = np.zeros_like(update), np.zeros_like(update), np.eye(len(update))
    for _ in range(STEPS):
        b += RATE * power @ start @ a
        a += RATE * power
        power = update @ power
    scaled = softmax_limit(limit, CLASSES)
    stretch = descent_step(scaled.kappa, RATE).repeated(STEPS)
    matrices = kernel_propagators(stretch, scaled.basis, softmax_residual(scaled, CLASSES))
    found = softmax_lazy_terms(scaled, matrices, CLASSES)
    np.testing.assert_allclose(found.motion, motion(limit, over_classes(a @ start @ a)), rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(found.gates, moving_gates(limit, over_classes(b)), rtol=1e-10, atol=1e-14)
    # through a neuron's own logits, −Π a_j φ/C in the residual
    own = over_classes(a @ np.kron(project / CLASSES, np.eye(N)))
    np.testing.assert_allclose(found.own_output, own_output(limit, own), rtol=1e-10, atol=1e-14)
    assert not found.output_weights.any()


def test_variance_of_the_logits() -> None:
    """f(t) = f_0 + K Σ r(s) as the large system has it, averaged over rows and classes."""
    limit, kernel, project, update, _ = system()
    summed, power = np.zeros_like(update), np.eye(len(update))
    for _ in range(STEPS):
        summed += RATE * power
        power = update @ power
    gain = np.kron(np.eye(CLASSES), kernel) @ summed
    from_output = np.eye(CLASSES * N) - gain @ np.kron(project / CLASSES, np.eye(N))
    variance = from_output @ np.kron(np.eye(CLASSES), limit.sa * limit.k) @ from_output.T
    variance += gain @ np.kron(project / CLASSES, np.eye(N)) @ gain.T
    scaled = softmax_limit(limit, CLASSES)
    found = logit_variance(scaled, descent_step(scaled.kappa, RATE).repeated(STEPS), CLASSES)
    assert found == pytest.approx(np.trace(variance) / (CLASSES * N), rel=1e-10)


def entropy_setting(width: int = 4096, steps: int | tuple[int, ...] = (0, 1, 6), **network: object) -> Setting:
    return Setting(
        data=Data(kind="gaussian", spectrum=(1.0, 1.0, 1.0), samples=12, fixed=True),
        labels=Labels(kind="classes", classes=4),
        network=Network(**{"kind": "mlp", "hidden": (width,), "train": "first", **network}),
        training=Training(loss="cross-entropy", learning_rate=1.0, steps=steps),
    )


@pytest.mark.parametrize("activation", ["relu", "erf", "tanh"])
def test_its_first_step_is_the_exact_one_for_small_logits(activation: str) -> None:
    """The step approaches the form that is exact in the logits at large width, as output weights become small."""
    x = np.random.default_rng(2).standard_normal((12, 3))
    setting = entropy_setting(activation=activation, init_variance=(1.0, 1e-4), steps=1)
    found = theory.predict(setting, rows=x, formula="softmax-lazy").readings[0].tau
    exact = theory.predict(setting, rows=x, formula="softmax-first-step").readings[0].tau
    np.testing.assert_allclose(found - 1 / 3, exact - 1 / 3, rtol=1e-3)


def test_a_prediction_says_that_it_is_semi_quantitative() -> None:
    """The budget is never below a share of the terms that grows with the logits; nothing changes at step 0."""
    x = np.random.default_rng(3).standard_normal((12, 3))
    early, late = (
        theory.predict(entropy_setting(steps=steps), rows=x, formula="softmax-lazy") for steps in ((0, 2), (0, 2, 6))
    )
    assert (early.status, early.order) == ("asymptotic", "logits")
    assert any("semi-quantitative" in text for text in early.neglected)
    np.testing.assert_allclose(early.readings[0].tau, 1 / 3)
    assert 0 < early.error_budget < late.error_budget
    moved = np.abs(early.readings[1].tau * 3 - 1).max()
    limit = softmax_limit(kernel_limit(x, "relu", 1 / 3, 1.0, both=False), 4)
    spread = logit_variance(limit, descent_step(limit.kappa, 1 / 12).repeated(2), 4)
    assert early.error_budget >= 0.99 * SATURATION * spread * moved


def test_outside_its_regime_it_refuses() -> None:
    x = np.random.default_rng(4).standard_normal((12, 3))
    with pytest.raises(NoClosedForm, match="small logits"):
        theory.predict(entropy_setting(10**7, steps=400), rows=x, formula="softmax-lazy")
    with pytest.raises(NoClosedForm, match="weights move by"):
        theory.predict(entropy_setting(2), rows=x, formula="softmax-lazy")
    assert "derived for the first layer" in (FORM.refusal(entropy_setting(train="all")) or "")
    assert "cross-entropy" in (FORM.refusal(msgspec.structs.replace(entropy_setting(), training=Training())) or "")
