"""Downstream gains of rescaled pretrained networks, predicted from their own tangent kernels, and what happens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from reports.claims.transfer.tangent_modes import TangentModes, modes_of, predicted_gain, stacked
from simulate.devices import resolve
from simulate.transfer.experiment import Engine, silent
from theory.errors import Diverged
from theory.setting import Downstream, Ensemble, Experiment, Labels, Training, Treatments, Upstream

# downstream the squared error on few rows: kernels between all outputs are large
ROWS, STEPS = 24, (0, 5, 20)
RATES = {0.5: 0.004, 2.0: 0.0001}  # the learning rates downstream, by init factor, far from where descent diverges
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
    training : Training
        The training downstream, read at r steps.
    init, kept : TangentModes
        The tangent modes of every replica's init, and of the network as it is kept, (R, nC).
    measured : ndarray, shape (R, r)
    diverged : int
        Always 0: if a replica diverges, there are no such gains.
    """

    training: Training
    init: TangentModes
    kept: TangentModes
    measured: np.ndarray
    diverged: int = 0

    @property
    def steps(self) -> tuple[int, ...]:
        """The r steps at which gains are read."""
        return self.training.readings

    @property
    def replicas(self) -> int:
        return len(self.measured)

    @property
    def predicted(self) -> np.ndarray:
        """The same gains by `theory.transfer`, from the modes of every replica's two networks, (R, r).

        K is the tangent kernel and f_0 the outputs of that very network: exact but for the motion of the kernel.
        """
        pairs = zip(self.kept, self.init, strict=True)
        return np.array([predicted_gain(kept, init, self.training) for kept, init in pairs])


def tangent_gains(experiment: Experiment, device: str = "cpu", store: Path | None = None) -> TangentGains:
    """Train every replica's two networks downstream, and take the modes of both where that begins.

    Raises
    ------
    Diverged
        If a replica diverges, or would do so if its kernel stayed.
    """
    engine = Engine(experiment, resolve(device), weights=False)
    if store is not None:
        engine.keep(store, resume=True)
    trained = engine.upstream(silent)
    result = engine.downstream(trained, silent)
    rate = experiment.downstream.training.learning_rate
    if result.diverged:
        raise Diverged("downstream.training.learning_rate", rate, "lets a replica diverge")
    network, modes = experiment.upstream.network, []
    for replica in range(result.replicas):
        inputs = engine.draws.take([replica])
        x, y = inputs.downstream.x[0], inputs.downstream.y[0].numpy()
        init = tuple(w[0] for w in inputs.init)
        own = (w[replica].double() for w in trained.parameters)
        kept = tuple(w * (v.norm() / w.norm()) for w, v in zip(own, init, strict=True))
        modes.append([modes_of(network, each, x, y) for each in (init, kept)])
    before, after = (stacked(part) for part in zip(*modes, strict=True))
    if rate * max(before.curvature.max(), after.curvature.max()) >= 2:
        raise Diverged("downstream.training.learning_rate", rate, "lets the linearisation of a replica diverge")
    measured = [result[name].curves.train_loss for name in ("scratch", TREATMENT)]
    return TangentGains(experiment.downstream.training, before, after, _gains(*measured))


def _gains(reference: np.ndarray, loss: np.ndarray) -> np.ndarray:
    return np.asarray((reference - loss) / np.maximum(reference, loss)[:, :1])
