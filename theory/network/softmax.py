"""How similar the softmax outputs of two rows are on average: E[p_i·p_k] for Gaussian logits, by the Gumbel-max trick.

At the start of training, at large width, the logits of C classes are independent copies of one Gaussian process.
Softmax probabilities are those of the largest logit after Gumbel noise: p_c = Pr(f_c + G_c is the largest). With
independent noise at the two rows, E[p_i·p_k] is the probability that one class is largest at both. As classes are
independent,

    E[p_i·p_k] = C ∫∫ F(u, v)^{C−1} f(u, v) du dv,

F and f the joint distribution function and density of U = f_ic + G_c and V = f_kc + G'_c. Given the logits F is a
product of two Gumbel functions; by Mehler's formula F(u, v) = Σ_j ρ^j α_j(u) β_j(v) with Hermite coefficients of either
row. The cost does not grow with the number of classes. Derived in theory/derivations.md, section 2.4.
"""

from __future__ import annotations

import math

import numpy as np

from theory.errors import InvalidInput

# The step h of the trapezoidal rule in u and v, with an error of e^(−π²/h): Gumbel functions are
# bounded for |Im u| <= π/2.
STEP = 0.4
LOW, HIGH, WIDE = 4.0, 24.0, 7.0  # the Gumbel law's ends at 1e-11, and standard deviations of the logits beyond them
REACH = 13.0  # the largest node of the Gaussian, in standard deviations
LEFT_OUT = 1e-10  # the most that the Hermite terms that are left out may add to the result
ROUNDING = 1e-16  # the size up to which powers of ρ are neglected
MOST = 1024  # the most Hermite terms
LARGEST = 25.0  # the largest variance of logits: with the most terms 1e-10 is left out, for 2 to 100 classes


def softmax_products(covariance: np.ndarray, classes: int) -> np.ndarray:
    """E[p_i·p_k] (n, n) for logits that are independent over `classes` C, each N(0, `covariance`), (n, n).

    Within 1e-9 of the exact value. Time O(n² u² J) with u = 80 + 35 σ nodes and J Hermite terms, 16 … 1024 as the
    standard deviation σ of the logits grows from 0.3 to 5: for n = 60 and σ = 1 a few seconds.

    Raises
    ------
    InvalidInput
        If there are fewer than two classes, the matrix is not a covariance, or variances are above 25.

    Examples
    --------
    All classes are equally likely if logits are 0, and one is certain if they are large.

    >>> softmax_products(np.diag([0.0, 1.0]), 4).round(6).tolist()
    [[0.25, 0.25], [0.25, 0.391971]]
    """
    variances = np.diagonal(covariance)
    if classes < 2:
        raise InvalidInput("classes", classes, "must be at least 2")
    if not np.all(np.isfinite(covariance)) or np.any(variances < 0):
        raise InvalidInput("covariance", variances.tolist(), "must be finite, its diagonal not negative")
    if variances.max() > LARGEST:
        raise InvalidInput(
            "covariance", float(variances.max()), f"must not exceed {LARGEST:g}, for softmax to be smooth"
        )
    scale = np.sqrt(np.outer(variances, variances))
    rho = np.clip(np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 0), -1, 1)
    np.fill_diagonal(rho, 1.0)
    spread = math.sqrt(variances.max())
    u = np.arange(-LOW - WIDE * spread, HIGH + math.log(classes) + WIDE * spread, STEP)
    both = _coefficients(variances, u, classes)
    powers = np.arange(both[0].shape[2])
    found = np.empty_like(rho)
    for i in range(len(rho)):
        for k in range(i, len(rho)):
            weights = rho[i, k] ** powers
            weights = weights[np.abs(weights) > ROUNDING]
            joint, density = ((table[i, :, : len(weights)] * weights) @ table[k, :, : len(weights)].T for table in both)
            np.maximum(joint, 0, out=joint)
            found[i, k] = found[k, i] = classes * STEP**2 * np.vdot(joint ** (classes - 1), density)
    return found


def _coefficients(variances: np.ndarray, u: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """E[Λ(u − σζ) h_j(ζ)] and the same of Λ', ζ ~ N(0, 1), Λ(x) = exp(−e^{−x}), (n, u, J) each, for variances σ² (n,).

    By Cauchy and Schwarz, the remainder of F(u, v) after J terms is at most the root of the product of the remainders
    of E Λ(u − σζ)² = Σ_j α_j(u)² and of the same at v (Parseval).
    """
    distinct, where = np.unique(variances, return_inverse=True)
    terms = 8
    while True:
        terms *= 2
        step = min(0.1, 1 / math.sqrt(terms))
        nodes = np.arange(-REACH, REACH + step, step)
        root = np.exp(-(nodes**2) / 4) / (2 * math.pi) ** 0.25
        table = (_hermite(nodes, root, terms) * (step * root)).T
        x = u[:, None] - np.sqrt(distinct)[:, None, None] * nodes
        fall = np.exp(-np.maximum(x, -700.0))
        gumbel = np.exp(-fall)
        values = gumbel @ table
        slopes = (fall * gumbel) @ table
        missing = np.maximum(gumbel**2 @ (step * root**2) - (values**2).sum(axis=2), 0)
        # where (u, u) is likely to be the largest: h_0 = 1, so that the first coefficients are the marginal F and f
        likely = classes * (classes - 1) * STEP * slopes[..., 0] * np.maximum(values[..., 0], 0) ** (classes - 2)
        if terms == MOST or np.max((likely * missing).sum(axis=1)) <= LEFT_OUT:
            return values[where], slopes[where]


def _hermite(nodes: np.ndarray, root: np.ndarray, terms: int) -> np.ndarray:
    """Orthonormal Hermite polynomials h_j times the root of the Gaussian density, (J, M), by their recurrence."""
    table = np.empty((terms, len(nodes)))
    table[0], table[1] = root, nodes * root
    for j in range(2, terms):
        table[j] = (nodes * table[j - 1] - math.sqrt(j - 1) * table[j - 2]) / math.sqrt(j)
    return table
