"""The same training in JAX, jit(vmap(scan)): what a compiler makes of it. Used where JAX is installed."""

from __future__ import annotations

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from simulate import Inputs
from theory.setting import Setting


def compiled(setting: Setting, inputs: Inputs):
    """A function that trains all replicas by plain gradient descent, and returns their weights."""
    steps, rate = setting.training.readings[-1], setting.training.learning_rate

    def loss(parameters, x, y):
        w, a = parameters
        outputs = jnp.maximum(x @ w.T, 0) @ a.T
        if setting.training.loss == "mse":
            return 0.5 * jnp.square(outputs - y).sum(1).mean()
        return -jnp.take_along_axis(jax.nn.log_softmax(outputs), y[:, None], 1).mean()

    def train(parameters, x, y, orders):
        def update(parameters, chosen):
            rows = (x, y) if chosen is None else (x[chosen], y[chosen])
            gradients = jax.grad(loss)(parameters, *rows)
            return tuple(p - rate * g for p, g in zip(parameters, gradients, strict=True)), None

        return lax.scan(update, parameters, orders, length=steps)[0]

    orders = None if inputs.orders is None else jnp.asarray(inputs.orders.numpy())
    batched = jax.jit(jax.vmap(train, in_axes=(0, 0, 0, None if orders is None else 0)))
    parameters = tuple(jnp.asarray(w.numpy()) for w in inputs.parameters)
    x, y = jnp.asarray(inputs.x.numpy()), jnp.asarray(inputs.y.numpy())
    return lambda: [np.asarray(w) for w in batched(parameters, x, y, orders)]
