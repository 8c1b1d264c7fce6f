"""What happens to a trained network at the switch: one function per treatment, from a replica's weights to new ones.

Computations are in float64, replica by replica, on the host; the treatments themselves are described in
`theory.setting.Treatment`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import TypeVar

import numpy as np
import torch

from simulate.aligned_draws import draw_weights, of_norm, principal_axes
from simulate.data import haar_orthogonal
from simulate.networks import initial_deviation, layer_outputs
from simulate.streams import Purpose, Streams
from simulate.transfer.rainbow import References
from theory.setting import InvalidInput, Network, Treatment

# Every layer's weights (out, in) of one replica, each followed by its biases (out,) with `bias`.
Parameters = tuple[np.ndarray, ...]
Known = TypeVar("Known")


@dataclass(frozen=True, eq=False)
class Switch:
    """What a treatment of one replica may use.

    Attributes
    ----------
    network : Network
    init, new, trained : tuple of ndarray
        The replica's parameters before upstream training, of a second init, and after upstream training.
    rows : ndarray, shape (n, d)
        The replica's upstream rows.
    moment_of_others : ndarray, shape (d, d), or None
        Σ_w: the mean of `W*ᵀ W*/m` over all other replicas, `W*` (m, d) their trained first layers; None if not needed.
    variances : tuple of ndarray, one per layer from the second on, shape (in,)
        Mean over all other replicas of the variances of `principal_variances`; empty if not needed.
    streams : Streams
    replica : int
    references : References or None
        Trained networks of other replicas on its upstream rows; None if not needed.
    """

    network: Network
    init: Parameters
    new: Parameters
    trained: Parameters
    rows: np.ndarray
    moment_of_others: np.ndarray | None
    variances: tuple[np.ndarray, ...]
    streams: Streams
    replica: int
    references: References | None = None

    @property
    def moment(self) -> np.ndarray:
        """Σ_w (d, d); InvalidInput where nothing is known of other replicas."""
        return self._of_others(self.moment_of_others)

    @property
    def others(self) -> References:
        """Trained networks of other replicas; InvalidInput where nothing is known of them."""
        return self._of_others(self.references)

    def _of_others(self, found: Known | None) -> Known:
        if found is None:
            raise InvalidInput("replica", self.replica, "is to be treated as other replicas were trained: give these")
        return found

    @property
    def step(self) -> int:
        """Parameters a layer."""
        return 1 + self.network.bias

    def normals(self) -> np.random.Generator:
        """The stream of drawn first layers: the same for all treatments, so that comparisons are paired."""
        return self.streams.at(Purpose.DRAWN_WEIGHTS, self.replica)

    def normals_above(self, layer: int) -> np.ndarray:
        """The z (out, in), independent N(0, 1), of layer number `layer` (0 is the first), which is not the first.

        They are those of its initial weights σ z, of which the moments of other replicas are independent. A drawn layer
        W = μ + z Σ^½, with the symmetric root, then differs from the initial one only by what its moments do, and
        differences between treatments vary less: `recursive` minus `covariance` has a tenth of the variance.
        """
        w = self.init[layer * self.step]
        deviation = initial_deviation(self.network, layer, w.shape[1])
        return w / deviation if deviation else w


def treat(treatment: Treatment, switch: Switch) -> Parameters:
    """The parameters at the start of downstream training."""
    return TREATMENTS[treatment.kind](treatment, switch)


def principal_variances(network: Network, trained: Parameters, rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """For hidden layers from the second on, τ_i = v_iᵀ (WᵀW/m) v_i, shape (in,), with W (m, in) the layer's weights.

    v_i are the eigenvectors of the second moment of the layer's input on `rows`, eigenvalues ascending.
    """
    found = []
    for layer in range(1, network.layers - 1):
        w = trained[layer * (1 + network.bias)]
        basis = _principal(network, trained, rows, layer)
        found.append(np.square(w @ basis).mean(axis=0))
    return tuple(found)


def _scratch(treatment: Treatment, switch: Switch) -> Parameters:
    return switch.init


def _pretrained(treatment: Treatment, switch: Switch) -> Parameters:
    return switch.trained


def _rescaled(treatment: Treatment, switch: Switch) -> Parameters:
    return _first_rescaled(switch, switch.network.layers)


def _first_layers(treatment: Treatment, switch: Switch) -> Parameters:
    end = treatment.layers * switch.step
    kept = _first_rescaled(switch, treatment.layers) if treatment.rescale else switch.trained
    return (*kept[:end], *switch.new[end:])


def _covariance(treatment: Treatment, switch: Switch) -> Parameters:
    return (_drawn_first_layer(switch), *switch.init[1:])


def _recursive(treatment: Treatment, switch: Switch) -> Parameters:
    parameters = [_drawn_first_layer(switch), *switch.init[1:]]
    for layer in range(1, treatment.layers or switch.network.layers - 1):
        basis = _principal(switch.network, tuple(parameters), switch.rows, layer)
        place = layer * switch.step
        w = switch.init[place]
        drawn = switch.normals_above(layer) @ basis * np.sqrt(switch.variances[layer - 1])
        parameters[place] = _of_norm(drawn @ basis.T, w)
    return tuple(parameters)


def _rainbow(treatment: Treatment, switch: Switch) -> Parameters:
    return _drawn_in_turn(treatment, switch, rotated=True)


def _unrotated(treatment: Treatment, switch: Switch) -> Parameters:
    return _drawn_in_turn(treatment, switch, rotated=False)


def _drawn_in_turn(treatment: Treatment, switch: Switch, *, rotated: bool) -> Parameters:
    """Hidden layers drawn successively, each from a mean and a covariance: see `simulate.transfer.rainbow`."""
    parameters = [_drawn_first_layer(switch), *switch.init[1:]]
    for layer in range(1, treatment.layers or switch.network.layers - 1):
        given = _given(switch.network, tuple(parameters), switch.rows, layer) if rotated else None
        place = layer * switch.step
        w = switch.init[place]
        mean, covariance = switch.others.moments(layer - 1, given)
        variances, basis = principal_axes(covariance)
        drawn = (switch.normals_above(layer) @ basis * np.sqrt(variances)) @ basis.T
        parameters[place] = _of_norm(mean + drawn, w)
    return tuple(parameters)


def _eigenvectors(treatment: Treatment, switch: Switch) -> Parameters:
    variances, basis = principal_axes(switch.moment)
    # On the span of Σ_w: where it has no variance there is nothing to make constant.
    spanned = variances > 1e-12 * variances[-1]
    inverse = np.where(spanned, 1 / np.sqrt(np.where(spanned, variances, 1.0)), 0.0)
    whitened = switch.trained[0] @ (basis * inverse) @ basis.T
    return (_of_norm(whitened, switch.init[0]), *switch.new[1:])


def _spectrum(treatment: Treatment, switch: Switch) -> Parameters:
    variances, _ = principal_axes(switch.moment)
    basis = haar_orthogonal(switch.streams.at(Purpose.DRAWN_BASIS, switch.replica), len(variances))
    drawn = switch.normals().standard_normal(switch.init[0].shape) * np.sqrt(variances)
    return (_of_norm(drawn @ basis.T, switch.init[0]), *switch.init[1:])


TREATMENTS: Mapping[str, Callable[[Treatment, Switch], Parameters]] = MappingProxyType(
    {
        "scratch": _scratch,
        "pretrained": _pretrained,
        "rescaled": _rescaled,
        "first-layers": _first_layers,
        "covariance": _covariance,
        "recursive": _recursive,
        "rainbow": _rainbow,
        "unrotated": _unrotated,
        "eigenvectors": _eigenvectors,
        "spectrum": _spectrum,
    }
)


def _drawn_first_layer(switch: Switch) -> np.ndarray:
    first = switch.init[0]
    return _of_norm(draw_weights(switch.moment, len(first), switch.normals()), first)


def _first_rescaled(switch: Switch, layers: int) -> Parameters:
    """Trained parameters, the first `layers` layers rescaled to their norms at init."""
    parameters, scale = list(switch.trained), 1.0
    for place in range(0, layers * switch.step, switch.step):
        w = parameters[place]
        parameters[place] = _of_norm(w, switch.init[place])
        if switch.network.bias:
            size = float(np.linalg.norm(w))
            scale *= float(np.linalg.norm(switch.init[place])) / size if size else 1.0
            parameters[place + 1] = parameters[place + 1] * scale
    return tuple(parameters)


def _of_norm(w: np.ndarray, like: np.ndarray) -> np.ndarray:
    """`w` with the Frobenius norm of `like`; zeros stay zeros."""
    return of_norm(w, float(np.linalg.norm(like)))


def _given(network: Network, parameters: Parameters, rows: np.ndarray, layer: int) -> np.ndarray:
    """What layer number `layer` (0 is the first) is given, (n, in)."""
    batch = tuple(torch.tensor(w).unsqueeze(0) for w in parameters)
    outputs = layer_outputs(network, batch, torch.tensor(rows).unsqueeze(0))
    return np.asarray(next(islice(outputs, layer - 1, None))[0].numpy())


def _principal(network: Network, parameters: Parameters, rows: np.ndarray, layer: int) -> np.ndarray:
    """Eigenvectors in columns of the second moment of what layer number `layer` (0 is the first) is given."""
    h = _given(network, parameters, rows, layer)
    return np.linalg.eigh(h.T @ h / len(h))[1]
