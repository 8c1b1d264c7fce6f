"""Frozen gates, filters, updates and linearised training, on actual networks."""

from __future__ import annotations

from functools import partial

import numpy as np

from tests.pinning.table import Call, outcome, outcomes
from tests.theory.pins.arguments import array, moment
from theory import transfer
from theory.network import frozen_gates, patches
from theory.network.frozen_kernel import frozen_ntk
from theory.network.updates import Updates
from theory.setting import Network, Training
from theory.transfer.linearised_rows import LinearisedRows
from theory.transfer.linearised_task import checked_task
from theory.transfer.training_transfer import mean_over_steps

TRAINING = Training(learning_rate=0.3, steps=(0, 2, 5))
HEAVY = Training(learning_rate=0.2, momentum=0.5, steps=(1, 4), weight_decay=0.1)
NETWORKS = {
    "linear": Network(),
    "relu": Network(kind="mlp", hidden=(5,), bias=True),
    "deep": Network(kind="mlp", hidden=(5, 4), activation="tanh", parametrization="ntk"),
    "first": Network(kind="mlp", hidden=(4, 3), activation="erf", train="first", bias=True),
    "filters": Network(kind="conv", filters=3, kernel=(2, 3), hidden=(4,), bias=True, parametrization="ntk"),
    "blocks": Network(kind="vgg", blocks=((2, 3), (2,)), hidden=(4,), activation="erf"),
    "blocks, first": Network(kind="vgg", blocks=((2,),), activation="identity", train="first", bias=True),
}


def drawn(name: str, replicas: int = 2, n: int = 4) -> tuple[Network, tuple[np.ndarray, ...], np.ndarray]:
    """A network, its parameters and rows."""
    network = NETWORKS[name]
    row = (2, 5, 6) if network.convolves else (3,)
    rows = array(replicas, n, *row, salt=2)
    filters = (network.filters,) if network.kind == "conv" else tuple(f for block in network.blocks for f in block)
    parameters, layers = [], patches.filters_of(network) if network.convolves else ()
    sides, channels = row[1:], row[0]
    for layer, (out, own) in enumerate(zip(filters, layers, strict=True)):
        side = own.kernel[0] * own.kernel[1]
        parameters.append(array(replicas, out, channels * side, salt=layer))
        parameters += [array(replicas, out, salt=layer + 7) / 4] if network.bias else []
        sides, channels = own.handed_on(sides), out
    inputs_ = channels * sides[0] * sides[1] if network.convolves else row[0]
    for layer, out in enumerate((*network.widths, 2)):
        parameters.append(array(replicas, out, inputs_, salt=layer + 3))
        parameters += [array(replicas, out, salt=layer + 9) / 4] if network.bias else []
        inputs_ = out
    return network, tuple(parameters), rows


def frozen(name: str) -> list[object]:
    network, parameters, rows = drawn(name)
    gates = frozen_gates.freeze(network, parameters, rows)
    changes = [array(*w.shape, salt=k + 1) for k, w in enumerate(parameters)]
    some = gates.take(np.array([[3, 0], [1, 1]]))
    return [
        gates.outputs,
        gates.forward(changes),
        gates.backward(array(*gates.outputs.shape)),
        gates.numbers,
        frozen_ntk(gates),
        some.outputs,
        some.forward(changes),
        some.numbers,
        gates.scales,
        gates.trained,
    ]


def trained(name: str, training: Training, **keys: object) -> object:
    network, parameters, rows = drawn(name)
    labels = (np.arange(8).reshape(2, 4) // 3) % 2 if training.loss == "cross-entropy" else array(2, 4, 2)
    batches = None if training.batch_size == "full" else np.arange(2 * 5 * 3).reshape(2, 5, 3) * 7 // 3 % 4
    return outcome(
        lambda: transfer.linearised_training(network, training, parameters, rows, labels, batches=batches, **keys)
    )


def task(**keys: object) -> object:
    """What a task of two networks of one hidden layer says to these arguments."""
    network, parameters, rows = drawn("relu")
    given: dict[str, object] = {
        "parameters": parameters,
        "rows": rows,
        "labels": array(2, 4, 2),
        "training": TRAINING,
        **keys,
    }
    return outcome(lambda: _of_task(network, given))


def _of_task(network: Network, given: dict[str, object]) -> object:
    found = checked_task(network, given.pop("training"), **given)
    return [
        found.rows.shape,
        found.targets,
        found.batches,
        found.held_out and found.held_out[1],
        found.velocity,
        found.numbers_per_row,
        [len(group.rows) for held in (1, 300, 10**6) for group in found.groups(held)],
    ]


def parted(held: int) -> list[object]:
    """Gradients and scores of rows that are frozen in parts."""
    network, parameters, rows = drawn("relu")
    found = checked_task(network, Training(loss="cross-entropy"), parameters, rows, np.array([0, 1, 1, 0]))
    changes = [array(*w.shape, salt=k + 1) for k, w in enumerate(parameters)]
    part = [
        LinearisedRows(found, found.rows, found.targets, held=held * found.numbers_per_row, subtracted=s)
        for s in (False, True)
    ]
    return [
        [each.scores(changes), each.gradients(changes, None), each.gradients(changes, np.array([[3, 0, 0], [1, 2, 1]]))]
        for each in part
    ]


def updated(training: Training, velocity: object = None) -> object:
    start = [array(3, 2), array(2, salt=1)]
    found = Updates(training, start, velocity)
    for k in range(4):
        found.step([array(3, 2, salt=k + 2), array(2, salt=k + 4)])
    return found.changes


def gains(name: str) -> object:
    network, parameters, rows = drawn(name)
    others = [array(*w.shape, salt=k + 5) for k, w in enumerate(parameters)]
    held = array(2, 3, 3, salt=9), np.array([[0, 1, 1], [1, 0, 0]])
    found = transfer.training_transfer(
        network,
        Training(loss="cross-entropy", learning_rate=0.1, steps=(0, 1, 4)),
        parameters,
        others,
        rows,
        np.array([0, 1, 1, 0]),
        held_out=held,
    )
    return [
        found,
        found.train_loss.sign,
        found.train_loss.diverged,
        mean_over_steps((3,), array(2, 1)),
        mean_over_steps((1, 2, 9), array(2, 3)),
    ]


def joint(n: int, c: int) -> np.ndarray:
    """A kernel (n, n, C, C) of several outputs."""
    return moment(n * c).reshape(n, c, n, c).transpose(0, 2, 1, 3)


def changed_kernels() -> list[object]:
    network, parameters, rows = drawn("relu")
    others = [array(*w.shape, salt=k + 5) for k, w in enumerate(parameters)]
    numbers = transfer.kernel_numbers(np.stack([joint(3, 2), 4 * joint(3, 2) + 0.1]))
    return [
        numbers,
        transfer.kernel_change_of(network, parameters, others, rows),
        transfer.kernel_change(numbers, numbers),
        transfer.kernel_change(numbers, transfer.KernelNumbers(np.zeros(2), numbers.trace, numbers.trace)),
        transfer.kernel_numbers(np.zeros((1, 2, 2, 2, 2))),
        outcome(transfer.kernel_change, numbers, transfer.KernelNumbers(np.ones(1), np.ones(1), np.ones(1))),
        *outcomes(
            lambda shape: transfer.kernel_numbers(np.ones(shape)).trace,
            (1, 2, 2, 2, 2),
            (1, 1, 1, 2, 2),
            (1, 2, 2, 1, 1),
            (2, 2, 2, 2),
            (1, 2, 3, 2, 2),
            (1, 2, 2, 2, 3),
        ),
        outcome(transfer.kernel_numbers, np.full((1, 2, 2, 2, 2), np.nan)),
    ]


def images() -> list[object]:
    layers = (patches.FrozenFilters((2, 3)), patches.FrozenFilters((3, 3), border=1, pools=True))
    h = array(1, 2, 5, 4, 2)
    return [
        [
            layer.places((5, 4)),
            layer.handed_on((5, 4)),
            patches.cut_patches(layer, h),
            patches.from_patches(layer, array(*patches.cut_patches(layer, h).shape, salt=4), (5, 4)),
        ]
        for layer in layers
    ] + [
        patches.strongest(h),
        patches.strongest(np.zeros((1, 1, 2, 2, 1))),
        patches.window_sums(h),
        patches.over_windows(patches.window_sums(h), (5, 4)),
        [patches.filters_of(NETWORKS[name]) for name in ("filters", "blocks", "relu")],
        frozen_gates.seen(None, h),
        frozen_gates.seen(layers[0], h),
        frozen_gates.seen(None, array(1, 2, 3)),
        frozen_gates.pick(np.array([[3, 0], [1, 1]]), array(2, 4, 3), array(2, 4)),
    ]


def frozen_refusals(
    *, rows: np.ndarray | None = None, network: Network | None = None, parameters: object = None
) -> object:
    known, given, shown = drawn("relu")
    found = outcome(frozen_gates.freeze, network or known, parameters or given, shown if rows is None else rows)
    return found if isinstance(found, Exception) else found.outputs.shape


ENTROPY = Training(
    loss="cross-entropy",
    learning_rate=0.2,
    momentum=0.9,
    nesterov=True,
    weight_decay=0.1,
    batch_size=3,
    steps=(0, 1, 4),
)
RULES = {
    "momentum": Training(momentum=0.6, drops=((2, 0.5),)),
    "nesterov": Training(momentum=0.6, nesterov=True, weight_decay=0.3),
    "adam": Training(optimizer="adam", l1=0.2),
    "rmsprop": Training(optimizer="rmsprop"),
    "signsgd": Training(optimizer="signsgd", weight_decay=0.3),
}
ROWS: dict[str, Call] = {
    "patches": images,
    **{f"frozen {name}": partial(frozen, name) for name in NETWORKS},
    "frozen, refusals": lambda: [
        frozen_refusals(),
        frozen_refusals(rows=array(2, 4, 2)),
        frozen_refusals(rows=array(4, 3)),
        frozen_refusals(rows=array(1, 4, 3)),
        frozen_refusals(rows=array(2, 4, 3).astype(np.float32)),
        frozen_refusals(rows=np.full((2, 4, 3), np.nan)),
        frozen_refusals(parameters=drawn("relu")[1][:3]),
        frozen_refusals(network=NETWORKS["deep"]),
        frozen_refusals(network=Network(kind="resnet")),
        frozen_refusals(parameters=(*drawn("relu")[1][:3], array(2, 3))),
        frozen_refusals(parameters=(array(2, 4, 3), *drawn("relu")[1][1:])),
        frozen_refusals(parameters=(array(2, 5, 4), *drawn("relu")[1][1:])),
        outcome(lambda: frozen_gates.freeze(NETWORKS["blocks"], drawn("blocks")[1], array(2, 4, 2, 2, 2))),
        outcome(lambda: frozen_gates.freeze(NETWORKS["filters"], drawn("filters")[1], array(2, 4, 2, 1, 2))),
        outcome(lambda: frozen_gates.freeze(NETWORKS["filters"], drawn("filters")[1], array(2, 4, 2, 2, 3))),
    ],
    "updates": lambda: [
        *(updated(t) for t in RULES.values()),
        updated(RULES["momentum"], [array(3, 2, salt=8), array(2, salt=9)]),
    ],
    **{f"trained {name}": partial(trained, name, TRAINING) for name in NETWORKS},
    "trained by batches": lambda: [
        trained("relu", ENTROPY),
        trained("deep", ENTROPY, subtracted=True),
        trained("first", ENTROPY, held_out=(array(2, 3, 3, salt=5), np.array([[0, 1, 1], [1, 0, 0]]))),
        trained("relu", HEAVY, velocity=[array(*w.shape, salt=3) for w in drawn("relu")[1]]),
        trained("linear", Training(learning_rate=1e200, steps=(1, 9))),
        gains("relu"),
        parted(1),
        parted(5),
        parted(100),
    ],
    "tasks": lambda: [
        task(),
        task(labels=array(4, 2)),
        task(rows=array(4, 3)),
        task(held_out=(array(3, 3), array(3, 2))),
        *(task(labels=x) for x in (array(2, 3, 2), array(4), np.ones((4, 2), int), np.full((4, 2), np.nan))),
        *(
            task(labels=x, training=Training(loss="cross-entropy"))
            for x in (
                np.array([0, 1, 1, 0]),
                np.array([0, 1, 2, 0]),
                np.array([0, -1, 1, 0]),
                np.ones(4),
                np.ones((2, 3), int),
            )
        ),
        *(
            task(batches=x, training=Training(batch_size=3, steps=2))
            for x in (
                None,
                np.ones((2, 3), int),
                np.ones((2, 2, 3), int),
                np.ones((3, 2, 3), int),
                np.ones((1, 3), int),
                np.ones((2, 2), int),
                np.ones((2, 3)),
                np.full((2, 3), 4),
                np.full((2, 3), 3),
                np.full((2, 3), -1),
            )
        ),
        *(
            task(training=t)
            for t in (
                Training(batch_size=4),
                Training(batch_size=4, sampling="replacement"),
                Training(batch_size=3, steps=0),
            )
        ),
        task(batches=np.ones((100, 4), int)),
        task(parameters=()),
        task(parameters=drawn("relu")[1][:-1]),
        *(task(rows=x) for x in (array(2, 0, 3), array(3))),
        task(velocity=drawn("relu")[1]),
        task(velocity=drawn("relu")[1], training=HEAVY),
        task(velocity=drawn("relu")[1][:1], training=HEAVY),
        task(velocity=drawn("relu")[1], training=Training(optimizer="adam")),
    ],
    "kernel changes": changed_kernels,
}
