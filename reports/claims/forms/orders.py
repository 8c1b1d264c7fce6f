"""How the error of an asymptotic form falls: at three sample sizes, and as the learning rate is halved twice."""

from __future__ import annotations

import msgspec
import numpy as np

import theory
from reports.findings import CONTINUED, Column, Table
from reports.judging.verify import fixed_rows
from theory.errors import InvalidInput
from theory.setting import Data, Ensemble, Network, Setting, Training

SAMPLES = (60, 300, 2000)
HALVINGS = 3
SPECTRUM = tuple(np.linspace(0.1, 3.0, 8))


def base(samples: int, training: Training, *, fixed: bool = True) -> Setting:
    """Linear data of dimension 8, small initial weights."""
    return Setting(
        data=Data(kind="gaussian", spectrum=SPECTRUM, samples=samples, fixed=fixed),
        network=Network(init_variance=0.08),
        training=training,
        ensemble=Ensemble(seed=1),
    )


def comparisons() -> list[tuple[str, str, int | None, Setting]]:
    """Form, the form that it is measured against, n, and the setting at the largest learning rate."""
    found: list[tuple[str, str, int | None, Setting]] = []
    for n in SAMPLES:
        fresh = base(n, Training(learning_rate=0.05, batch_size=10, sampling="fresh", steps=40))
        found.append(("linear-mini-batch-scalar", "linear-mini-batch", n, fresh))
    for n in SAMPLES:
        epochs = base(n, Training(learning_rate=0.02, batch_size=n // 10, steps=40))
        found.append(("linear-shuffled-ends", "linear-shuffled", n, epochs))
    online = Setting(
        data=Data(kind="gaussian", spectrum=SPECTRUM, samples="online"),
        network=Network(init_variance=0.08),
        training=Training(learning_rate=0.04, batch_size=8, sampling="fresh", steps=40),
    )
    found.append(("linear-diffusion", "linear-online", None, online))
    found.append(("linear-diffusion-additive", "linear-online", None, online))
    for form in ("linear-averaged", "linear-plug-in"):
        found += [
            (form, "linear-averaged-second-order", n, base(n, Training(learning_rate=0.1, steps=40), fixed=False))
            for n in SAMPLES
        ]
    return found


def errors(form: str, reference: str, setting: Setting) -> list[float | None]:
    """The largest relative error of τ at η, η/2 and η/4, ηt fixed; None where the form refuses."""
    found: list[float | None] = []
    for halving in range(HALVINGS):
        training = msgspec.structs.replace(
            setting.training,
            learning_rate=setting.training.learning_rate / 2**halving,
            steps=setting.training.readings[-1] * 2**halving,
        )
        halved = msgspec.structs.replace(setting, training=training)
        rows = fixed_rows(halved)
        try:
            approximate, exact = (theory.predict(halved, rows=rows, formula=name) for name in (form, reference))
        except InvalidInput:
            found.append(None)
            continue
        found.append(float(np.abs(approximate.readings[-1].tau / exact.readings[-1].tau - 1).max()))
    return found


def orders_table() -> Table:
    """Every asymptotic form of linear models against the form it approximates."""
    rows, before = [], ""
    for form, reference, n, setting in comparisons():
        name = form.removeprefix("linear-")
        rows.append(
            (
                CONTINUED if name == before else name,
                CONTINUED if name == before else reference.removeprefix("linear-"),
                n,
                *(None if error is None else 100 * error for error in errors(form, reference, setting)),
            )
        )
        before = name
    return Table(
        name="f1-orders",
        caption="The largest relative error of $\\tau$, in per cent, of each asymptotic form against the more accurate "
        "one that it approximates, at fixed $\\eta t$, as the learning rate is halved twice. The diffusions, of order "
        "$\\eta$, halve; the ends of shuffled epochs, of order $\\eta^2$, quarter; the averages over rows fall with "
        "$1/n$ alone. The diagonal recursion is of order $\\eta$ too, but small, and does not fall evenly.",
        columns=(
            Column("form", "text"),
            Column("against", "text"),
            Column("$n$"),
            Column(r"$\eta$", digits=2),
            Column(r"$\eta/2$", digits=2),
            Column(r"$\eta/4$", digits=2),
        ),
        rows=tuple(rows),
    )
