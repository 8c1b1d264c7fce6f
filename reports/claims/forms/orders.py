"""How the error of an asymptotic form falls: at three sample sizes, and as the learning rate is halved twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import numpy as np

import theory
from reports.findings import Table, number, table_of, text
from reports.judging.verify import fixed_rows
from theory.errors import InvalidInput
from theory.setting import Data, Ensemble, Network, Setting, Training

SAMPLES = (60, 300, 1000)
# The sample sizes of shuffled epochs, smaller ones: the cost of an average over orders grows with the rows.
EPOCH_SAMPLES = (20, 40, 80)
HALVINGS = 3
SPECTRUM = tuple(np.linspace(0.1, 3.0, 8))


@dataclass(frozen=True)
class Approximation:
    """An asymptotic form beside the more accurate one that it approximates, both of linear models.

    Attributes
    ----------
    form, reference : str
        The names of the two forms in the catalogue, without "linear-".
    samples : int or None
        n; None online.
    setting : Setting
        The setting, at the largest learning rate.
    """

    form: str
    reference: str
    samples: int | None
    setting: Setting


def approximations() -> Iterator[Approximation]:
    """Every asymptotic form, at three sample sizes where it has rows."""
    for n in SAMPLES:
        fresh = Training(learning_rate=0.05, batch_size=10, sampling="fresh", steps=40)
        yield Approximation("mini-batch-scalar", "mini-batch", n, _linear_model(n, fresh))
    for n in EPOCH_SAMPLES:
        epochs = Training(learning_rate=0.02, batch_size=n // 10, steps=40)
        yield Approximation("shuffled-ends", "shuffled", n, _linear_model(n, epochs))
    online = Setting(
        data=Data(kind="gaussian", spectrum=SPECTRUM, samples="online"),
        network=Network(init_variance=0.08),
        training=Training(learning_rate=0.04, batch_size=8, sampling="fresh", steps=40),
    )
    yield Approximation("diffusion", "online", None, online)
    yield Approximation("diffusion-additive", "online", None, online)
    for form in ("averaged", "plug-in"):
        for n in SAMPLES:
            redrawn = _linear_model(n, Training(learning_rate=0.1, steps=40), fixed=False)
            yield Approximation(form, "averaged-second-order", n, redrawn)


def _linear_model(samples: int, training: Training, *, fixed: bool = True) -> Setting:
    """Data of dimension 8, small initial weights."""
    return Setting(
        data=Data(kind="gaussian", spectrum=SPECTRUM, samples=samples, fixed=fixed),
        network=Network(init_variance=0.08),
        training=training,
        ensemble=Ensemble(seed=1),
    )


@dataclass(frozen=True)
class FallingErrors:
    """The largest relative error of τ at η, η/2, … with ηt fixed; None where the form refuses."""

    approximation: Approximation
    at_rates: tuple[float | None, ...]

    def percent(self, halvings: int) -> float | None:
        """The error after so many halvings of the learning rate, in per cent."""
        error = self.at_rates[halvings]
        return None if error is None else 100 * error


def falling_errors(approximation: Approximation) -> FallingErrors:
    """Evaluate both forms at every learning rate."""
    return FallingErrors(approximation, tuple(_error(approximation, halvings) for halvings in range(HALVINGS)))


def _error(approximation: Approximation, halvings: int) -> float | None:
    setting = approximation.setting
    training = msgspec.structs.replace(
        setting.training,
        learning_rate=setting.training.learning_rate / 2**halvings,
        steps=setting.training.readings[-1] * 2**halvings,
    )
    halved = msgspec.structs.replace(setting, training=training)
    rows = fixed_rows(halved)
    names = f"linear-{approximation.form}", f"linear-{approximation.reference}"
    try:
        approximate, accurate = (theory.predict(halved, rows=rows, formula=name) for name in names)
    except InvalidInput:
        return None
    return float(np.abs(approximate.readings[-1].tau / accurate.readings[-1].tau - 1).max())


def orders_table() -> Table:
    """Every asymptotic form of linear models against the form it approximates."""
    return table_of(
        "f1-orders",
        "The largest relative error of $\\tau$ of each asymptotic form against the more accurate "
        "one that it approximates, at fixed $\\eta t$, as the learning rate is halved twice. The errors of the "
        "diffusions, of order $\\eta$, halve; those at the ends of shuffled epochs, of order $\\eta^2$, fall to a "
        "quarter; those of the averages over rows fall with $1/n$ alone. That of the diagonal recursion is of order "
        "$\\eta$ too, but small, and does not fall evenly.",
        map(falling_errors, approximations()),
        text("form", lambda row: row.approximation.form, once=True),
        text("against", lambda row: row.approximation.reference, once=True),
        number("$n$", "count", lambda row: row.approximation.samples),
        number(r"at $\eta$", "%", lambda row: row.percent(0), digits=2),
        number(r"at $\eta/2$", "%", lambda row: row.percent(1), digits=2),
        number(r"at $\eta/4$", "%", lambda row: row.percent(2), digits=2),
    )
