"""The limit of many rows and directions: its parts, and small problems solved by it.

Its tangents are in single precision and its responses come from ill-conditioned systems: what it solves is pinned
less sharply.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from tests.pinning.table import Call, numbers, outcomes
from tests.theory.network.dmft.problems import problem, setting
from tests.theory.pins.arguments import array, moment, positive
from tests.theory.pins.settings import SETTINGS
from theory.network.dmft import average, closure, coarse, form, levels, row
from theory.network.dmft.average import Average
from theory.network.dmft.batches import Batches, Use
from theory.network.dmft.biases import Biases, with_constant
from theory.network.dmft.directions import Directions
from theory.network.dmft.explicit import Explicit
from theory.network.dmft.multipliers import Multipliers
from theory.network.dmft.output_layer import OutputLayer
from theory.network.dmft.problem import Problem, dominant, moved, problem_of
from theory.network.dmft.samples import Samples
from theory.network.dmft.solver import Solution, solve, traced
from theory.network.dmft.tangents import Tangents
from theory.setting import Labels, Training

SPIKED = (0.3, 0.6, 0.9, *(1.0,) * 14, 1.1, 9.0)
SMALL = problem(16, 24, 2, rate=3.0, steps=(0, 1, 3))
KINDS: dict[str, Problem] = {
    "erf": SMALL,
    "relu": problem(16, 24, 2, rate=3.0, steps=(0, 3), activation="relu", momentum=0.4, weight_decay=0.05),
    "tanh, both": problem(16, 24, 2, rate=1.0, steps=3, activation="tanh", train="all", outputs=2),
    "identity, biases": problem(
        16, 24, 2, rate=1.0, steps=3, activation="identity", train="all", bias=True, nesterov=True, momentum=0.3
    ),
    "entropy": problem(16, 24, 2, rate=9.0, steps=3, loss="cross-entropy", batch_size=8, train="all"),
    "signs, fresh batches": replace(
        problem(16, 24, 2, rate=3.0, steps=3, batch_size=6, sampling="fresh"), labels=Labels(kind="rademacher")
    ),
    "drawn": problem(16, 24, 1, rate=3.0, steps=3, batch_size=6, sampling="replacement", drops=((1, 0.5),), bias=True),
    "online": problem(16, "online", 2, rate=3.0, steps=3, batch_size=20, sampling="fresh", train="all", bias=True),
    "classes, explicit": replace(
        problem(19, 24, 2, rate=2.0, steps=3, spectrum=SPIKED),
        explicit=1,
        labels=Labels(kind="classes", classes=3),
        outputs=3,
    ),
}


def generator() -> np.random.Generator:
    return np.random.default_rng(7)


def solved(name: str) -> object:
    found = KINDS[name]
    a = 1.3 * array(found.width, found.outputs, salt=2) + 0.2
    start = 0.9 * array(found.explicit, found.width, salt=5) if found.explicit else None
    return solve(found, a, 3, count=64, seed=2, start=start)


def parts(name: str) -> object:
    """The numbers of a problem, and what is drawn for it."""
    found = KINDS[name]
    weights, starts = average.draws_of(found, 3, 8)
    batches = Batches(found, 12, generator())
    samples = Samples(found, 2, 64, 3)
    m = found.width
    root = moment(2 * m)
    given = np.sqrt(found.eigenvalues[len(found.eigenvalues) - found.explicit :]) * 0.1 * array(m, found.explicit)
    drawn = [samples.draw(root[:m, :m], given), samples.draw(root[m:, : 2 * m], given)]
    multipliers = Multipliers(found, 5, generator())
    return [
        found.eigenvalues,
        found.multiplicity,
        found.samples,
        found.batch,
        found.s0,
        found.sa,
        found.scale,
        found.effective_dimension,
        found.largest_share,
        found.bulk,
        average.rows_needed(found, 9),
        average.rounds(found),
        weights,
        starts,
        average.longest(found),
        average.controls(found, weights),
        average.features_help(found),
        average.felt_outputs(found),
        average.explicit_controls(found, weights, starts) if found.explicit else None,
        [batches.use(step) for step in range(5)],
        samples.targets,
        drawn,
        samples.correlation(array(64, m)),
        samples.known(),
        [multipliers.next(), multipliers.next()],
        traced(found),
        form.cost(found),
        form.cost(found, 4),
        form.stepping(found),
    ]


def moving(name: str) -> object:
    """Directions, explicit weights, biases and the output layer, moved twice by forces that are given."""
    found = KINDS[name]
    m, c = found.width, found.outputs
    directions = Directions(with_constant(found), 2)
    explicit = Explicit(replace(found, explicit=2), 2, array(2, m))
    biases, output = Biases(found), OutputLayer(found, array(m, c, salt=1), 6)
    seen = []
    for step in range(2):
        response = array(m, (step + 1) * m, salt=step).reshape(m, step + 1, m)
        use, forces = Use(positive(6, salt=step), positive(6, salt=step + 3)), array(6, m, salt=step + 4)
        rows = row.passed(
            found.activation,
            found.training.loss,
            array(6, m, salt=step),
            array(6, c, salt=2) if found.training.loss == "mse" else np.eye(c)[np.arange(6) % c],
            output.weights,
            found.scale,
        )
        tangents = row.mean_jacobian(rows, positive(6))
        seen += [
            directions.remembered(),
            directions.written(moment(step * m) if step else np.zeros((0, 0))),
            directions.memory(),
            explicit.covariance(),
            explicit.weights,
            biases.values,
            output.weights,
            rows,
            rows.force,
            tangents,
        ]
        seen += [
            explicit.remembered(directions.propagator[step, :2]),
            explicit.amplitude(directions.propagator[: step + 1, :2]) if step else None,
        ]
        directions.advance(response)
        explicit.advance(response, array(6, 2, salt=3), forces, array(6, salt=9))
        biases.advance(step, forces, 0.5 * forces[::-1], array(6, salt=8))
        output.advance(step, rows, use, array(6, salt=7))
    return [
        *seen,
        directions.remembered(),
        explicit.covariance(),
        biases.values,
        output.weights,
        directions.of_rows(array(len(directions.problem.eigenvalues), 2)),
    ]


def followed() -> object:
    found = Tangents(5, 3, 2, generator())
    given = [array(6, 2, 3, salt=9), array(2, 3)]
    return [
        found.advance(
            step,
            array(2, 2 * step, salt=step),
            row.passed(
                "tanh", "cross-entropy", array(6, 2, salt=step), np.eye(3)[np.arange(6) % 3], given[step % 2], 0.7
            ),
            Use(positive(6), positive(6, salt=2)),
        )
        for step in range(3)
    ]


def runs(count: int) -> list[Solution]:
    return [
        Solution(positive(4, 2, salt=k), array(4, 2, salt=k), array(3), array(4, 2, salt=k + 1)) for k in range(count)
    ]


def averages() -> object:
    features = array(9, 2)
    every = average.averaged(runs(9), features, (0, 2, 3))
    whole = [replace(run, stepping=run.written / 9) for run in runs(9)]
    return [
        every,
        average.averaged(whole, features, (1, 3), adjusted=False),
        every.tau,
        average.mean_of(runs(1)),
        average.mean_of([replace(run, stepping=run.tau) for run in runs(3)]),
        runs(1)[0].tau,
        average.average(problem(16, 24, 1, rate=2.0, steps=(0, 1)), (0, 1), seed=1, count=16),
    ]


def said() -> object:
    """The budget and the words of an average that is given."""
    found = Average(positive(2, 3), positive(2, 3, salt=1), positive(2, 3, salt=2) / 99, 32, array(2, 3), None)
    three, few = (
        replace(SMALL, eigenvalues=np.array([0.5, 1.0, 1.5]), multiplicity=np.array([5, 5, 5])),
        replace(SMALL, samples=3, eigenvalues=np.array([0.5, 1.0, 1.5]), multiplicity=np.array([50, 50, 50])),
    )
    return [
        [form.error_budget(p, f), numbers(form.accuracy(p, f))]
        for p in (three, few, replace(three, explicit=1))
        for f in (found, replace(found, stepping=positive(2, 3, salt=3) / 50))
    ]


def refusals() -> object:
    words = []
    for keys in (
        {},
        {"n": 15},
        {"n": 14},
        {"n": 400},
        {"n": 240},
        {"n": 239},
        {"train": "all", "m": 5, "n": 20},
        {"train": "all", "m": 5, "n": 19},
        {"steps": 1500},
        {"steps": 3000, "m": 9},
        {"steps": 40000},
        {"optimizer": "adam"},
        {"l1": 0.1},
        {"init_variance": (0.0, 1.0)},
        {"hidden": (3, 3)},
        {"spectrum": SPIKED},
        {"spectrum": (*SPIKED, 20.0)},
        {"d": 14},
        {"spectrum": (1.0,) * 15},
        {"spectrum": (1.0,) * 14},
        {"steps": 900, "batch_size": 20, "sampling": "fresh"},
        {"steps": 900, "batch_size": 20},
        {"steps": 900, "train": "all"},
        {"activation": "identity", "bias": True},
    ):
        found = setting(**{"d": 20, "n": 80, **keys})
        reason = form.refusal(found)
        words.append(
            [
                reason and reason.split(" ")[0],
                numbers(reason),
                form.stepping(problem_of(found)) if len(found.network.widths) == 1 else None,
            ]
        )
    return words


ROWS: dict[str, Call] = {
    **{f"solved, {name}": partial(solved, name) for name in KINDS},
    **{f"drawn for {name}": partial(parts, name) for name in KINDS},
    **{f"moved, {name}": partial(moving, name) for name in KINDS},
    "tangents": followed,
    "averages of runs": averages,
    "budgets of the limit": said,
    "refusals of the limit": refusals,
    "rows": lambda: [
        *(row.activated(name, array(5, 2)) for name in ("relu", "erf", "tanh", "identity")),
        row.activated("relu", np.zeros((2, 1))),
        row.residual("mse", array(3, 2), array(3, 2, salt=1)),
        row.residual("cross-entropy", 9 * array(3, 2), np.eye(2)[[0, 1, 1]]),
        closure.stein_residual(array(2, 4), array(2, 4, salt=1), moment(4)),
        closure.corrected(array(2, 4), array(2, 4, salt=1), moment(4)),
        closure.corrected(array(2, 4), array(2, 4, salt=1), moment(4), 0.3),
    ],
    "levels": lambda: [
        levels.levels_of(positive(5), np.array([1, 2, 1, 3, 1]), 5),
        levels.levels_of(np.sort(positive(9)), np.array([1, 2, 1, 3, 1, 1, 2, 1, 4]), 3),
        levels.with_explicit(
            levels.levels_of(np.array([0.5, 1.0]), np.array([3, 2]), 4), np.array([4.0, 9.0]), np.array([2, 1])
        ),
        *(
            dominant(np.array(s), np.array(m))
            for s, m in (
                ([1.0, 2.0, 9.0], [9, 3, 1]),
                ([1.0, 5.0], [5, 7]),
                ([1.0, 9.0], [5, 6]),
                ([1.0], [3]),
                ([1.0, 1.2], [22, 3]),
                ([1.0, 3.0], [22, 1]),
            )
        ),
        *outcomes(
            lambda name: [
                getattr(problem_of(SETTINGS[name]), key)
                for key in ("s0", "sa", "scale", "samples", "batch", "both", "outputs")
            ],
            "erf, averaged",
            "relu, averaged, ntk",
        ),
        [
            moved(t, 4, array(2), array(2, salt=1), array(2, salt=2))
            for t in (
                Training(learning_rate=0.3, momentum=0.4, drops=((4, 0.5),)),
                Training(momentum=0.4, nesterov=True, weight_decay=0.1),
            )
        ],
    ],
    "coarse": lambda: [
        *(coarse.updates_of(n, by) for n, by in ((9, 3), (10, 3), (1, 4), (0, 2))),
        *(
            [found.training.learning_rate, found.training.momentum, found.training.drops, found.samples, found.batch]
            for name in ("erf", "relu", "identity, biases", "drawn", "online", "signs, fresh batches", "entropy")
            for by in (1, 3)
            for found in (coarse.coarsened(KINDS[name], by),)
        ),
        coarse.coarsened(problem(steps=9, drops=((2, 0.5), (6, 0.1))), 4).training.drops,
        coarse.extrapolated(
            lambda p, n: Solution(
                *(positive(n + 1, 2, salt=k) * p.training.learning_rate for k in range(2)), np.zeros(0), array(n + 1, 2)
            ),
            SMALL,
            11,
            3,
        ),
    ],
}
LOOSE = {
    **{f"solved, {name}": 1e-4 for name in KINDS},
    "tangents": 1e-5,
    "averages of runs": 1e-4,
}
