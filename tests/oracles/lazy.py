"""Slow, literal versions of the order-1/m theory of one hidden layer: sums over steps and rows as they are derived."""

from __future__ import annotations

from fractions import Fraction
from math import atan2, cos, pi, sin, sqrt

import numpy as np
from scipy import integrate

from theory.network.lazy import KernelLimit, LazyTerms, terms
from theory.network.propagators import Stretch, kernel_propagators


def matrices_by_steps(
    kernel: np.ndarray, start: np.ndarray, rate: float, steps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A, B, C by adding up the residual's path step by step: R^s, the sum so far, and S between them."""
    n = len(kernel)
    r, power = np.eye(n) - rate * kernel, np.eye(n)
    a, b = np.zeros((n, n)), np.zeros((n, n))
    for _ in range(steps):
        b += rate * power @ start @ a
        a += rate * power
        power = r @ power
    return a, b, a @ start @ a


def exact_double_sum(kappa: tuple[Fraction, Fraction], rate: Fraction, steps: int) -> Fraction:
    """Σ_{s<t} (η/n) ϱ_a^s Σ_{r<s} (η/n) ϱ_b^r."""
    total, inner, power, inner_power = Fraction(0), Fraction(0), Fraction(1), Fraction(1)
    for _ in range(steps):
        total += rate * power * inner
        inner += rate * inner_power
        power, inner_power = power * (1 - rate * kappa[0]), inner_power * (1 - rate * kappa[1])
    return total


def flow_double_sum(kappa: tuple[float, float], time: float) -> float:
    """∫_0^T e^{−κ_a s} (∫_0^s e^{−κ_b r} dr) ds by quadrature."""
    inner = (lambda s: s) if kappa[1] == 0 else (lambda s: -np.expm1(-kappa[1] * s) / kappa[1])
    return integrate.quad(lambda s: np.exp(-kappa[0] * s) * inner(s), 0, time, epsabs=0, epsrel=1e-13, limit=200)[0]


def relu_terms(
    x: np.ndarray, s0: float, sa: float, a: np.ndarray, b: np.ndarray, c: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """T_1 … T_4 of ReLU in a plain loop over pairs of rows, by their angle: cot θ for the moving gates."""
    n, d = x.shape
    t1, t2, f, g = (np.zeros((d, d)) for _ in range(4))
    for i in range(n):
        for k in range(n):
            xi, xk = x[i], x[k]
            li, lk = sqrt(xi @ xi), sqrt(xk @ xk)
            rejected = xk - (xk @ xi) / li**2 * xi
            theta = 0.0 if i == k else atan2(sqrt(rejected @ rejected) / lk, (xi @ xk) / (li * lk))
            p = (pi - theta) / (2 * pi)
            q = lk / li * sin(theta) / (2 * pi)
            t1 += sa * p * c[i, k] * np.outer(xi, xk)
            t2 -= 2 * sa * s0 * a[i, k] * np.outer(xi, p * xk + q * xi)
            g += s0 * b[i, k] * np.outer(p * xk + q * xi, xi)
            if i != k:
                f += b[i, k] * cos(theta) / sin(theta) / (2 * pi) * np.outer(rejected, xi)
    return t1, t2, sa * (f + f.T), g + g.T


def smooth_terms(
    x: np.ndarray,
    derivatives: tuple,
    s0: float,
    sa: float,
    a: np.ndarray,
    b: np.ndarray,
    c: np.ndarray,
    *,
    nodes: int = 160,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """T_1 … T_4 of a smooth φ in two dimensions, with E over w by Gauss–Hermite quadrature instead of Stein's lemma.

    `derivatives` are φ, φ', φ''. T_1 = s_a² Σ C_ik E[φ'_i φ'_k] x_i x_kᵀ, T_2 = −s_a² Σ A_ik E[w φ'_i φ_k] x_iᵀ + …ᵀ,
    T_3 = s_a² Σ B_ik (x_i·x_k) E[w φ''_i φ'_k] x_iᵀ + …ᵀ, T_4 = Σ B_ik E[w φ'_i φ_k] x_iᵀ + …ᵀ.
    """
    points, chances = np.polynomial.hermite_e.hermegauss(nodes)
    w = sqrt(s0) * np.stack(np.meshgrid(points, points), axis=-1).reshape(-1, 2)
    chance = np.outer(chances, chances).ravel() / (2 * pi)
    phi, first, second = (function(w @ x.T) for function in derivatives)
    t1, t2, t3, t4 = (np.zeros((2, 2)) for _ in range(4))
    for i in range(len(x)):
        for k in range(len(x)):
            t1 += sa * c[i, k] * (chance @ (first[:, i] * first[:, k])) * np.outer(x[i], x[k])
            pulled = np.outer((chance * first[:, i] * phi[:, k]) @ w, x[i])
            t2 -= sa * a[i, k] * (pulled + pulled.T)
            t4 += b[i, k] * (pulled + pulled.T)
            turned = np.outer((chance * second[:, i] * first[:, k]) @ w, x[i])
            t3 += sa * b[i, k] * (x[i] @ x[k]) * (turned + turned.T)
    return t1, t2, t3, t4


def terms_after(limit: KernelLimit, stretch: Stretch, labels: float) -> LazyTerms:
    """T_1 … T_4 of one output after a stretch of training on labels of variance s_y²."""
    return terms(limit, kernel_propagators(stretch, limit.basis, limit.residual(labels)))
