"""`python -m tests.calibration.false_refutations` counts how often `verify` refutes exact forms, which all are right.

With names of cases behind it, such as `network-first-step`, it counts those alone.

One ensemble of each small setting is cut into runs of R consecutive replicas, which are summed in blocks and judged by
`compare`, as `verify` does. In hundreds of dimensions the τ of the blocks are drawn from the law that they have for
Gaussian weights, and judged by the same test and rule. The largest R show that the forms can hold.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from unittest import mock

import msgspec
import numpy as np
from scipy.stats import binom

import simulate
from reports.judging import sufficient
from reports.judging.compare import compare
from reports.judging.estimate import estimate
from reports.judging.rules import LEVEL, Ruling, exact_verdict
from reports.judging.verify import predict
from simulate.moments import block_count
from simulate.results import SimulatedReading, Simulation
from tests.calibration.study import FALSE_ALARM
from tests.calibration.verdicts import AVERAGED, FIXED, HEAVY, HIDDEN, LINEAR, blocks, equal
from theory.prediction import Prediction
from theory.setting import Labels, Network, Setting, Training
from theory.testing import variances_test

REPLICAS = (2, 3, 5, 10, 30, 100)
MORE = (1000, 50_000)  # the sharp test speaks from 1,000 on, and most forms hold with 50,000
MANY = (1000, 20_000, 200_000)  # the same in hundreds of dimensions
RUNS = 1000
VERDICTS: tuple[Ruling, ...] = ("refuted", "undecided", "holds")
HEAD = f"| {' | '.join(('exact form', 'replicas', 'runs', *VERDICTS))} |\n|{'---|' * 6}"
PORTION = 4096  # replicas that are trained at once


@dataclass(frozen=True)
class Case:
    """A setting in which an exact form is true; `note` tells it from others of the same form."""

    form: str
    setting: Setting
    note: str = ""

    @property
    def name(self) -> str:
        return f"{self.form}, {self.note}" if self.note else self.form


CASES = (
    Case("linear-full-batch", msgspec.structs.replace(FIXED, labels=Labels()), "Gaussian labels"),
    Case("linear-full-batch", FIXED, "signs"),
    Case(
        "linear-mini-batch",
        msgspec.structs.replace(
            FIXED, training=Training(learning_rate=0.1, batch_size=3, sampling="replacement", steps=8)
        ),
    ),
    Case("linear-online", LINEAR),
    Case("linear-online", HEAVY, "η = .6"),
    Case(
        "two-layer-first-step",
        msgspec.structs.replace(HIDDEN, network=Network(kind="mlp", hidden=(8,), activation="identity")),
    ),
    Case("network-first-step", HIDDEN),
    Case("network-first-step-averaged", msgspec.structs.replace(HIDDEN, data=AVERAGED.data)),
)
BY_NAME = {case.name: case for case in CASES}
LARGE = (784, 1024)


@cache
def prediction(case: Case) -> Prediction:
    return predict(case.setting, formula=case.form)


def trained(setting: Setting, replicas: int) -> np.ndarray:
    """The first-layer weights (N, m, d) of replicas 0, 1, … after the last step."""
    portions = (list(range(first, min(first + PORTION, replicas))) for first in range(0, replicas, PORTION))
    step = setting.training.readings[-1]
    return np.concatenate(
        [simulate.train(setting, simulate.replica_inputs(setting, these))[step][0].double() for these in portions]
    )


def ensemble(one: Simulation, w: np.ndarray) -> Simulation:
    """What `simulate.run` returns of replicas with these weights (R, m, d); `one` is any ensemble of the setting."""
    replicas, m, d = w.shape
    count = min(block_count(d), replicas)
    if count == replicas:
        moments, means = w.transpose(0, 2, 1) @ w / m, w.mean(axis=1)
    else:
        rows = [w[block::count].reshape(-1, d) for block in range(count)]
        moments = np.stack([block.T @ block / len(block) for block in rows])
        means = np.stack([block.mean(axis=0) for block in rows])
    counts = np.bincount(np.arange(replicas) % count)
    reading = SimulatedReading(one.setting.training.readings[-1], counts, moments, means, np.zeros(count))
    return replace(one, replicas=replicas, readings=(reading,))


def rulings(case: Case, w: np.ndarray, replicas: int) -> Iterator[Ruling]:
    """The verdicts on runs of so many replicas each, as many as these weights are enough for."""
    one = simulate.run(case.setting, replicas=2)
    # the search for how many replicas would decide takes ten times as long as the verdict, which it follows
    with mock.patch.object(sufficient, "exact_reason", return_value=""):
        for first in range(0, len(w) - replicas + 1, replicas):
            simulation = ensemble(one, w[first : first + replicas])
            known = estimate(simulation, tested=False)
            yield compare(prediction(case), simulation, estimates=known).comparison[-1].verdict


def drawn_rulings(dimension: int, replicas: int, runs: int) -> Iterator[Ruling]:
    """The verdicts on τ of Gaussian weights in many dimensions, whose block means are drawn from their law."""
    rng = np.random.default_rng([dimension, replicas])
    for _ in range(runs):
        values, counts = blocks(rng, dimension, replicas, equal, block_count(dimension))
        test = variances_test(np.ones(dimension), values, counts=counts)
        yield exact_verdict(test.pvalue, test.detectable if np.isfinite(test.detectable) else None, 0)


def counted(runs: int = RUNS, names: Sequence[str] = ()) -> Iterator[tuple[str, int, Counter[Ruling]]]:
    """Setting, replicas and how often each verdict was given, in `runs` ensembles; fewer where R is in `MORE`.

    `names` are those of the cases that are counted; all, and τ in many dimensions, if there are none.
    """
    for case in CASES if not names else (BY_NAME[name] for name in names):
        w = trained(case.setting, runs * max(REPLICAS))
        for replicas in (*REPLICAS, *MORE):
            yield case.name, replicas, Counter(rulings(case, w[: runs * replicas], replicas))
    for dimension in LARGE if not names else ():
        for replicas in (*REPLICAS, *MANY):
            yield f"τ in {dimension:,} dimensions, drawn", replicas, Counter(drawn_rulings(dimension, replicas, runs))


def kept(found: Counter[Ruling]) -> bool:
    """Whether so many refutations are what a test at the declared level would give, up to one chance in a million."""
    return bool(binom.sf(found["refuted"] - 1, found.total(), LEVEL) > FALSE_ALARM)


def line(name: str, replicas: int, found: Counter[Ruling]) -> str:
    """A row of the guide's table."""
    cells = (name, f"{replicas:,}", f"{found.total():,}", *(f"{found[ruling]:,}" for ruling in VERDICTS))
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print(HEAD)
    for row in counted(names=sys.argv[1:]):
        print(line(*row), flush=True)
