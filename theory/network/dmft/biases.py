"""The biases of the first layer: one number per neuron that all rows share.

A bias is the weight of a coordinate that is 1 for every row. It is not averaged over, and starts at zero: a path b^t in
R^m, by which the mean of h^t is shifted. It follows the gradient (1/n) Σ_i g_i, in the limit

    E g^t + n^{-1/2} u^t,      Cov(u^t, u^s) = Cov(g^t, g^s) .

No identity of Stein's holds for a coordinate that does not vary; the mean is that over the rows of the Monte Carlo, and
u is drawn. A row reads what its own force has added to b, as along any direction of
eigenvalue 1: `with_constant`. The bias of an output is the weight of a neuron whose activation is constant, and part of
`theory.network.dmft.output_layer`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from theory.network.dmft.problem import Problem, moved


class Biases:
    """b^t of the first layer from 0; it stays there in networks without biases.

    Attributes
    ----------
    values : ndarray, shape (m,)
        The biases at the present update.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self.values, self._velocity = np.zeros((2, problem.width))

    def advance(self, step: int, expected: np.ndarray, drawn: np.ndarray, multipliers: np.ndarray) -> None:
        """One update by the forces of the rows, in expectation and as drawn, (N, m) each, and a multiplier per row."""
        if not self._problem.bias:
            return
        noise = multipliers @ drawn / np.sqrt(len(drawn) * self._problem.samples)
        gradient = expected.mean(axis=0) + noise
        self.values, self._velocity = moved(self._problem.training, step, self.values, self._velocity, gradient)


def with_constant(problem: Problem) -> Problem:
    """The problem with one more direction, of eigenvalue 1, after all others, if there are biases."""
    if not problem.bias:
        return problem
    return replace(
        problem, eigenvalues=np.append(problem.eigenvalues, 1.0), multiplicity=np.append(problem.multiplicity, 1.0)
    )
