"""The decomposition of f for one hidden layer, in the limit of many rows and directions at a fixed width.

For given output weights W_t = P(t) W_0 + (the label part), with P (m, m) along every direction
(`theory.network.dmft.directions`). A unit's own initial weight keeps the factor A = tr P/m, the mean over units; the
rest of P, from other units' weights and differences between units, is mixed: s_0² (tr P Pᵀ/m − A²). A and tr P Pᵀ/m are
averaged over output weights first, so that the variation of A between networks is mixed, too.
"""

from __future__ import annotations

import numpy as np

from theory.decomposition.parts import Parts
from theory.linear.population import spaces
from theory.network.dmft.form import error_budget, limit
from theory.setting import Setting


def limit_parts(setting: Setting) -> tuple[float, tuple[Parts, ...]]:
    """The declared error of `network-dmft`, relative to τ, and the parts at every step.

    Raises
    ------
    NoClosedForm
        If training diverges for some output weights.
    """
    problem, found = limit(setting)
    eigenvalues = np.array(setting.data.eigenvalues)
    order, first, multiplicity = spaces(eigenvalues)
    sigma = np.sqrt(np.add.reduceat(eigenvalues[order], first) / np.array(multiplicity))
    initial = np.full(len(sigma), problem.s0)
    readings = tuple(
        Parts(step, sigma, multiplicity, initial, amplitude, remembered - amplitude**2 * initial, written)
        for step, amplitude, remembered, written in zip(
            setting.training.readings, found.amplitude, found.remembered, found.written, strict=True
        )
    )
    return error_budget(problem, found), readings
