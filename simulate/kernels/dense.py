"""Dense layers with the backward pass written out: no graph, no allocation in the loop, arrays laid out features first.

With h_0 = xᵀ, z_l = c_l W_l h_{l-1} + b_l and h_l = φ(z_l), all (R, width, rows), and δ_l the derivative of a replica's
loss by z_l, the gradients are ∂W_l = c_l δ_l h_{l-1}ᵀ, ∂b_l = δ_l 1, and δ_{l-1} = c_l W_lᵀ δ_l ∘ φ'(z_{l-1}).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from simulate.inputs import Inputs
from simulate.kernels.minibatches import Minibatches
from simulate.networks import ACTIVATIONS, Shapes, multipliers
from simulate.optimizers import make_optimizer
from theory.setting import Network, Setting


def applies(setting: Setting) -> bool:
    """Whether this kernel trains such a setting: every network of dense layers."""
    return setting.network.kind in ("linear", "mlp")


def touched(setting: Setting, shapes: Shapes, batch: int, rows: int) -> int:
    """How many numbers of a replica a step goes through: rows, activations and their derivatives, parameters."""
    return batch * (shapes[0][1] + 2 * sum(shape[0] for shape in shapes)) + 3 * sum(map(math.prod, shapes))


def train(setting: Setting, inputs: Inputs, factors: Sequence[float] = ()) -> dict[int, tuple[Tensor, ...]]:
    """All parameters at every reading of the setting, keyed by step; see `simulate.train`.

    `factors`, one for each of `inputs.parameters`, multiply the learning rate.
    """
    network, readings = setting.network, setting.training.readings
    parameters = tuple(w.clone() for w in inputs.parameters)
    trained = parameters[: 1 + network.bias] if network.train == "first" else parameters
    optimizer = make_optimizer(setting.training, trained, factors[: len(trained)])
    batches = Minibatches(setting, inputs)
    backward = Backward(network, parameters, len(trained), batches.size)
    read: dict[int, tuple[Tensor, ...]] = {}
    for step in range(readings[-1] + 1):
        if step in readings:
            read[step] = tuple(w.clone() for w in parameters)
        if step < readings[-1]:
            optimizer.step(backward(*batches.at(step)))
    return read


class Backward:
    """Gradients of every replica's loss by the first `trained` of its parameters, on batches of `rows` rows."""

    def __init__(self, network: Network, parameters: tuple[Tensor, ...], trained: int, rows: int) -> None:
        self.activation = network.activation
        self.weights = parameters[:: 1 + network.bias]
        self.biases = parameters[1::2] if network.bias else ()
        self.scales = multipliers(network, tuple((w.shape[1], w.shape[2]) for w in self.weights))
        self.gradients = [torch.empty_like(w) for w in parameters[:trained]]
        self.weight_gradients = self.gradients[:: 1 + network.bias]
        self.bias_gradients = self.gradients[1::2] if network.bias else []
        self.z = [w.new_empty(w.shape[0], w.shape[1], rows) for w in self.weights]
        # ReLU and the identity act in place; δ of a hidden layer needs room of its own, that of the output doesn't.
        in_place = network.activation in ("relu", "identity")
        self.h = [z if in_place else torch.empty_like(z) for z in self.z[:-1]]
        self.deltas = [torch.empty_like(z) for z in self.z[:-1]]

    def __call__(self, x: Tensor, y: Tensor) -> list[Tensor]:
        """Gradients on rows x (R, rows, d) and labels y, (R, rows, C) or (R, rows); overwritten by the next call."""
        delta = self._output_delta(x, y)
        for layer in reversed(range(len(self.weights))):
            if layer < len(self.bias_gradients):
                torch.sum(delta, dim=2, out=self.bias_gradients[layer])
            if self.scales[layer] != 1.0:
                delta.mul_(self.scales[layer])
            if layer < len(self.weight_gradients):
                below = self.h[layer - 1].transpose(1, 2) if layer else x
                torch.bmm(delta, below, out=self.weight_gradients[layer])
            if layer:
                delta = torch.bmm(self.weights[layer].transpose(1, 2), delta, out=self.deltas[layer - 1])
                self._through_activation(delta, layer - 1)
        return self.gradients

    def _output_delta(self, x: Tensor, y: Tensor) -> Tensor:
        """The forward pass, and the derivative of the loss by the outputs, (R, C, rows)."""
        h = x.transpose(1, 2)
        for layer, (w, z, scale) in enumerate(zip(self.weights, self.z, self.scales, strict=True)):
            torch.bmm(w, h, out=z)
            if scale != 1.0:
                z.mul_(scale)
            if self.biases:
                z.add_(self.biases[layer].unsqueeze(2))
            if layer < len(self.h):
                h = self._activate(z, self.h[layer])
        outputs = self.z[-1]
        if y.ndim == 3:
            return outputs.sub_(y.transpose(1, 2)).mul_(1 / x.shape[1])
        classes = y.unsqueeze(1)
        delta = torch.softmax(outputs, 1)
        return delta.scatter_add_(1, classes, delta.new_full(classes.shape, -1.0)).mul_(1 / x.shape[1])

    def _activate(self, z: Tensor, h: Tensor) -> Tensor:
        if self.activation == "relu":
            return torch.clamp_min_(z, 0.0)
        if self.activation == "identity":
            return z
        return h.copy_(ACTIVATIONS[self.activation](z))

    def _through_activation(self, delta: Tensor, layer: int) -> None:
        """δ ← δ ∘ φ'(z), in place."""
        if self.activation == "relu":
            torch.ops.aten.threshold_backward.grad_input(delta, self.h[layer], 0.0, grad_input=delta)
        elif self.activation == "tanh":
            torch.ops.aten.tanh_backward.grad_input(delta, self.h[layer], grad_input=delta)
        elif self.activation == "erf":
            z = self.z[layer]
            delta.mul_(z.square_().neg_().exp_()).mul_(2 / math.sqrt(math.pi))
