"""Downstream gains of rescaled pretrained networks, predicted from their own tangent kernels, and what happens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from torch import Tensor

from simulate.devices import resolve
from simulate.networks import forward
from simulate.transfer.experiment import Engine
from theory.errors import Diverged
from theory.network.empirical import empirical_ntk
from theory.setting import Downstream, Ensemble, Experiment, Labels, Network, Training, Treatments, Upstream
from theory.transfer import LinearisedNetwork, linearised_transfer

# downstream the squared error on few rows: kernels between all outputs are large
ROWS, STEPS = 24, (0, 5, 20)
RATES = {0.5: 0.004, 2.0: 0.0001}  # by the init factor, far from where descent diverges
TREATMENT: Final = "rescaled"


def kernel_experiment(upstream: Upstream, factor: float, replicas: int) -> Experiment:
    """Full-batch descent on one-hot labels, after the upstream training that is given."""
    return Experiment(
        upstream=upstream,
        treatment=Treatments(kinds=("scratch", TREATMENT)),
        downstream=Downstream(
            samples=ROWS,
            labels=Labels(kind="real"),
            training=Training(learning_rate=RATES[factor], steps=STEPS),
        ),
        ensemble=Ensemble(replicas=replicas, dtype="float32"),
    )


@dataclass(frozen=True, eq=False)
class TangentGains:
    """What the rescaled network gains over its own init, as a share of the larger of their losses at the start.

    Attributes
    ----------
    steps : tuple of int, length r
    predicted, measured : ndarray, shape (R, r)
    diverged : int
        None: where a replica diverges, there are no such gains.
    """

    steps: tuple[int, ...]
    predicted: np.ndarray
    measured: np.ndarray
    diverged: int = 0

    @property
    def replicas(self) -> int:
        return len(self.measured)


def tangent_gains(experiment: Experiment, device: str = "cpu", store: Path | None = None) -> TangentGains:
    """Linearise every replica's two networks where downstream training begins, and train them.

    The prediction is ½ n⁻¹ ‖p_t(K/n)(y − f_0)‖² of `theory.transfer.linearised_transfer`, K (n, n, C, C) the tangent
    kernel and f_0 the outputs of that very network: exact but for the motion of the kernel.

    Raises
    ------
    Diverged
        Where a replica diverges.
    InvalidInput
        Where its linearisation does.
    """
    engine = Engine(experiment, resolve(device), weights=False)
    if store is not None:
        engine.keep(store, resume=True)
    trained = engine.upstream(silent)
    result = engine.downstream(trained, silent)
    if result.diverged:
        rate = experiment.downstream.training.learning_rate
        raise Diverged("downstream.training.learning_rate", rate, "lets a replica diverge")
    network, training = experiment.upstream.network, experiment.downstream.training
    predicted = []
    for replica in range(result.replicas):
        inputs = engine.draws.take([replica])
        x, y = inputs.downstream.x[0], inputs.downstream.y[0].numpy()
        init = tuple(w[0] for w in inputs.init)
        own = (w[replica].double() for w in trained.parameters)
        kept = tuple(w * (v.norm() / w.norm()) for w, v in zip(own, init, strict=True))
        transfer = linearised_transfer(linearised(network, kept, x), linearised(network, init, x), y, training)
        predicted.append((transfer.reference_loss, transfer.loss))
    measured = [result[name].curves.train_loss for name in ("scratch", TREATMENT)]
    return TangentGains(training.readings, _gains(*np.swapaxes(predicted, 0, 1)), _gains(*measured))


def linearised(network: Network, parameters: tuple[Tensor, ...], rows: Tensor) -> LinearisedNetwork:
    """One network by its tangent kernel between all outputs, and its outputs, on some rows."""

    def outputs(one: tuple[Tensor, ...], x: Tensor) -> Tensor:
        return forward(network, tuple(w.unsqueeze(0) for w in one), x.unsqueeze(0))[0]

    kernel = empirical_ntk(outputs, parameters, rows, full=True)
    return LinearisedNetwork(kernel.numpy(), outputs(parameters, rows).numpy())


def _gains(reference: np.ndarray, loss: np.ndarray) -> np.ndarray:
    return np.asarray((reference - loss) / np.maximum(reference, loss)[:, :1])


def silent(number: int) -> None:
    """No progress is shown."""
