"""Transfer: upstream training, a treatment, downstream training; paired, for an ensemble of independent replicas.

`run` trains everything and returns a `TransferResult`, whose arrays have one row per replica:

    experiment = Experiment(
        upstream=Upstream(
            data=Data(kind="digits", samples=898),
            labels=Labels(kind="classes"),
            network=Network(kind="mlp", hidden=(256, 64), init_variance=2.0),
            training=Training(loss="cross-entropy", learning_rate=0.01, momentum=0.9, batch_size=64, steps=2800),
            until=Until(accuracy=1.0),
        ),
        treatment=Treatments(kinds=("scratch", "pretrained", "rescaled", {"kind": "first-layers", "layers": 1})),
        downstream=Downstream(
            samples=899, labels=Labels(kind="real"), training=Training(loss="cross-entropy", …, steps=(0, 14, 28, 42))
        ),
        ensemble=Ensemble(replicas=30, dtype="float32"),
    )
    result = simulate.transfer.run(experiment)
    gain = result["pretrained"].curves.mean_accuracy() - result["scratch"].curves.mean_accuracy()  # (R,), paired
    result["pretrained"].layers.active[:, 0]  # (R, L − 1): the share of active units at the switch
    result["pretrained"].weights[0].second_moment  # Σ_w (d, d) at the switch, for `theory.misalignment`

With ``processes=8`` it uses eight cores; with a store, ``shard="2/5"`` or `torchrun` selects a share of the replicas,
and `merge` combines the shares. `run_with_networks` also returns the networks at the switch, and `train_upstream_alone`
returns only these, as a `Switched`, from which the theory predicts downstream training. Treatments are described in
`theory.setting.Treatment`.
"""

from simulate.transfer.results import Curves, Layers, TransferResult, Treated, UpstreamEnd
from simulate.transfer.shares import (
    Progress,
    merge,
    merge_with_networks,
    progress,
    run,
    run_with_networks,
)
from simulate.transfer.store import holds_experiment
from simulate.transfer.switch import Switched
from simulate.transfer.upstream_alone import train_upstream_alone

__all__ = [
    "Curves",
    "Layers",
    "Progress",
    "Switched",
    "TransferResult",
    "Treated",
    "UpstreamEnd",
    "holds_experiment",
    "merge",
    "merge_with_networks",
    "progress",
    "run",
    "run_with_networks",
    "train_upstream_alone",
]
