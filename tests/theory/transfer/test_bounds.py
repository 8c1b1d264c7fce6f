"""The last values that the formulas of transfer take, and what they call rounding."""

from __future__ import annotations

import numpy as np
import pytest

from theory.errors import InvalidInput
from theory.setting import Training
from theory.transfer import LinearisedNetwork, RandomLabels, linearised_loss, linearised_transfer
from theory.transfer.frozen_features import frozen_feature_transfer
from theory.transfer.initial_weights import initial_weight_training_loss, initial_weight_transfer
from theory.transfer.inputs import full_batch_propagators, nonnegative, signs, task
from theory.transfer.linearised import LinearisedTransfer


def test_labels_may_vanish_and_must_be_finite() -> None:
    assert RandomLabels() == RandomLabels(variance=1.0, outputs=1)
    training = Training(learning_rate=0.5, steps=(0, 3))
    network = LinearisedNetwork(np.eye(2), outputs=np.array([1.0, -1.0]))
    np.testing.assert_allclose(linearised_loss(network, RandomLabels(variance=0.0), training), [0.5, 0.5 * 0.75**6])
    for bad in ({"variance": -5e-324}, {"variance": np.inf}, {"variance": np.nan}, {"outputs": 0}):
        with pytest.raises(InvalidInput, match=next(iter(bad))):
            RandomLabels(**bad)


def test_kernels_may_be_negative_by_rounding_only() -> None:
    """Eigenvalues down to −10⁻⁷ of the largest are 0; a kernel all of which is negative is none."""
    training = Training(learning_rate=0.5, steps=(1,))
    for name in ("kernel", "covariance"):
        for value, allowed in ((-0.99e-7, True), (-1.01e-7, False)):
            matrix = np.diag([2.0, 2 * value])
            network = LinearisedNetwork(matrix) if name == "kernel" else LinearisedNetwork(np.eye(2), None, matrix)
            if allowed:
                linearised_loss(network, np.ones(2), training)
            else:
                with pytest.raises(InvalidInput, match=f"{name} = 'eigenvalue"):
                    linearised_loss(network, np.ones(2), training)
    with pytest.raises(InvalidInput, match="kernel = 'eigenvalue -1"):
        linearised_loss(LinearisedNetwork(-np.eye(2)), np.ones(2), training)
    # and what is negative by rounding does not grow
    found = linearised_loss(LinearisedNetwork(np.diag([2.0, -1e-7])), np.array([0.0, 1.0]), training)
    assert found.tolist() == [0.25]


@pytest.mark.parametrize(("momentum", "limit"), [(0.0, 2.0), (0.5, 3.0)])
def test_training_is_refused_from_the_limit_of_stability_on(momentum: float, limit: float) -> None:
    """ηκ_max/n at 2(1 + μ) itself does not converge."""
    network = LinearisedNetwork(np.diag([1.0, 4.0]))
    for rate, allowed in ((limit / 2, False), (np.nextafter(limit / 2, 0), True)):
        training = Training(learning_rate=rate, momentum=momentum, steps=2)
        if allowed:
            linearised_loss(network, np.ones(2), training)
        else:
            with pytest.raises(InvalidInput, match=f"= {limit:.3g} must be below {limit:.3g}"):
                linearised_loss(network, np.ones(2), training)
    with pytest.raises(InvalidInput, match=r"training.weight_decay = 1e-09: must be 0"):
        linearised_loss(network, np.ones(2), Training(learning_rate=0.1, weight_decay=1e-9))


def test_signs_of_gains_beyond_rounding() -> None:
    """10⁻¹² of the reference's loss is none; the early sign is that of the start, or else of the slope."""
    loss, reference = np.array([1.0, 1.0, 4.0, 4.0]), np.array([1 + 1e-13, 1 + 2e-12, 4 - 2e-12, 4 - 9e-12])
    found = LinearisedTransfer((0, 1, 2, 3), loss, reference, 0.0, -1e-300)
    assert found.transfer_sign == ("none", "positive", "none", "negative")
    np.testing.assert_array_equal(found.gain, reference - loss)
    assert found.early_sign == "negative"
    assert LinearisedTransfer((0,), loss, loss, 1e-300, -1.0).early_sign == "positive"
    assert LinearisedTransfer((0,), loss, loss, 0.0, 0.0).early_sign == "none"


def test_starts_and_slopes_by_hand() -> None:
    """E‖y − f_0‖²/(2n) of each, and tr K M/n²; differences of rounding are none."""
    y = np.array([1.0, 2.0, -1.0])
    one = LinearisedNetwork(np.diag([3.0, 1.0, 2.0]), outputs=np.array([0.5, 0.0, 1.0]))
    two = LinearisedNetwork(np.diag([1.0, 4.0, 1.0]), outputs=np.array([0.0, 0.0, 2.0]))
    found = linearised_transfer(one, two, y, Training(learning_rate=0.1, steps=(0, 1)))
    assert found.start == pytest.approx(((1 + 4 + 9) - (0.25 + 4 + 4)) / 6, rel=1e-14)
    assert found.slope == pytest.approx(((3 * 0.25 + 4 + 2 * 4) - (1 + 16 + 9)) / 9, rel=1e-14)
    assert found.start == pytest.approx(found.gain[0], rel=1e-12)
    same = linearised_transfer(one, LinearisedNetwork(one.kernel * (1 + 1e-15), one.outputs), y, Training(steps=(1,)))
    assert (same.start, same.slope) == (0.0, 0.0)


def test_inputs_at_their_bounds() -> None:
    assert task(0.0, 1) == (0.0, 1)
    for bad, key in (((-1e-9, 1), "noise"), ((np.inf, 1), "noise"), ((np.nan, 1), "noise"), ((0.0, 0), "samples")):
        with pytest.raises(InvalidInput, match=f"^{key} = "):
            task(*bad)
    np.testing.assert_array_equal(nonnegative("tau", [0.0], 1), [0.0])
    for values in ([], [[1.0]], [1.0, 2.0], 3.0):
        with pytest.raises(InvalidInput, match=r"tau.shape = .*: must be \(1,\), one an eigendirection"):
            nonnegative("tau", values, 1)
    for value in (-5e-324, np.nan, np.inf):
        with pytest.raises(InvalidInput, match=r"tau = .* must be finite and not negative"):
            nonnegative("tau", [value])
    assert signs(np.array([5e-324, -5e-324, 0.0])) == ("positive", "negative", "none")


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 3},
        {"optimizer": "adam"},
        {"loss": "cross-entropy"},
        {"l1": 1e-9},
    ],
)
def test_only_full_batch_descent_has_propagators(options: dict) -> None:
    full_batch_propagators(Training(steps=1), np.ones(1))
    with pytest.raises(InvalidInput, match="must be full-batch gradient descent"):
        full_batch_propagators(Training(steps=1, **options), np.ones(1))


def test_directions_without_variance_carry_noise_that_stays() -> None:
    """n − r of n rows are fitted by nothing: r counts s > 0 alone, however small."""
    training = Training(learning_rate=1.0, steps=(1,))
    found = initial_weight_training_loss([0.0, 1e-300, 1.0], [0.0] * 3, [0.0] * 3, 3.0, 6, training)
    assert found[0] == pytest.approx(3.0 / 12 * (6 - 2 + 1 + 0), rel=1e-14)
    found = frozen_feature_transfer([0.0, 1e-300, 1.0], [1.0, 1.0, 1.0], [0.0] * 3, 3.0, 6, training)
    assert found.loss[0] == pytest.approx(3.0 / 12 * (6 - 2 + 1 + 0), rel=1e-14)


def test_gains_by_hand() -> None:
    """Two directions, one step: ω_i = s_i (1 − ηs_i)², raw ½ Σ ω_i (σ_0² − τ_i), matched ½ Σ ω_i (τ̄ − τ_i)."""
    found = initial_weight_transfer([0.5, 2.0], [3.0, 1.0], Training(learning_rate=0.25, steps=1), init_variance=1.5)
    weights = np.array([0.5 * 0.875**2, 2.0 * 0.25])
    np.testing.assert_allclose(found.weights, [weights], rtol=1e-14)
    np.testing.assert_allclose(found.raw, [0.5 * (weights[0] * -1.5 + weights[1] * 0.5)], rtol=1e-13)
    np.testing.assert_allclose(found.trace_matched, [0.5 * (weights[0] * -1.0 + weights[1] * 1.0)], rtol=1e-13)
    np.testing.assert_allclose(found.covariance, [(weights[0] - weights[1]) / 2], rtol=1e-13)
    zero = initial_weight_transfer([0.5], [3.0], Training(steps=1), init_variance=0.0)
    assert zero.raw_sign == ("negative",)
    for bad in (-1e-9, np.inf):
        with pytest.raises(InvalidInput, match="init_variance"):
            initial_weight_transfer([0.5], [3.0], Training(steps=1), init_variance=bad)


def test_early_gains_of_features_by_hand() -> None:
    """Σ_i s_i (τ_i − τ̄)(s_i w_i² + σ²/n) per unit of ηt, d times the covariance."""
    s, tau, square = [0.5, 1.0, 2.0], [1.0, 4.0, 1.0], [1.0, 0.5, 0.25]
    found = frozen_feature_transfer(s, tau, square, 1.2, 4, Training(learning_rate=1e-6, steps=1))
    expected = sum(v * (t - 2.0) * (v * w + 0.3) for v, t, w in zip(s, tau, square, strict=True))
    assert found.early_gain == pytest.approx(expected, rel=1e-13)
    assert found.covariance == pytest.approx(expected / 3, rel=1e-13)
    assert found.trace_matched[0] == pytest.approx(1e-6 * expected, rel=1e-4)
