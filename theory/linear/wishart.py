"""Expected powers of a Wishart matrix: E[(GᵀG)^k] for G of C independent rows N(0, diag ν).

Both routes are exact recursions without cancellation, all their terms being positive (theory/derivations.md, section
1.6). The expectations are diagonal, as the law is invariant under sign flips of the coordinates.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from theory.errors import InvalidInput

LARGEST_ORDER = 24  # the largest order of `wishart_powers`: beyond it there are too many partitions
LARGEST_ORDER_OF_A_VECTOR = 60  # the largest order of `vector_powers`


def wishart_powers(variances: np.ndarray, rows: int, order: int) -> np.ndarray:
    """E[(GᵀG)^k]_ii, k = 0 … order, shape (order + 1, d); ν = `variances` (d,), C = `rows`.

    Integration by parts with V = diag ν, W = GᵀG, T_λ = Π_{a∈λ} tr W^a:

        E[T_λ W^{k+1}] = V E[ (C + k) T_λ W^k + Σ_{j<k} T_λ tr(W^{j+1}) W^{k−1−j} + Σ_{a∈λ} 2a T_{λ∖a} W^{k+a} ].

    Raises
    ------
    InvalidInput
        If `order` exceeds LARGEST_ORDER.

    Examples
    --------
    >>> wishart_powers(np.array([1.0, 2.0]), 3, 2).tolist()  # C ν, then C(C + 1)ν² + C tr(V) ν
    [[1.0, 1.0], [3.0, 6.0], [21.0, 66.0]]
    """
    if not 0 <= order <= LARGEST_ORDER:
        raise InvalidInput("order", order, f"must lie in [0, {LARGEST_ORDER}]")
    nu = np.asarray(variances, dtype=float)

    @cache
    def moment(traces: tuple[int, ...], power: int) -> np.ndarray:
        if power == 0:
            if not traces:
                return np.ones_like(nu)
            return np.full_like(nu, moment(traces[1:], traces[0]).sum())
        k = power - 1
        total = (rows + k) * moment(traces, k)
        for j in range(k):
            total = total + moment(tuple(sorted((*traces, j + 1))), k - 1 - j)
        for index, a in enumerate(traces):
            total = total + 2 * a * moment(traces[:index] + traces[index + 1 :], k + a)
        return np.asarray(nu * total)

    return np.stack([moment((), k) for k in range(order + 1)])


def vector_powers(variances: np.ndarray, order: int) -> np.ndarray:
    """`wishart_powers` for one row b: E[(b bᵀ)^k]_ii = E[b_i² |b|^{2k−2}], to higher order and faster.

    E[b_i² h(|b|²)] = ν_i E[h(Q_i)], with Q_i = |b|² plus two more squares of variance ν_i. The moments of Q_i, over
    k!, obey q_k = (1/k) Σ_{j=1}^k 2^{j−1} p_j q_{k−j}, p_j = Σ_l ν_l^j + 2ν_i^j.

    >>> vector_powers(np.array([1.0, 2.0]), 2).tolist()
    [[1.0, 1.0], [1.0, 2.0], [5.0, 14.0]]
    """
    if not 0 <= order <= LARGEST_ORDER_OF_A_VECTOR:
        raise InvalidInput("order", order, f"must lie in [0, {LARGEST_ORDER_OF_A_VECTOR}]")
    nu = np.asarray(variances, dtype=float)
    exponents = np.arange(1, order + 1)
    powers = nu ** exponents[:, None]
    cumulants = 2.0 ** (exponents[:, None] - 1) * (powers.sum(axis=1, keepdims=True) + 2 * powers)
    moments = np.ones((order + 1, len(nu)))  # moments of Q_i over k!
    for k in range(1, order + 1):
        moments[k] = (cumulants[:k] * moments[k - 1 :: -1][:k]).sum(axis=0) / k
    factorials = np.cumprod(np.maximum(np.arange(order + 1), 1.0))
    found = np.ones((order + 1, len(nu)))
    found[1:] = nu * moments[:-1] * factorials[:-1, None]
    return found
