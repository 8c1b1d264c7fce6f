"""One hidden layer: the backward pass written out, updates folded into the products, arrays laid out for the caches.

With W (R, d, m), a (R, C, m), h = φ(x W) (R, B, m) and outputs f = a hᵀ (R, C, B), whose derivative of the loss is δ/B,

    ∂W = xᵀ D / B,  D = (δᵀ a) ∘ φ',    ∂a = δ h / B.

The first layer is held with its m neurons innermost: products with a short inner dimension d take twice as long. With
one output D = diag(δ) (1 aᵀ ∘ φ'), and δ is given to the rows x, which are shorter than the hidden layer is wide.
Biases of the first layer are the weights of a coordinate that is always 1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from simulate.inputs import Inputs
from simulate.kernels.descent import Descent, folds
from simulate.kernels.minibatches import Minibatches
from simulate.networks import Shapes, multipliers
from theory.setting import Setting


def applies(setting: Setting) -> bool:
    """Whether this kernel trains such a setting: one hidden layer, by SGD."""
    return setting.network.kind == "mlp" and len(setting.network.widths) == 1 and folds(setting)


def touched(setting: Setting, shapes: Shapes, batch: int, rows: int) -> int:
    """How many numbers of a replica a step goes through: rows, hidden activations, D where it is apart, parameters."""
    (width, dimension), (outputs, _) = shapes
    hidden = 1 if outputs == 1 else 2
    return batch * (dimension + hidden * width) + width * (dimension + outputs)


def train(setting: Setting, inputs: Inputs) -> dict[int, tuple[Tensor, ...]]:
    """All parameters at every reading of the setting, keyed by step; see `simulate.train`."""
    training, readings = setting.training, setting.training.readings
    scale, _ = multipliers(setting.network, tuple((w.shape[1], w.shape[2]) for w in _weights(setting, inputs)))
    batches = Minibatches(setting, inputs, scale=scale, ones=setting.network.bias)
    layers = OneHidden(setting, inputs, batches.size)
    read: dict[int, tuple[Tensor, ...]] = {}
    for step in range(readings[-1] + 1):
        if step in readings:
            read[step] = layers.parameters()
        if step < readings[-1]:
            layers.step(*batches.at(step), training.learning_rate_at(step))
    return read


class OneHidden:
    """The two layers of R replicas, in training on batches of `rows` rows."""

    def __init__(self, setting: Setting, inputs: Inputs, rows: int) -> None:
        network, training = setting.network, setting.training
        w, a = _weights(setting, inputs)
        self._activation, self._bias, self._all = network.activation, network.bias, network.train == "all"
        _, self._scale = multipliers(network, ((w.shape[1], w.shape[2]), (a.shape[1], a.shape[2])))
        replicas, width, self._dimension = w.shape
        self._w = w.new_empty(replicas, self._dimension + self._bias, width)
        self._w[:, : self._dimension] = w.transpose(1, 2)
        self._a = a.clone()
        if self._bias:
            self._w[:, self._dimension] = inputs.parameters[1]
            self._b = inputs.parameters[3].unsqueeze(2).clone()
            self._ones = w.new_ones(replicas, rows, 1)
            self._descend_b = Descent(training, self._b)
        self._descend_w, self._descend_a = Descent(training, self._w), Descent(training, self._a)
        outputs = a.shape[1]
        self._f = w.new_empty(replicas, outputs, rows)
        self._z = w.new_empty(replicas, rows, width)
        # Only the derivative of erf needs z once h is known.
        self._h = torch.empty_like(self._z) if network.activation == "erf" else self._z
        # Views are made once: a step is some ten calls, and each of them costs as much as a replica's small arrays.
        self._h_across, self._f_across = self._h.transpose(1, 2), self._f.transpose(1, 2)
        self._single = outputs == 1
        if self._single:
            self._weighted = w.new_empty(replicas, rows, self._w.shape[1])
            self._weighted_across = self._weighted.transpose(1, 2)
            self._before = self._a.clone() if self._all else self._a
            self._before_everywhere = self._before.expand_as(self._h)
        else:
            self._d = torch.empty_like(self._z)

    def parameters(self) -> tuple[Tensor, ...]:
        """Copies of all parameters, as stored: the weights and, with biases, the biases of each layer."""
        contiguous = torch.contiguous_format
        w = self._w[:, : self._dimension].transpose(1, 2).clone(memory_format=contiguous)
        if not self._bias:
            return w, self._a.clone()
        return w, self._w[:, self._dimension].clone(), self._a.clone(), self._b.squeeze(2).clone()

    def step(self, x: Tensor, y: Tensor, rate: float) -> None:
        """One update by the rows x (R, B, d) and labels y, (R, B, C) or (R, B)."""
        mean = 1 / x.shape[1]
        h = self._forward(x)
        delta = self._delta(y)
        if self._bias and self._all:
            self._descend_b.step(delta, self._ones, mean, rate)
        if self._scale != 1.0:
            delta.mul_(self._scale)
        if self._single:
            if self._all:
                self._before.copy_(self._a)
                self._descend_a.step(delta, h, mean, rate)
            self._through(self._before_everywhere, h)
            torch.mul(x, self._f_across, out=self._weighted)
            self._descend_w.step(self._weighted_across, h, mean, rate)
            return
        d = torch.bmm(self._f_across, self._a, out=self._d)
        if self._all:
            self._descend_a.step(delta, h, mean, rate)
        self._through(d, d)
        self._descend_w.step(x.transpose(1, 2), d, mean, rate)

    def _forward(self, x: Tensor) -> Tensor:
        """The hidden activations (R, B, m); the outputs are left in `_f`, without the output's bias."""
        torch.bmm(x, self._w, out=self._z)
        if self._activation == "relu":
            torch.clamp_min_(self._z, 0.0)
        elif self._activation == "tanh":
            self._z.tanh_()
        elif self._activation == "erf":
            torch.erf(self._z, out=self._h)
        torch.bmm(self._a, self._h_across, out=self._f)
        return self._h

    def _delta(self, y: Tensor) -> Tensor:
        """B times the derivative of the loss by the outputs, (R, C, B), in place of the outputs."""
        f = self._f
        if self._scale != 1.0:
            f.mul_(self._scale)
        if self._bias:
            f.add_(self._b)
        return output_delta(f, y)

    def _through(self, gradient: Tensor, out: Tensor) -> None:
        """out ← gradient ∘ φ'; `out` may be the gradient, or h, which is not needed any more."""
        if self._activation == "relu":
            torch.ops.aten.threshold_backward.grad_input(gradient, self._h, 0.0, grad_input=out)
        elif self._activation == "tanh":
            torch.ops.aten.tanh_backward.grad_input(gradient, self._h, grad_input=out)
        elif self._activation == "erf":
            torch.mul(gradient, self._z.square_().neg_().exp_().mul_(2 / math.sqrt(math.pi)), out=out)
        elif out is not gradient:
            out.copy_(gradient)


def output_delta(f: Tensor, y: Tensor) -> Tensor:
    """B times the derivative of each replica's loss by its outputs f (R, C, B), in place; y is (R, B, C) or (R, B)."""
    if y.ndim == 3:
        return f.sub_(y.transpose(1, 2))
    classes = y.unsqueeze(1)
    torch.softmax(f, 1, out=f)
    return f.scatter_add_(1, classes, f.new_full((1, 1, 1), -1.0).expand(classes.shape))


def _weights(setting: Setting, inputs: Inputs) -> tuple[Tensor, ...]:
    return inputs.parameters[:: 1 + setting.network.bias]
