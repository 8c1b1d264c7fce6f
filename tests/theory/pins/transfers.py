"""Transfer of weights, of features, of outputs, and in the kernel regime."""

from __future__ import annotations

import numpy as np

from tests.pinning.table import Call, outcome, outcomes
from tests.theory.pins.arguments import array, moment
from tests.theory.pins.settings import SETTINGS, rows_of
from theory import transfer
from theory.network.model import hidden_layer_constants
from theory.setting import Training
from theory.transfer import inputs

X, Z = array(4, 3), array(2, 3, salt=1)
Y = array(4, 2, salt=3)
S, TAU, TARGET = np.array([0.0, 0.4, 1.1, 2.3]), np.array([0.3, 0.1, 0.7, 0.2]), np.array([0.5, 1.2, 0.1, 0.4])
TRAINING = Training(learning_rate=0.3, steps=(0, 2, 5))
HEAVY = Training(learning_rate=0.2, momentum=0.5, steps=(1, 4), weight_decay=0.1)


def kept(*, targets: object = None, upstream: Training | None = None, **keys: object) -> object:
    before = Training(learning_rate=0.3, steps=4) if upstream is None else upstream
    task_, keys = Y[:, 0] if targets is None else targets, {"label_variance": 0.7, **keys}
    return outcome(lambda: _modes(transfer.kept_output_transfer(X, before, task_, TRAINING, **keys)))


def _modes(found: transfer.KeptOutputTransfer) -> list[object]:
    return [found, found.mode_sign, found.transfer.gain, found.transfer.transfer_sign, found.transfer.early_sign]


def linearised(
    network: object = None, reference: object = None, targets: object = None, training: Training = TRAINING
) -> object:
    one = transfer.LinearisedNetwork(moment(4), outputs=Y, covariance=moment(4, 1)) if network is None else network
    two = transfer.LinearisedNetwork(moment(4, 2), outputs=-Y) if reference is None else reference
    found = outcome(transfer.linearised_transfer, one, two, Y[::-1] if targets is None else targets, training)
    return (
        [found, found.gain, found.transfer_sign, found.early_sign]
        if isinstance(found, transfer.LinearisedTransfer)
        else found
    )


def joint(n: int, c: int) -> np.ndarray:
    """A kernel (n, n, C, C) of several outputs."""
    return moment(n * c).reshape(n, c, n, c).transpose(0, 2, 1, 3)


def weights(**keys: object) -> object:
    found = transfer.initial_weight_transfer(S, TAU, HEAVY, **keys)
    return [found, found.raw_sign, found.trace_matched_sign]


def features_frozen() -> object:
    found = transfer.frozen_feature_transfer(S, TAU, TARGET, 0.3, 9, HEAVY)
    return [found, found.trace_matched_sign, found.early_sign]


ROWS: dict[str, Call] = {
    "initial weights": lambda: [
        weights(),
        weights(init_variance=0.4),
        weights(population=TARGET, init_variance=0.0),
        transfer.initial_weight_training_loss(S, TAU, TARGET, 0.3, 9, HEAVY),
        transfer.initial_weight_test_loss(moment(3), moment(3, 1), moment(3, 2), X[0], 0.3, 9, HEAVY),
        *(
            outcome(transfer.initial_weight_transfer_of, SETTINGS[name], rows_of(SETTINGS[name]), TRAINING)
            for name in ("linear", "linear, ntk", "linear, even spectrum", "linear, spectrum", "drawn")
        ),
        outcome(transfer.initial_weight_test_loss, moment(3), moment(2), moment(3), X[0], 0.3, 9, HEAVY),
        *outcomes(
            lambda x: transfer.initial_weight_test_loss(moment(3), moment(3), moment(3), x, 0.3, 9, HEAVY),
            np.ones(2),
            np.full(3, np.nan),
        ),
        *outcomes(lambda x: weights(init_variance=x), -1e-9, np.inf),
        features_frozen(),
        transfer.frozen_feature_loss(S, TAU, TARGET, 0.3, 9, HEAVY),
        *outcomes(lambda x: inputs.nonnegative("s", x, 2), [1.0, 0.0], [1.0, -1e-9], [1.0], [1.0, np.inf]),
        outcome(inputs.nonnegative, "s", []),
        outcome(inputs.nonnegative, "s", [[1.0]]),
        *outcomes(lambda x: inputs.task(x, 1), 0.0, -1e-9, np.inf),
        *outcomes(lambda n: inputs.task(0.1, n), 1, 0),
        inputs.signs(np.array([-1.0, 0.0, 1e-300])),
        *outcomes(
            lambda t: inputs.full_batch_propagators(t, S)[0],
            HEAVY,
            Training(optimizer="adam"),
            Training(l1=0.1),
            Training(loss="cross-entropy"),
            Training(batch_size=2),
        ),
    ],
    "linearised": lambda: [
        linearised(),
        linearised(targets=transfer.RandomLabels(0.7, 2)),
        linearised(
            transfer.LinearisedNetwork(joint(4, 2), outputs=Y, covariance=moment(4)),
            transfer.LinearisedNetwork(joint(4, 2)),
        ),
        linearised(transfer.LinearisedNetwork(moment(4)), transfer.LinearisedNetwork(moment(4, 2)), Y[:, 0]),
        linearised(
            transfer.LinearisedNetwork(moment(4)), transfer.LinearisedNetwork(moment(4)), transfer.RandomLabels()
        ),
        linearised(
            transfer.LinearisedNetwork(joint(4, 2)),
            transfer.LinearisedNetwork(joint(4, 2)),
            transfer.RandomLabels(0.3, 2),
        ),
        linearised(transfer.LinearisedNetwork(moment(3))),
        linearised(targets=Y[:, 0]),
        linearised(targets=np.full((4, 2), np.nan)),
        linearised(transfer.LinearisedNetwork(-moment(4))),
        linearised(transfer.LinearisedNetwork(moment(4), covariance=moment(3))),
        *(
            linearised(training=t)
            for t in (
                HEAVY,
                Training(learning_rate=40.0),
                Training(learning_rate=2.0, steps=3),
                Training(optimizer="adam"),
            )
        ),
        linearised(transfer.LinearisedNetwork(moment(4), outputs=Y[:3])),
        transfer.linearised_loss(transfer.LinearisedNetwork(moment(4)), Y, TRAINING),
        *outcomes(lambda x: transfer.RandomLabels(*x).outputs, (0.0, 1), (-1e-9, 1), (np.inf, 1), (1.0, 0)),
        *(linearised(transfer.LinearisedNetwork(np.diag([1.0, 1.0, 1.0, x]))) for x in (-0.9e-7, -1.1e-7)),
        *(
            linearised(transfer.LinearisedNetwork((1 + x) * moment(4)), transfer.LinearisedNetwork(moment(4)), Y)
            for x in (1e-13, 1e-11)
        ),
    ],
    "kept outputs": lambda: [
        kept(),
        kept(others=Z, targets=Y[:2, 0]),
        kept(activation="erf", init_variance=0.6, output_variance=1.3, targets=transfer.RandomLabels(0.7)),
        *(kept(upstream=t) for t in (TRAINING, HEAVY, Training(steps=3, weight_decay=0.1), Training(steps=0))),
        *(kept(label_variance=x) for x in (0.0, -1e-9, np.inf)),
    ],
    "kernel regime": lambda: [
        *(
            outcome(lambda k: transfer.kernel_regime_transfer(X, moment(3), Y[:, 0], TRAINING, **k), keys)
            for keys in (
                {},
                {"activation": "erf", "trained": "first", "output_variance": 1.3, "init_variance": 0.4},
                {"trained": "last", "subtract_initial": True},
            )
        ),
        transfer.early_slope_guide(X, moment(3), Y[:, 0]),
        transfer.wide_network(X, 0.6, trained="last", output_variance=2.0),
        *outcomes(
            lambda c: transfer.kernel_regime_transfer(X, c, Y[:, 0], TRAINING).trace_variance,
            moment(2),
            np.zeros((3, 3)),
        ),
        outcome(transfer.kernel_regime_transfer, X[0], moment(3), Y[:, 0], TRAINING),
    ],
    "models": lambda: [hidden_layer_constants(SETTINGS[name], 3) for name in ("erf", "erf, ntk", "entropy", "lazy")],
}
