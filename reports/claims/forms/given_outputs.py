"""Networks and their limit at given output weights: without the average over them, which would hide terms of order 1/d.

Output weights are those of a Hadamard matrix, of the size that the law of the setting has: of equal lengths, and those
of different neurons orthogonal.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.linalg import hadamard

import simulate
from reports.claims.forms.size_law import SizeChange
from theory.linear.population import spaces
from theory.network.dmft.average import Average
from theory.network.dmft.problem import Problem, problem_of
from theory.network.dmft.solver import solve
from theory.setting import Setting

# runs of the solver, and rows of each: the bias of the Monte Carlo, of order 1/ROWS, is 1.5 % of the change at 512
SEEDS, ROWS = 24, 16384
BLOCKS, AT_ONCE = 64, 256  # of networks


def output_weights(setting: Setting) -> np.ndarray:
    """(m, C) entries of ± s_a; m and C are at most equal powers of two.

    >>> from theory.setting import Data, Labels, Network
    >>> network = Network(kind="mlp", hidden=(2,), parametrization="ntk", init_variance=(1.0, 4.0))
    >>> given = Setting(data=Data(kind="gaussian", spectrum=(1.0,)), labels=Labels(outputs=2), network=network)
    >>> output_weights(given).tolist()
    [[2.0, 2.0], [2.0, -2.0]]
    """
    (width,) = setting.network.widths
    size = 1 << (max(width, setting.output_count) - 1).bit_length()
    signs = hadamard(size)[:width, : setting.output_count].astype(float)
    variance = setting.network.layer_variances[1]
    return signs * np.sqrt(variance if setting.network.parametrization == "ntk" else variance / width)


def change_of_networks(setting: Setting, replicas: int) -> SizeChange:
    """What training has changed in so many networks at these output weights, in blocks of equally many."""
    last = setting.training.readings[-1]
    order, first, multiplicity = spaces(np.array(setting.data.eigenvalues))
    weights = torch.tensor(output_weights(setting).T)
    values = []
    for begin in range(0, replicas, AT_ONCE):
        inputs = simulate.replica_inputs(setting, range(begin, min(begin + AT_ONCE, replicas)))
        before, drawn = inputs.parameters
        inputs = replace(inputs, parameters=(before, weights.expand_as(drawn).clone()))
        after = simulate.train(setting, inputs)[last][0]
        squares = (after**2 - before**2).mean(dim=1).numpy()[:, order]
        values.append(np.add.reduceat(squares, first, axis=1) / np.array(multiplicity))
    changes = np.concatenate(values)
    kept = np.all(np.isfinite(changes), axis=1)
    blocks = np.array_split(changes[kept], BLOCKS)
    return SizeChange(
        directions=len(order),
        replicas=replicas,
        diverged=int(np.sum(~kept)),
        counts=np.array([len(block) for block in blocks]),
        multiplicity=np.array(multiplicity),
        changes=np.array([block.mean(axis=0) for block in blocks]),
    )


def limit_at(setting: Setting) -> tuple[Problem, Average]:
    """The limit at these output weights, the mean of several runs of the solver, and its error by their scatter."""
    problem, at = problem_of(setting), list(setting.training.readings)
    weights = output_weights(setting)
    runs = [solve(problem, weights, at[-1], count=ROWS, seed=seed) for seed in range(SEEDS)]
    tau = np.array([run.tau[at] for run in runs])
    remembered, written, amplitude = (
        np.mean([getattr(run, name)[at] for run in runs], axis=0) for name in ("remembered", "written", "amplitude")
    )
    error = tau.std(axis=0, ddof=1) / np.sqrt(SEEDS)
    return problem, Average(remembered, written, error, SEEDS, amplitude)
