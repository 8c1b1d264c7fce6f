"""The total growth of the weights of one hidden layer of ReLUs: an exact law of the order-1/m theory.

ReLU is homogeneous, φ'(u) u = φ(u) and φ''(u) u = 0, so that the traces of `theory.network.lazy`'s terms are traces of
products with the tangent kernel, and split into its modes (theory/derivations.md, section 2.2):

    m (E|w|² − d s_0²) = C Σ_a (1/κ_a) [s_y² (1 − r_a)² − (1 − r_a²) N_aa],      r_a = (1 − ηκ_a/n)^t, or e^{−κ_aT/n},

N_aa the variance of the initial output in mode a. If only the first layer is trained it is exact for descent and flow;
with both layers, for flow, where it is also the change of m E a²; descent then misses it by order η.

Fitting labels lengthens weights and unlearning the initial output shortens them. Mode a of a flow lengthens them iff

    s_y² tanh(κ_aT/2n) > N_aa:      never, if the output's variance exceeds the labels' in that mode.
"""

from __future__ import annotations

import numpy as np

from theory.errors import InvalidInput
from theory.network.lazy import KernelLimit
from theory.network.propagators import Stretch


def trace_law(limit: KernelLimit, stretch: Stretch, labels: float, outputs: int = 1) -> np.ndarray:
    """The contribution of each mode of the tangent kernel to m (E|w|² − d s_0²), (n,), without division by κ:

        C A_a [s_y² (1 − r_a) − N_aa (1 + r_a)],      A_a = (1 − r_a)/κ_a.

    `labels` is s_y², `outputs` C. Raises InvalidInput unless the activation is ReLU: others are not homogeneous.

    >>> from theory.network.lazy import kernel_limit
    >>> from theory.network.propagators import descent_step
    >>> limit = kernel_limit(np.array([[2.0]]), "relu", 1.0, 1.0, both=False)
    >>> trace_law(limit, descent_step(limit.kappa, 0.25), labels=5.0)  # κ = 2, N = 2, r = ½, A = ¼
    array([-0.125])
    """
    if limit.activation != "relu":
        raise InvalidInput("activation", limit.activation, "must be 'relu': the law needs a homogeneous activation")
    output = np.diagonal(limit.start)
    return np.asarray(outputs * stretch.sum * (labels * (1 - stretch.decay) - output * (1 + stretch.decay)))


def recovery_times(limit: KernelLimit, labels: float) -> np.ndarray:
    """The flow times T_a/n (n,) at which the net effect of each mode turns from shortening to lengthening weights:

        T_a/n = (2/κ_a) artanh(N_aa/s_y²),      infinite where N_aa >= s_y² or κ_a = 0.

    >>> from theory.network.lazy import kernel_limit
    >>> limit = kernel_limit(np.array([[2.0]]), "relu", 1.0, 1.0, both=False)
    >>> recovery_times(limit, 4.0).round(6).tolist(), recovery_times(limit, 2.0).tolist()
    ([0.549306], [inf])
    """
    if limit.activation != "relu":
        raise InvalidInput("activation", limit.activation, "must be 'relu': the law needs a homogeneous activation")
    output = np.diagonal(limit.start)
    reached = (output < labels) & (limit.kappa > 0)
    ratio = np.divide(output, labels, out=np.zeros_like(output), where=reached)
    return np.divide(2 * np.arctanh(ratio), limit.kappa, out=np.full_like(output, np.inf), where=reached)
