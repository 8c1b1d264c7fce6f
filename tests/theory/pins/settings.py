"""Settings of every kind that a closed form knows, with odd numbers everywhere; what each form says of each is pinned.

A form that refuses is pinned by the numbers that it says and by the first word of the reason, one that predicts by
its declared error and all readings.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import msgspec
import numpy as np

from tests.pinning.table import Call, numbers, outcome
from tests.theory.pins.arguments import array
from theory import FORMS, Setting
from theory.decomposition import decompose
from theory.prediction import Form
from theory.setting import Data, Labels, Network, Sphere, Student, Training, TwoPoint

Changes = Mapping[str, object]
SPECTRUM = (0.4, 1.1, 1.1, 2.3)
SLOW = "network-dmft"  # has rows of its own


def changed(base: Setting, **tables: Changes) -> Setting:
    """A setting with changes of some of its tables."""
    return msgspec.structs.replace(
        base, **{key: msgspec.structs.replace(getattr(base, key), **table) for key, table in tables.items()}
    )


LINEAR = Setting(
    data=Data(kind="gaussian", spectrum=SPECTRUM, samples=9, fixed=True),
    labels=Labels(variance=1.7),
    network=Network(init_variance=0.6),
    training=Training(learning_rate=0.3, steps=(0, 1, 5)),
)
AVERAGED = changed(LINEAR, data={"fixed": False, "samples": 40, "rotate": False})
ONLINE = changed(
    AVERAGED, data={"samples": "online"}, training={"batch_size": 3, "sampling": "fresh", "learning_rate": 0.11}
)
TWO_LAYERS = changed(
    LINEAR,
    labels={"outputs": 2},
    network={"kind": "mlp", "hidden": (6,), "activation": "identity", "init_variance": (0.7, 0.9)},
    training={"steps": (0, 1), "learning_rate": 0.2},
)
HIDDEN = changed(TWO_LAYERS, network={"activation": "erf", "hidden": (7,)}, data={"samples": 6})
LAZY = changed(
    HIDDEN, network={"hidden": (50,), "train": "first"}, training={"steps": (0, 1, 6), "learning_rate": 0.05}
)
CLASSES: Changes = {"kind": "classes", "classes": 3, "variance": 1.0, "outputs": 1}
TINY: Changes = {"init_variance": (1e-4, 2e-4)}
DROPS: Changes = {"drops": ((2, 0.5), (4, 0.25))}
MOMENTUM: Changes = {"momentum": 0.4}
NESTEROV: Changes = {"momentum": 0.4, "nesterov": True}
DECAY: Changes = {"weight_decay": 0.2}
DRAWN: Changes = {"batch_size": 2, "sampling": "replacement", "learning_rate": 0.05}
FRESH: Changes = {"batch_size": 2, "sampling": "fresh", "learning_rate": 0.05}
EPOCHS: Changes = {"batch_size": 3, "learning_rate": 0.05, "steps": (0, 9, 12, 30)}
ELLIPTICAL: Changes = {"kind": "elliptical"}

SETTINGS: dict[str, Setting] = {
    "linear": LINEAR,
    "linear, 3 rows": changed(LINEAR, data={"samples": 3}),
    "linear, 3 rows, spectrum and decay": changed(
        LINEAR, data={"samples": 3}, network={"init_spectrum": (0.1, 0.5, 0.2, 0.9)}, training=DECAY
    ),
    "drawn, 3 rows, spectrum and decay": changed(
        LINEAR, data={"samples": 3}, network={"init_spectrum": (0.1, 0.5, 0.2, 0.9)}, training={**DRAWN, **DECAY}
    ),
    "settled, 3 rows, spectrum and decay": changed(
        LINEAR,
        data={"samples": 3},
        network={"init_spectrum": (0.1, 0.5, 0.2, 0.9)},
        training={**FRESH, **DECAY, "learning_rate": 0.3, "steps": 40},
    ),
    "epochs, 3 rows of 1, spectrum and decay": changed(
        LINEAR,
        data={"samples": 3},
        network={"init_spectrum": (0.1, 0.5, 0.2, 0.9)},
        training={**EPOCHS, **DECAY, "batch_size": 1, "steps": (0, 4, 9)},
    ),
    "epochs, 3 rows of 1": changed(
        LINEAR, data={"samples": 3}, training={**EPOCHS, **DECAY, "batch_size": 1, "steps": 30}
    ),
    "linear, 8 rows": changed(LINEAR, data={"samples": 8}),
    "linear, momentum": changed(LINEAR, training=MOMENTUM),
    "linear, nesterov and decay": changed(LINEAR, training={**NESTEROV, **DECAY}),
    "linear, decay": changed(LINEAR, training=DECAY),
    "linear, drops": changed(LINEAR, training=DROPS),
    "linear, drops at once": changed(LINEAR, training={"drops": ((0, 0.5), (1, 3.0), (5, 9.0)), **MOMENTUM}),
    "linear, ntk": changed(LINEAR, network={"parametrization": "ntk"}),
    "linear, spectrum": changed(LINEAR, network={"init_spectrum": (0.1, 0.5, 0.2, 0.9)}),
    "linear, even spectrum": changed(LINEAR, network={"init_spectrum": (0.3,) * 4}),
    "linear, classes": changed(LINEAR, labels={"kind": "classes", "classes": 5, "variance": 1.0}),
    "linear, no labels": changed(LINEAR, labels={"variance": 0.0}),
    "linear, no start": changed(LINEAR, network={"init_variance": 0.0}),
    "linear, step 0": changed(LINEAR, training={"steps": 0}),
    "linear, step 7": changed(LINEAR, training={"steps": 7}),
    "linear, overflow": changed(LINEAR, training={"steps": (1, 3000), "learning_rate": 3.0}),
    "linear, bias": changed(LINEAR, network={"bias": True}),
    "linear, adam": changed(LINEAR, training={"optimizer": "adam"}),
    "linear, l1": changed(LINEAR, training={"l1": 0.1}),
    "linear, entropy": changed(LINEAR, labels=CLASSES, training={"loss": "cross-entropy"}),
    "linear, teacher": changed(LINEAR, labels={"kind": "teacher", "variance": 1.0}),
    "drawn": changed(LINEAR, training=DRAWN),
    "drawn, 3 rows": changed(LINEAR, data={"samples": 3}, training=DRAWN),
    "drawn, 8 rows": changed(LINEAR, data={"samples": 8}, training=DRAWN),
    "drawn, 9 at once": changed(LINEAR, training={**DRAWN, "batch_size": 9}),
    "drawn, fresh": changed(LINEAR, training=FRESH),
    "drawn, one": changed(LINEAR, training={**FRESH, "batch_size": 1}),
    "drawn, momentum": changed(LINEAR, training={**DRAWN, **MOMENTUM}),
    "drawn, nesterov and drops": changed(LINEAR, training={**FRESH, **NESTEROV, **DROPS}),
    "drawn, decay": changed(LINEAR, training={**DRAWN, **DECAY}),
    "drawn, decay and drops": changed(LINEAR, training={**FRESH, **DECAY, **DROPS}),
    "drawn, spectrum": changed(LINEAR, training=DRAWN, network={"init_spectrum": (0.1, 0.5, 0.2, 0.9)}),
    "drawn, ntk": changed(LINEAR, training={**DRAWN, "learning_rate": 0.2}, network={"parametrization": "ntk"}),
    "drawn, mean": changed(LINEAR, training=DRAWN, data={"mean": (0.1, 0.0, 0.3, 0.2)}),
    "drawn, fast": changed(LINEAR, training={**DRAWN, "learning_rate": 1.5, "steps": (1, 200)}),
    "drawn, one row": changed(LINEAR, data={"samples": 1}, training={"batch_size": 1, "sampling": "replacement"}),
    "settled": changed(LINEAR, training={**DRAWN, "steps": (0, 100)}),
    "settled, nearly": changed(LINEAR, training={**DRAWN, "learning_rate": 0.15, "steps": (80, 90)}),
    "settled, 3 rows": changed(LINEAR, data={"samples": 3}, training={**DRAWN, "learning_rate": 0.1, "steps": 250}),
    "settled, momentum": changed(LINEAR, training={**FRESH, **MOMENTUM, "learning_rate": 0.1, "steps": 150}),
    "settled, decay": changed(
        LINEAR, training={**FRESH, **DECAY, "drops": ((2, 0.5),), "learning_rate": 0.3, "steps": 60}
    ),
    "epochs": changed(LINEAR, training=EPOCHS),
    "epochs, decay": changed(LINEAR, training={**EPOCHS, **DECAY}),
    "epochs, momentum and drops": changed(LINEAR, training={**EPOCHS, **MOMENTUM, **DROPS, "steps": (4, 10)}),
    "epochs, 8 rows of 4": changed(LINEAR, data={"samples": 8}, training={**EPOCHS, "batch_size": 4, "steps": (8, 20)}),
    "epochs, 8 rows of 4, late": changed(
        LINEAR, data={"samples": 8}, training={**EPOCHS, "batch_size": 4, "steps": 20}
    ),
    "epochs, 2 of 9": changed(LINEAR, training={**EPOCHS, "batch_size": 2, "steps": (5, 12)}),
    "epochs, 5 of 9": changed(LINEAR, training={**EPOCHS, "batch_size": 5}),
    "epochs, early": changed(LINEAR, training={**EPOCHS, "steps": (6, 9)}),
    "epochs, fast": changed(LINEAR, training={**EPOCHS, "learning_rate": 0.5, "steps": 9}),
    "epochs, long start": changed(LINEAR, training={**EPOCHS, "steps": 9}, network={"init_variance": 40.0}),
    "averaged": AVERAGED,
    "averaged, step 0": changed(AVERAGED, training={"steps": 0}),
    "averaged, drawn, step 0": changed(AVERAGED, training={**DRAWN, "steps": 0}),
    "online, step 0": changed(ONLINE, training={"steps": 0}),
    "lazy, step 0": changed(LAZY, training={"steps": 0}),
    "relu, step 0": changed(HIDDEN, network={"activation": "relu"}, training={"steps": 0}),
    "averaged, 9 rows": changed(AVERAGED, data={"samples": 9}),
    "averaged, 16 rows": changed(AVERAGED, data={"samples": 16}, training={"learning_rate": 0.1, "steps": (2, 30)}),
    "averaged, 11 rows": changed(AVERAGED, data={"samples": 11}, training={"learning_rate": 0.1, "steps": 30}),
    "averaged, 3 rows": changed(AVERAGED, data={"samples": 3}),
    "averaged, nesterov": changed(AVERAGED, training=NESTEROV),
    "averaged, decay and drops": changed(AVERAGED, training={**DECAY, **DROPS}),
    "averaged, ntk and a zero": changed(
        AVERAGED, network={"parametrization": "ntk"}, data={"spectrum": (0.0, 1.1, 1.1, 2.3)}
    ),
    "averaged, unstable": changed(AVERAGED, training={"learning_rate": 0.6, **DROPS}),
    "averaged, rotated": changed(AVERAGED, data={"rotate": True}, network={"init_spectrum": (0.1, 0.5, 0.2, 0.9)}),
    "averaged, rotated, two variances": changed(
        AVERAGED, data={"rotate": True}, network={"init_spectrum": (0.1, 0.1, 0.2, 0.2)}
    ),
    "linear, two variances": changed(LINEAR, network={"init_spectrum": (0.1, 0.1, 0.2, 0.2)}),
    "averaged, two variances": changed(AVERAGED, network={"init_spectrum": (0.1, 0.1, 0.2, 0.2)}),
    "two layers, two variances": changed(TWO_LAYERS, network={**TINY, "init_spectrum": (0.1, 0.1, 0.2, 0.2)}),
    "erf, two variances": changed(HIDDEN, network={"init_spectrum": (0.1, 0.1, 0.2, 0.2)}),
    "averaged, mean": changed(AVERAGED, data={"mean": (0.1, 0.0, 0.3, 0.2)}),
    "averaged, drawn": changed(AVERAGED, training=DRAWN),
    "averaged, drawn, 8 rows": changed(AVERAGED, data={"samples": 8}, training={**FRESH, "learning_rate": 0.01}),
    "averaged, drawn, decay and drops": changed(AVERAGED, training={**FRESH, **DECAY, **DROPS}),
    "averaged, drawn fast": changed(AVERAGED, training={**DRAWN, "batch_size": 1, "learning_rate": 0.3}),
    "averaged, drawn, momentum": changed(AVERAGED, training={**DRAWN, **MOMENTUM}),
    "averaged, first epoch": changed(AVERAGED, training={"batch_size": 3, "steps": (1, 13), "learning_rate": 0.05}),
    "averaged, beyond the first epoch": changed(AVERAGED, training={"batch_size": 3, "steps": 14}),
    "averaged, one update": changed(AVERAGED, training={"steps": 1, "learning_rate": 0.1}),
    "averaged, one row": changed(AVERAGED, training={"batch_size": 1, "sampling": "replacement", "steps": 1}),
    "averaged, two drawn": changed(AVERAGED, training={**FRESH, "steps": 2}),
    "online": ONLINE,
    "online, momentum": changed(ONLINE, training={**MOMENTUM, **DROPS}),
    "online, decay": changed(ONLINE, training={**DECAY, **DROPS, "learning_rate": 0.05}),
    "online, drops at once": changed(ONLINE, training={"drops": ((1, 0.5), (4, 0.3))}),
    "online, drops from the start": changed(ONLINE, training={"drops": ((0, 0.5), (1, 1.5)), "learning_rate": 0.08}),
    "online, one": changed(ONLINE, training={"batch_size": 1, "learning_rate": 0.02, "steps": (3, 40)}),
    "online, spectrum": changed(ONLINE, network={"init_spectrum": (0.1, 0.5, 0.2, 0.9)}),
    "online, ntk": changed(ONLINE, network={"parametrization": "ntk"}, training={"learning_rate": 0.3}),
    "online, signs": changed(ONLINE, labels={"kind": "rademacher"}),
    "online, classes": changed(ONLINE, labels={"kind": "classes", "classes": 4, "variance": 1.0}),
    "online, fast": changed(ONLINE, training={"learning_rate": 0.9, "steps": (1, 2000)}),
    "online, too fast to diffuse": changed(ONLINE, training={"learning_rate": 0.22}),
    "online, too noisy to diffuse": changed(ONLINE, training={"learning_rate": 0.15, "batch_size": 1}),
    "student 4": changed(ONLINE, data={**ELLIPTICAL, "radial": Student(dof=4.0)}),
    "student 4.5": changed(ONLINE, data={**ELLIPTICAL, "radial": Student(dof=4.5)}, training={"learning_rate": 0.01}),
    "student 7": changed(ONLINE, data={**ELLIPTICAL, "radial": Student(dof=7.0)}, training={"learning_rate": 0.05}),
    "student 12": changed(ONLINE, data={**ELLIPTICAL, "radial": Student(dof=12.0)}),
    "sphere": changed(ONLINE, data={**ELLIPTICAL, "radial": Sphere()}),
    "two points": changed(ONLINE, data={**ELLIPTICAL, "radial": TwoPoint(k4=1.3)}, training={"learning_rate": 0.05}),
    "two layers": changed(TWO_LAYERS, labels={"outputs": 1}),
    "two layers, ntk, nesterov and decay": changed(
        TWO_LAYERS, network={"parametrization": "ntk"}, labels={"outputs": 1}, training={**NESTEROV, **DECAY}
    ),
    "two layers, spectrum": changed(TWO_LAYERS, network={"init_spectrum": (0.1, 0.5, 0.2, 0.9)}, training=DROPS),
    "two layers, deep": changed(TWO_LAYERS, network={"hidden": (6, 5), "init_variance": 1.0}),
    "two layers, batches": changed(TWO_LAYERS, training={"batch_size": 2}),
    "two layers, early": changed(TWO_LAYERS, network=TINY, training={"steps": 9}),
    "two layers, early, one output": changed(
        TWO_LAYERS, labels={"outputs": 1}, network=TINY, training={**NESTEROV, **DECAY, **DROPS, "steps": (0, 3, 20)}
    ),
    "two layers, late": changed(TWO_LAYERS, labels={"outputs": 1}, network=TINY, training={"steps": 200}),
    "two layers, first": changed(TWO_LAYERS, network={**TINY, "train": "first"}, training={"steps": 3}),
    "two layers, signs": changed(TWO_LAYERS, labels={"kind": "rademacher"}, network=TINY, training={"steps": 3}),
    "converged": changed(
        TWO_LAYERS, labels={"outputs": 1}, network=TINY, training={"learning_rate": 0.04, "steps": (3000, 4000)}
    ),
    "converged, 3 rows": changed(
        TWO_LAYERS,
        data={"samples": 3},
        labels={"outputs": 1},
        network={**TINY, "parametrization": "ntk"},
        training={"learning_rate": 0.06, "steps": 4000},
    ),
    "converged, too early": changed(
        TWO_LAYERS, labels={"outputs": 1}, network=TINY, training={"learning_rate": 0.04, "steps": 300}
    ),
    "converged, too fast": changed(
        TWO_LAYERS, labels={"outputs": 1}, network=TINY, training={"learning_rate": 0.3, "steps": 3000}
    ),
    "erf": HIDDEN,
    "erf, ntk": changed(HIDDEN, network={"parametrization": "ntk"}, training={**NESTEROV, **DECAY}),
    "relu": changed(HIDDEN, network={"activation": "relu"}, training={**DECAY, **DROPS}),
    "tanh": changed(HIDDEN, network={"activation": "tanh"}, training=MOMENTUM),
    "relu, averaged": changed(HIDDEN, network={"activation": "relu"}, data={"fixed": False, "samples": 11}),
    "relu, averaged, ntk": changed(
        HIDDEN, network={"activation": "relu", "parametrization": "ntk"}, data={"fixed": False}, training=DECAY
    ),
    "erf, averaged": changed(HIDDEN, data={"fixed": False}),
    "entropy": changed(HIDDEN, labels=CLASSES, training={"loss": "cross-entropy", **DECAY}),
    "entropy, relu": changed(
        HIDDEN, labels=CLASSES, network={"activation": "relu"}, training={"loss": "cross-entropy", "learning_rate": 3.0}
    ),
    "lazy": LAZY,
    "lazy, relu": changed(LAZY, network={"activation": "relu"}),
    "lazy, tanh": changed(LAZY, network={"activation": "tanh"}),
    "lazy, both": changed(LAZY, network={"train": "all", "parametrization": "ntk"}, training={"learning_rate": 0.9}),
    "lazy, relu, both": changed(
        LAZY,
        network={"train": "all", "parametrization": "ntk", "activation": "relu"},
        training={"learning_rate": 0.9, "steps": (4, 40)},
    ),
    "lazy, drops": changed(LAZY, training=DROPS),
    "lazy, momentum": changed(LAZY, training=MOMENTUM),
    "lazy, long": changed(LAZY, training={"steps": (1, 60)}),
    "lazy, narrow": changed(LAZY, network={"hidden": (3,)}, training={"steps": (1, 60)}),
    "lazy, no start": changed(LAZY, network={"init_variance": (0.0, 1.0)}),
    "lazy, standard": changed(LAZY, network={"train": "all"}),
    "lazy, unstable": changed(LAZY, training={"learning_rate": 30.0}),
    "lazy, decay": changed(LAZY, training=DECAY),
    "lazy, entropy": changed(LAZY, labels=CLASSES, training={"loss": "cross-entropy"}),
    "lazy, entropy, relu": changed(
        LAZY, labels=CLASSES, network={"activation": "relu"}, training={"loss": "cross-entropy", "learning_rate": 0.3}
    ),
    "lazy, entropy, late": changed(LAZY, labels=CLASSES, training={"loss": "cross-entropy", "steps": 4000}),
    "lazy, entropy, wide start": changed(
        LAZY, labels=CLASSES, network={"init_variance": (1.0, 9.0)}, training={"loss": "cross-entropy"}
    ),
}


def rows_of(setting: Setting) -> np.ndarray | None:
    """Rows of the right number, where a setting fixes them."""
    return 1.5 * array(setting.data.sample_count, len(SPECTRUM)) if setting.data.fixed else None


def said(form: Form, setting: Setting) -> object:
    """What a form predicts, or the first word and the numbers of why it does not."""
    if (reason := form.refusal(setting)) is not None:
        return [reason.split(" ")[0], *numbers(reason)]
    if form.name == SLOW:
        return form.name
    found = outcome(form.predict, setting, rows_of(setting))
    if isinstance(found, Exception):
        return found
    return [found.formula, found.error_budget, [numbers(text) for text in found.neglected], found.readings]


def every_form(setting: Setting) -> list[object]:
    """What all of them say."""
    return [said(form, setting) for form in FORMS]


def taken_apart(setting: Setting) -> object:
    return outcome(partial(decompose, setting, rows=rows_of(setting)))


ROWS: dict[str, Call] = {
    **{f"forms: {name}": partial(every_form, setting) for name, setting in SETTINGS.items()},
    **{
        f"parts: {name}": partial(taken_apart, SETTINGS[name])
        for name in (
            "linear, nesterov and decay",
            "linear, 3 rows",
            "linear, spectrum",
            "drawn, decay",
            "averaged, decay and drops",
            "online, spectrum",
            "online, momentum",
            "epochs",
        )
    },
}
