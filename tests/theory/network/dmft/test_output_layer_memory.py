"""Why initial weights are amplified: what a row has written into a trained output layer, and what the others pull back.

Networks of one hidden layer on cross-entropy, at given output weights; A is what a unit's initial weight is multiplied
by. Rows that remember nothing give A < 1 where networks have A > 1, and a row's own memory alone gives far too much;
with the mean of what the others pull back A is right within 2 %. Numbers: theory/derivations.md, section 2.7.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import simulate
from tests.theory.network.dmft.problems import setting
from theory.network.dmft.levels import levels_of
from theory.network.dmft.output_layer import OutputLayer
from theory.network.dmft.problem import problem_of
from theory.network.dmft.solver import solve
from theory.setting import Setting

UPDATES, REPLICAS = 24, 400
CLOSE = 0.02


def of_networks(given: Setting, weights: np.ndarray) -> tuple[float, float]:
    """A of trained networks of given output weights (m, C), the mean over directions, and its standard error."""
    inputs = simulate.replica_inputs(given, range(REPLICAS))
    first, second = inputs.parameters
    inputs = replace(inputs, parameters=(first, torch.tensor(weights.T).expand_as(second).clone()))
    after = simulate.train(given, inputs)[UPDATES][0]
    ratios = ((after * first).sum(dim=(1, 2)) / (first**2).sum(dim=(1, 2))).numpy()
    return float(ratios.mean()), float(ratios.std(ddof=1) / np.sqrt(REPLICAS))


def of_limit(given: Setting, weights: np.ndarray) -> float:
    """A by the solver, the mean over directions."""
    problem = problem_of(given)
    levels = levels_of(problem.eigenvalues, problem.multiplicity, 8)
    few = replace(problem, eigenvalues=levels.nodes, multiplicity=levels.weights)
    amplitude = solve(few, weights, UPDATES, count=2048, seed=1).amplitude[-1]
    return float((levels.interpolation @ amplitude).mean())


@pytest.mark.slow
@pytest.mark.parametrize("width", [16, 32])
def test_a_row_reads_what_it_has_written(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    keys = {"loss": "cross-entropy", "activation": "relu", "train": "all"}
    given = setting(24, 64, width, rate=16.0, steps=UPDATES, **keys)
    problem = problem_of(given)
    weights = np.sqrt(problem.sa) * np.random.default_rng(0).standard_normal((width, problem.outputs))
    seen, error = of_networks(given, weights)
    whole = of_limit(given, weights)
    monkeypatch.setattr(OutputLayer, "_pulled_back", lambda *_: 0.0)
    alone = of_limit(given, weights)
    monkeypatch.setattr(OutputLayer, "weights", property(lambda self: self._common))
    forgetful = of_limit(given, weights)
    assert seen - 6 * error > 1
    assert abs(whole - seen) < CLOSE
    assert forgetful < 1 - CLOSE
    assert alone - seen > 1.5 * CLOSE
    assert alone - seen > 2 * abs(whole - seen)
