"""Transfer if the whole pre-trained network continues, including its output layer.

Pre-training moves f by −K_ZX A (f_0 − y_1) on downstream rows Z, with A = K_XX⁻¹(1 − R^t₁): to leading order the kernel
does not change, only the function at which downstream training starts. So the loss is that of
`theory.transfer.linearised` with the fresh network's kernel, and

    G = K_ZX A (s_y² + N_XX) A K_XZ − K_ZX A N_XZ − N_ZX A K_XZ + N_ZZ

for the covariance of the starting point. Its trace, mode by mode, decides: keeping the network hurts where the memory
of y_1 outweighs what pre-training forgot of f_0. As m → ∞, error O(m^-½); derived in theory/derivations.md, section
2.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theory.errors import InvalidInput
from theory.network.kernels import nngp, ntk
from theory.setting import Training
from theory.transfer.inputs import full_batch_propagators, signs
from theory.transfer.linearised import LinearisedNetwork, LinearisedTransfer, Targets, linearised_transfer


@dataclass(frozen=True, eq=False)
class KeptOutputTransfer:
    """The gain of a kept network over a fresh one, and its modes if the inputs are the same.

    Attributes
    ----------
    transfer : LinearisedTransfer
        Kept compared with fresh; both have the same kernel, and `start` determines the early gain.
    kappa : ndarray, shape (n,), or None
        Eigenvalues of the tangent kernel, ascending; None if the inputs are new.
    bracket : ndarray, shape (n,), or None
        What keeping adds to E (uᵀf)² along each eigenvector, s_y²(1 − ϱ^t₁)² − (1 − ϱ^2t₁) N_aa, ϱ = 1 − ηκ/n: the
        bracket of the trace law. The gain at step t₂ is −1/(2n) Σ_a ϱ_a^2t₂ bracket_a, an output.
    """

    transfer: LinearisedTransfer
    kappa: np.ndarray | None
    bracket: np.ndarray | None

    @property
    def mode_sign(self) -> tuple[str, ...] | None:
        """The sign of each mode's share of the gain, the same at all t₂.

        "negative" iff bracket > 0; under gradient flow, iff s_y² tanh(κηt₁/2n) > N_aa.
        """
        return None if self.bracket is None else signs(-self.bracket)


def kept_output_transfer(
    rows: np.ndarray,
    upstream: Training,
    targets: Targets,
    downstream: Training,
    *,
    label_variance: float,
    others: np.ndarray | None = None,
    activation: str = "relu",
    init_variance: float = 1.0,
    output_variance: float = 1.0,
) -> KeptOutputTransfer:
    """The expected downstream loss of a network pre-trained on random labels in both layers, compared with a fresh one.

    Parameters
    ----------
    rows : ndarray, shape (n, d)
        X of pre-training; in the "ntk" parametrization, to which the forms belong, X/√d.
    upstream : Training
        Training of all layers, full batch, with one reading: t_1.
    targets : ndarray of shape (p,) or (p, C), or RandomLabels
        The targets of the downstream task, independent of the upstream labels.
    downstream : Training
        Training of all layers, full batch.
    label_variance : float
        s_y² of the upstream labels, on every output.
    others : ndarray, shape (p, d), optional
        Z, the downstream rows; the upstream rows if None.
    activation, init_variance, output_variance
        φ, s_0² and s_a² of the network before pre-training.

    Raises
    ------
    InvalidInput
        As for `theory.transfer.linearised_transfer`, and if there is more than one upstream reading.

    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((20, 5))
    >>> training = Training(learning_rate=0.5, steps=20)
    >>> for label_variance in (0.01, 4.0):  # little to remember, and much
    ...     found = kept_output_transfer(rows, training, np.ones(20), training, label_variance=label_variance)
    ...     print(found.transfer.transfer_sign)
    ('positive',)
    ('negative',)
    """
    if len(upstream.readings) != 1:
        raise InvalidInput("upstream.steps", upstream.steps, "must be one number, the length of pre-training")
    if upstream.weight_decay:
        raise InvalidInput("upstream.weight_decay", upstream.weight_decay, "must be 0 in the kernel regime")
    if not 0 <= label_variance < np.inf:
        raise InvalidInput("label_variance", label_variance, "must be finite and not negative")
    x = np.asarray(rows, dtype=float)
    z = x if others is None else np.asarray(others, dtype=float)

    def kernels(first: np.ndarray, second: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        tangent = ntk(activation, first, second, covariance=init_variance, variances=(output_variance,))
        return tangent, nngp(activation, first, second, covariance=init_variance, variances=(output_variance,))

    kernel, initial = kernels(x)
    kappa, vectors = np.linalg.eigh(kernel)
    kappa = np.maximum(kappa, 0.0)
    p, q = (parts[0] for parts in full_batch_propagators(upstream, kappa / len(x)))
    inverse = (vectors * q / len(x)) @ vectors.T  # A, with its limit at κ = 0
    ahead, between = (kernel, initial) if others is None else kernels(z, x)
    here, start = (kernel, initial) if others is None else kernels(z)
    moved = ahead @ inverse
    cross = moved @ between.T
    kept = moved @ (label_variance * np.eye(len(x)) + initial) @ moved.T - cross - cross.T + start
    transfer = linearised_transfer(
        LinearisedNetwork(here, covariance=kept), LinearisedNetwork(here, covariance=start), targets, downstream
    )
    if others is not None:
        return KeptOutputTransfer(transfer, None, None)
    variances = np.einsum("ia,ij,ja->a", vectors, initial, vectors, optimize=True)
    return KeptOutputTransfer(transfer, kappa, label_variance * (1 - p) ** 2 - (1 - p**2) * variances)
