"""What the theory of order 1/m says of networks of one width, on the very rows on which they are trained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import simulate
from theory.network.lazy import LazyTerms, declared_share, displacement, kernel_limit, stretches, terms
from theory.network.model import model_of
from theory.network.propagators import kernel_propagators
from theory.setting import Setting


@dataclass(frozen=True, eq=False)
class LazyPrediction:
    """The change of the weights of networks of one width, at one reading.

    Attributes
    ----------
    width : int
    displacement : float
        ε of `theory.network.lazy`.
    initial : float
        m s_0².
    share : float
        The share of its terms' sizes by which the theory declares to be off at most.
    terms : LazyTerms
        The terms for all outputs together, in the basis of the directions, (d, d) each.
    """

    width: int
    displacement: float
    initial: float
    share: float
    terms: LazyTerms

    @property
    def declared(self) -> float:
        """The largest error in m(τ − s_0²) that the theory declares, along any direction."""
        return self.share * self.terms.size

    @property
    def change(self) -> np.ndarray:
        """m(τ − s_0²) along every direction, (d,)."""
        return np.diagonal(self.terms.total)


def predict_changes(setting: Setting, directions: np.ndarray | None = None) -> tuple[LazyPrediction, ...]:
    """The theory at every reading of a setting that `network-lazy` is derived for, at any displacement.

    `directions` (d, d), orthonormal columns, are the eigenvectors of X'X/n if None.
    """
    rows = simulate.rows(setting)
    if directions is None:
        directions = np.linalg.eigh(rows.T @ rows / len(rows))[1]
    model, felt = model_of(setting, rows @ directions)
    limit = kernel_limit(felt, model.activation, model.s0, model.sa, both=setting.network.train == "all")
    start, found = limit.residual(model.sy), []
    for _, stretch in stretches(setting.training, limit.kappa, len(rows)):
        matrices = kernel_propagators(stretch, limit.basis, start)
        epsilon = displacement(limit, matrices, model)
        found.append(
            LazyPrediction(
                width=model.width,
                displacement=epsilon,
                initial=model.width * model.s0,
                share=declared_share(model, epsilon),
                terms=terms(limit, matrices).scaled(model.outputs),
            )
        )
    return tuple(found)
