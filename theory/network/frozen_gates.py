"""The Jacobian J of a network's outputs with respect to its parameters, as two products: J δ and Jᵀ r.

With z_l = c_l W_l h_{l−1} + b_l and h_l = φ(z_l), J depends on a row only through the input of each layer, h_{l−1}, and
its gates φ'(z_l). Both are frozen once; a product costs as much as a pass through the network, and no matrix is stored.
Derived in theory/derivations.md, section 2.6.

Forward pass and products are this module's own, dense layers and filters alike, in NumPy or torch, batched over
replicas; no code is shared with the training of networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType

import array_api_compat
from scipy import special

from theory.arrays import Array, namespace
from theory.errors import InvalidInput
from theory.network.patches import (
    FrozenFilters,
    cut_patches,
    filters_of,
    from_patches,
    over_windows,
    strongest,
    window_sums,
)
from theory.setting import Network


def _relu(z: Array) -> tuple[Array, Array]:
    xp = namespace(z)
    return xp.where(z > 0, z, xp.zeros_like(z)), xp.astype(z > 0, z.dtype)


def _tanh(z: Array) -> tuple[Array, Array]:
    h = namespace(z).tanh(z)
    return h, 1 - h * h


def _erf(z: Array) -> tuple[Array, Array]:
    xp = namespace(z)
    erf = getattr(xp, "erf", special.erf)  # torch has it, the array standard does not
    return erf(z), 2 / math.sqrt(math.pi) * xp.exp(-z * z)


def _identity(z: Array) -> tuple[Array, Array]:
    return z, namespace(z).ones_like(z)


# φ(z) and φ'(z) of every activation; a ReLU's slope at 0 is 0, as it is where networks are trained.
ACTIVATIONS: Mapping[str, Callable[[Array], tuple[Array, Array]]] = MappingProxyType(
    {"relu": _relu, "tanh": _tanh, "erf": _erf, "identity": _identity}
)


@dataclass(frozen=True, eq=False)
class FrozenGates:
    """R networks on n rows each, with their gates frozen; `freeze` makes them.

    Attributes
    ----------
    outputs : Array, shape (R, n, C)
        f_0, the networks' outputs.
    weights : tuple of Array, shapes (R, out, in)
        The weights of every layer; filters are flattened C × kh × kw.
    scales : tuple of float
        c_l: 1, or 1/sqrt(fan_in).
    filters : tuple of FrozenFilters or None
        The filters by layer; None for dense layers.
    given : tuple of Array, shapes (R, n, in) or (R, n, H, W, C)
        The input of each layer.
    gates : tuple of Array, shapes (R, n, out) or (R, n, H', W', out)
        φ'(z_l) of every hidden layer; if a maximum over places follows, 0 at all places but the maximum.
    bias : bool
    trained : int
        How many parameters are trained, first layer first; changes and gradients have as many entries.
    """

    outputs: Array
    weights: tuple[Array, ...]
    scales: tuple[float, ...]
    filters: tuple[FrozenFilters | None, ...]
    given: tuple[Array, ...]
    gates: tuple[Array, ...]
    bias: bool
    trained: int

    def take(self, index: Array) -> FrozenGates:
        """The rows that `index` (R, B) names, replica by replica."""
        outputs, *rest = pick(index, self.outputs, *self.given, *self.gates)
        layers = len(self.given)
        return replace(self, outputs=outputs, given=tuple(rest[:layers]), gates=tuple(rest[layers:]))

    def forward(self, changes: Sequence[Array]) -> Array:
        """J δ, shape (R, n, C): the change of the outputs, to first order, when parameters change by δ."""
        moved = None
        for layer, (rows, w, scale) in enumerate(zip(self._rows, self.weights, self.scales, strict=True)):
            xp = namespace(rows)
            change = None
            position = layer * (1 + self.bias)
            if position < self.trained:
                change = _scaled(rows @ xp.matrix_transpose(changes[position]), scale)
            if moved is not None:
                through = _scaled(self._seen(layer, moved) @ xp.matrix_transpose(w), scale)
                if change is not None:
                    through += change  # in place, as all that follows: products are new arrays
                change = through
            if self.bias and position < self.trained:
                change += changes[position + 1][:, None, :]
            moved = change if layer == len(self.gates) else self._through_gate(layer, change)
        return moved

    def backward(self, residual: Array) -> list[Array]:
        """Jᵀ r for r (R, n, C), summed over rows: one array per trained parameter, of its shape."""
        gradients: list[Array] = []
        for layer, rows, back in self.derivatives(residual):
            xp = namespace(back)
            own = _scaled(xp.matrix_transpose(back) @ rows, self.scales[layer])
            gradients = [own, *([xp.sum(back, axis=1)] if self.bias else []), *gradients]
        return gradients

    def derivatives(self, residual: Array) -> Iterator[tuple[int, Array, Array]]:
        """The factors of Jᵀ r, for r (R, n, C): each trained layer's number, its rows and r_l, last layer first.

        The rows are those that its weights multiply, (R, rows · places, in), and r_l is the derivative of Σ r·f by z_l,
        (R, rows · places, out).
        """
        back = residual
        for layer in reversed(range(len(self.weights))):
            if layer * (1 + self.bias) < self.trained:
                yield layer, self._rows[layer], back
            if layer:
                back = _scaled(back @ self.weights[layer], self.scales[layer])
                back = self._back_through_gate(layer - 1, self._unseen(layer, back))

    @property
    def numbers(self) -> int:
        """How many numbers are held, including the patches that products use."""
        arrays = (self.outputs, *self.given, *self.gates)
        cut = (rows for rows, layer in zip(self._rows, self.filters, strict=True) if layer is not None)
        return sum(math.prod(array.shape) for array in (*arrays, *cut))

    @cached_property
    def _rows(self) -> tuple[Array, ...]:
        """What multiplies each layer's weights, (R, rows · places, in)."""
        return tuple(self._seen(layer, h) for layer, h in enumerate(self.given))

    def _seen(self, layer: int, h: Array) -> Array:
        """The input of a layer, as the rows that its weights multiply, (R, rows · places, in)."""
        return seen(self.filters[layer], h)

    def _unseen(self, layer: int, rows: Array) -> Array:
        """The adjoint of `_seen`, in the shape of the layer's input."""
        xp, filters, given = namespace(rows), self.filters[layer], self.given[layer]
        if filters is not None:
            sides = given.shape[2:4]
            return from_patches(filters, xp.reshape(rows, (*given.shape[:2], *filters.places(sides), -1)), sides)
        if given.ndim == 5:
            replicas, n, height, width, channels = given.shape
            return xp.permute_dims(xp.reshape(rows, (replicas, n, channels, height, width)), (0, 1, 3, 4, 2))
        return rows

    def _through_gate(self, layer: int, change: Array) -> Array:
        """The change of a hidden layer's output with z, (R, rows · places, out) → the shape of the next input."""
        gate = self.gates[layer]
        moved = namespace(change).reshape(change, gate.shape)
        moved *= gate
        return window_sums(moved) if _pools(self.filters[layer]) else moved

    def _back_through_gate(self, layer: int, back: Array) -> Array:
        """The adjoint of `_through_gate`."""
        gate = self.gates[layer]
        if _pools(self.filters[layer]):
            back = over_windows(back, gate.shape[2:4]) * gate  # of a single window, all places are one number in memory
        else:
            back *= gate
        return namespace(back).reshape(back, (gate.shape[0], -1, gate.shape[-1]))


def freeze(network: Network, parameters: Sequence[Array], rows: Array) -> FrozenGates:
    """The Jacobian of R networks at their parameters, on n rows each: exact, for every network of the vocabulary.

    Parameters
    ----------
    network : Network
        The network, which gives the kind, widths, activation, parametrization, biases, and which layers are trained.
    parameters : sequence of Array
        Every layer's weights (R, out, in), then with `bias` its biases (R, out); first layer first.
    rows : Array, shape (R, n, d), or (R, n, C, H, W) of images

    Raises
    ------
    InvalidInput
        If rows and parameters do not fit each other or the network, or are not finite.

    Examples
    --------
    One hidden neuron, f = a φ(w·x) at w = (1, 2), a = 3 on the row (1, 1), where the gate is open:

    >>> import numpy as np
    >>> network = Network(kind="mlp", hidden=(1,))
    >>> frozen = freeze(network, [np.array([[[1.0, 2.0]]]), np.array([[[3.0]]])], np.ones((1, 1, 2)))
    >>> frozen.outputs.item(), [g.ravel().tolist() for g in frozen.backward(np.ones((1, 1, 1)))]
    (9.0, [[3.0, 3.0], [3.0]])
    >>> frozen.forward([np.array([[[1.0, 0.0]]]), np.array([[[2.0]]])]).item()  # 3·1 + 3·2
    9.0
    """
    xp = namespace(rows, *parameters)
    weights, biases = _checked(network, parameters, rows)
    convolved = filters_of(network)
    filters = (*convolved, *[None] * (network.layers - len(convolved)))
    ntk = network.parametrization == "ntk"
    scales = tuple(1 / math.sqrt(w.shape[2]) if ntk else 1.0 for w in weights)
    activation = ACTIVATIONS[network.activation]
    h = xp.permute_dims(rows, (0, 1, 3, 4, 2)) if convolved else rows
    given: list[Array] = []
    gates: list[Array] = []
    for layer, (w, scale, own) in enumerate(zip(weights, scales, filters, strict=True)):
        _check_fit(layer, own, w, h)
        given.append(h)
        z = _scaled(seen(own, h) @ xp.matrix_transpose(w), scale)
        z = z + biases[layer][:, None, :] if biases else z
        if layer + 1 == network.layers:
            break
        if own is not None:
            z = xp.reshape(z, (*h.shape[:2], *own.places(h.shape[2:4]), w.shape[1]))
        h, gate = activation(z)
        if _pools(own):
            held = strongest(h)
            h, gate = window_sums(h * held), gate * held
        gates.append(gate)
    trained = len(parameters) if network.train == "all" else 1 + network.bias
    return FrozenGates(z, weights, scales, filters, tuple(given), tuple(gates), network.bias, trained)


def seen(filters: FrozenFilters | None, h: Array) -> Array:
    """The input of a layer as the rows that its weights multiply, (R, rows · places, in).

    Patches for filters; for a dense layer the vector itself, of an image channel by channel.
    """
    xp = namespace(h)
    if filters is not None:
        cut = cut_patches(filters, h)
        return xp.reshape(cut, (cut.shape[0], -1, cut.shape[-1]))
    if h.ndim == 5:
        return xp.reshape(xp.permute_dims(h, (0, 1, 4, 2, 3)), (*h.shape[:2], -1))
    return h


def pick(index: Array, *arrays: Array) -> tuple[Array, ...]:
    """The rows of arrays (R, n, …) that `index` (R, B) names, replica by replica: (R, B, …) each."""
    xp = namespace(index, *arrays)
    replicas, n = arrays[0].shape[:2]
    first = xp.arange(0, replicas * n, n, dtype=index.dtype, device=array_api_compat.device(index))
    at = xp.reshape(index + first[:, None], (-1,))
    laid_out = (xp.reshape(array, (replicas * n, *array.shape[2:])) for array in arrays)
    return tuple(xp.reshape(xp.take(array, at, axis=0), (*index.shape, *array.shape[1:])) for array in laid_out)


def _scaled(values: Array, scale: float) -> Array:
    return values if scale == 1.0 else values * scale


def _pools(filters: FrozenFilters | None) -> bool:
    return filters is not None and filters.pools


def _checked(network: Network, parameters: Sequence[Array], rows: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """The weights and the biases of the layers, whose number and first axes fit the network and the rows."""
    if network.mixes_rows:
        rule = "must be another: with batch normalisation the rows of a batch interact, and none has a Jacobian alone"
        raise InvalidInput("network.kind", network.kind, rule)
    xp = namespace(rows, *parameters)
    wanted, ndim = network.layers * (1 + network.bias), 5 if network.convolves else 3
    if len(parameters) != wanted:
        raise InvalidInput("parameters", f"{len(parameters)} arrays", f"must be {wanted}, for every layer of {network}")
    if rows.ndim != ndim or 0 in rows.shape:
        shape = "(R, n, C, H, W)" if network.convolves else "(R, n, d)"
        raise InvalidInput("rows.shape", tuple(rows.shape), f"must be {shape}, none of them 0")
    for name, array in (("rows", rows), *((f"parameters[{i}]", w) for i, w in enumerate(parameters))):
        if array.dtype != rows.dtype or array.dtype not in (xp.float32, xp.float64):
            raise InvalidInput(f"{name}.dtype", str(array.dtype), "must be float32 or float64, the same for all")
        if not bool(xp.all(xp.isfinite(array))):
            raise InvalidInput(name, "nan or inf", "must be finite")
    weights = tuple(parameters[:: 1 + network.bias])
    biases = tuple(parameters[1::2]) if network.bias else ()
    filters = (network.filters,) if network.kind == "conv" else tuple(f for block in network.blocks for f in block)
    widths = (*filters, *network.widths, weights[-1].shape[1] if weights[-1].ndim == 3 else None)
    for i, (w, width) in enumerate(zip(weights, widths, strict=True)):
        if w.ndim != 3 or w.shape[:2] != (len(rows), width):
            rule = (
                f"must be ({len(rows)}, {width or 'C'}, …): one network per replica of the rows, and its layer's width"
            )
            raise InvalidInput(f"parameters[{i * (1 + network.bias)}].shape", tuple(w.shape), rule)
    for i, (w, b) in enumerate(zip(weights, biases, strict=True) if network.bias else ()):
        if tuple(b.shape) != tuple(w.shape[:2]):
            raise InvalidInput(f"parameters[{2 * i + 1}].shape", tuple(b.shape), f"must be {tuple(w.shape[:2])}")
    return weights, biases


def _check_fit(layer: int, filters: FrozenFilters | None, w: Array, h: Array) -> None:
    """Raise InvalidInput unless weights (R, out, in) fit the layer's input."""
    if filters is not None and min(filters.handed_on(h.shape[2:4])) < 1:
        raise InvalidInput(
            "rows.shape", tuple(h.shape[2:4]), f"leaves layer {layer + 1}, {filters}, no place to look at"
        )
    inputs = math.prod(filters.kernel) * h.shape[4] if filters is not None else math.prod(h.shape[2:])
    if w.shape[2] != inputs:
        raise InvalidInput(f"weights of layer {layer + 1}", tuple(w.shape), f"must be (…, {inputs}): what it is given")
