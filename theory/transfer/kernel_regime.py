"""Transfer through the law of the first layer's weights, by its effect on the kernels of a wide network.

f(x) = m^(−½) Σ_j a_j φ(w_j·x) starts downstream training at w_j ~ N(0, Σ_w), a_j ~ N(0, s_a²) fresh. As m → ∞ its
tangent kernel K_Σ and the covariance N_Σ of its outputs are those of `theory.network.kernels`, and

    E L_t = 1/(2n) [‖R^t y‖² + tr(R^2t N_Σ)],   R = 1 − ηK_Σ/n   (several outputs: summed over them),

the trace being absent where f_0 is subtracted, and ‖R^t y‖² being σ_y² tr R^2t for random labels. Transfer from Σ_w is
positive at step t iff this is less than with isotropic weights. Which ones? As drawn (s_0² I); of the same trace; or of
the same tr(Σ_w S), S = X'X/n, which sets the scale of the kernel: weights of the same trace have a larger kernel merely
because they favour directions in which the data are large. Error O(m^-½) for one network, whose K and f_0 fluctuate;
derived in theory/derivations.md, section 2.5. In training from random labels Σ_w − s_0² I is itself O(1/m) in this
regime.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theory.arrays import symmetric
from theory.errors import InvalidInput
from theory.network.kernels import TrainedLayers, nngp, ntk
from theory.setting import Training
from theory.transfer.linearised import LinearisedNetwork, LinearisedTransfer, Targets, linearised_transfer


@dataclass(frozen=True, eq=False)
class KernelRegimeTransfer:
    """The gain of weights N(0, Σ_w) over isotropic ones N(0, s² I), for three choices of s².

    Attributes
    ----------
    raw : LinearisedTransfer or None
        s² = s_0², the weights as drawn; None without `init_variance`.
    trace_matched : LinearisedTransfer
        s² = tr Σ_w/d.
    kernel_matched : LinearisedTransfer
        s² = tr(Σ_w S)/tr S: weights with the same mean E (w·x)².
    trace_variance, kernel_variance : float
        The two s².
    """

    raw: LinearisedTransfer | None
    trace_matched: LinearisedTransfer
    kernel_matched: LinearisedTransfer
    trace_variance: float
    kernel_variance: float


def kernel_regime_transfer(
    rows: np.ndarray,
    covariance: np.ndarray,
    targets: Targets,
    training: Training,
    *,
    activation: str = "relu",
    trained: TrainedLayers = "all",
    output_variance: float = 1.0,
    init_variance: float | None = None,
    subtract_initial: bool = False,
) -> KernelRegimeTransfer:
    """The expected losses of downstream training from w ~ N(0, Σ_w), and from isotropic weights.

    Parameters
    ----------
    rows : ndarray, shape (n, d)
        X of the downstream task; in the "ntk" parametrization X/√d.
    covariance : ndarray, shape (d, d)
        Σ_w from any source: predicted, or the second moment of actual weights.
    targets : ndarray of shape (n,) or (n, C), or RandomLabels
    training : Training
        The training, full batch. The rate is that of f with its m^(−½): in the "standard" parametrization the second
        layer trains m times faster, and `trained` must be "first", or "last" at m times the rate.
    activation : "relu", "erf" or "tanh"
    trained : "first", "last" or "all"
        The layers that downstream training trains.
    output_variance : float
        s_a².
    init_variance : float, optional
        s_0² of fresh weights, for the raw comparison.
    subtract_initial : bool
        Whether f_t − f_0 is trained instead of f_t.

    Raises
    ------
    InvalidInput
        As for `theory.transfer.linearised_transfer` and `theory.network.kernels.ntk`, and if Σ_w is zero on the data.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((60, 6)) * np.array([2.0, 2.0, 1.0, 1.0, 1.0, 1.0])
    >>> weights, training = np.diag([2.0, 2.0, 0.5, 0.5, 0.5, 0.5]), Training(learning_rate=0.2, steps=(1, 5))
    >>> for target in (rows[:, 0], rows[:, 5]):  # along the weights' large directions, and the small ones
    ...     options = {"trained": "last", "subtract_initial": True}
    ...     print(kernel_regime_transfer(rows, weights, target, training, **options).kernel_matched.transfer_sign)
    ('positive', 'positive')
    ('negative', 'negative')
    """
    sigma = symmetric("covariance", np.asarray(covariance, dtype=float))
    second_moment = np.asarray(rows, dtype=float)
    if second_moment.ndim != 2 or sigma.shape != (second_moment.shape[1],) * 2:
        raise InvalidInput("covariance.shape", sigma.shape, f"must be (d, d) for rows of shape {np.shape(rows)}")
    second_moment = second_moment.T @ second_moment / len(second_moment)
    trace_variance = float(np.trace(sigma)) / len(sigma)
    kernel_variance = float(np.sum(sigma * second_moment)) / max(float(np.trace(second_moment)), np.finfo(float).tiny)
    if not kernel_variance > 0:
        raise InvalidInput("covariance", f"tr(Σ_w S) = {kernel_variance:.3g}", "must be positive: all outputs are 0")

    def network(weights: np.ndarray | float) -> LinearisedNetwork:
        return wide_network(
            rows,
            weights,
            activation=activation,
            trained=trained,
            output_variance=output_variance,
            subtract_initial=subtract_initial,
        )

    pretrained = network(sigma)

    def against(variance: float) -> LinearisedTransfer:
        return linearised_transfer(pretrained, network(variance), targets, training)

    return KernelRegimeTransfer(
        raw=None if init_variance is None else against(init_variance),
        trace_matched=against(trace_variance),
        kernel_matched=against(kernel_variance),
        trace_variance=trace_variance,
        kernel_variance=kernel_variance,
    )


def wide_network(
    rows: np.ndarray,
    covariance: np.ndarray | float,
    *,
    activation: str = "relu",
    trained: TrainedLayers = "all",
    output_variance: float = 1.0,
    subtract_initial: bool = False,
) -> LinearisedNetwork:
    """The linearised network of infinitely many neurons w ~ N(0, Σ_w), a ~ N(0, s_a²); as `kernel_regime_transfer`."""
    x = np.asarray(rows, dtype=float)
    variances = (output_variance,)
    kernel = ntk(activation, x, covariance=covariance, variances=variances, trained=trained)
    initial = None if subtract_initial else nngp(activation, x, covariance=covariance, variances=variances)
    return LinearisedNetwork(kernel, covariance=initial)


def early_slope_guide(rows: np.ndarray, difference: np.ndarray, targets: np.ndarray) -> float:
    """The slope yᵀ(K_Σ − K_0)y/n² for ReLU, second layer trained, where the data have many effective dimensions.

        n² slope ≈ ¼ yᵀXΔXᵀy + (¼ − 1/2π) tr(ΔS) |y|² + tr(ΔS) (1ᵀy)²/2π,   Δ = Σ_w − s_0² I (`difference`).

    A guide for data whose rows are nearly orthogonal, and of nearly equal length under both laws; its relative error
    falls as (tr S)²/tr S² grows. In words: early transfer is positive if the weights favour the direction of Xᵀy, and
    if they increase tr(Σ_w S). Derived in theory/derivations.md, section 2.5.
    """
    x, y = np.asarray(rows, dtype=float), np.asarray(targets, dtype=float)
    n, beta = len(x), x.T @ y
    scale = float(np.sum(difference * (x.T @ x))) / n
    square = beta @ difference @ beta / 4 + (1 / 4 - 1 / (2 * np.pi)) * scale * (y @ y)
    return float(square + scale * y.sum() ** 2 / (2 * np.pi)) / n**2
