"""A warning before running, where theory knows that training is unstable."""

from __future__ import annotations

import logging

import numpy as np

import simulate
from theory.linear.propagators import stability_limit
from theory.setting import Setting

log = logging.getLogger(__name__)


def warn_if_unstable(setting: Setting) -> None:
    """Log a warning where a linear model's learning rate is beyond the stability limit of full-batch descent.

    The limit bounds η h, with h the largest eigenvalue of X'X/n (divided by d with ``ntk``) plus weight decay. Rows
    that every replica draws afresh are judged by their population: on average the largest eigenvalue of X'X/n is no
    smaller, being a convex function of X'X/n; and a bias, a coordinate more, only raises it. Of other networks, losses
    and optimizers, and of mini-batches, which may settle where their mean does not, nothing is said.
    """
    network, training = setting.network, setting.training
    descent = training.optimizer == "sgd" and training.loss == "mse" and setting.full_batch
    if network.kind != "linear" or not descent:
        return
    if setting.data.fixed:
        rows = simulate.rows(setting)
        moment = rows.T @ rows / len(rows)
    else:
        moment = simulate.population(setting).second_moment
    scale = 1 / len(moment) if network.parametrization == "ntk" else 1.0
    largest = scale * float(np.linalg.eigvalsh(moment)[-1]) + training.weight_decay
    rate = max(training.learning_rate_at(step) for step in (0, *(step for step, _ in training.drops)))
    limit = stability_limit(training) / largest
    if rate > limit:
        whose = "all replicas" if setting.data.fixed else "a typical replica"
        log.warning(
            "training.learning_rate = %.4g is unstable: beyond %.4g the weights of %s grow at every step",
            rate,
            limit,
            whose,
        )
