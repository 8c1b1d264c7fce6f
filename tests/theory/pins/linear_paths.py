"""Parts of the linear forms: propagators, contours, averages, limits, maps and orders."""

from __future__ import annotations

from functools import partial

import msgspec
import numpy as np

from tests.pinning.table import Call, outcome, outcomes
from tests.theory.pins.arguments import array, moment, positive
from tests.theory.pins.settings import AVERAGED, LINEAR, ONLINE, SETTINGS, changed, rows_of
from theory.linear import (
    averaged,
    averaged_batches,
    averaged_limits,
    equivalent,
    flow,
    full_batch,
    mean_square,
    mini_batch,
    mini_batch_scalar,
    online,
    population,
    propagators,
    shuffled,
    shuffled_ends,
    stationary,
)
from theory.linear.eigenbasis import in_eigenbasis
from theory.linear.hypotheses import init_variances, label_variance
from theory.linear.online_shape import leading_shape, predicted_online_shapes
from theory.setting import Labels, Training

S = np.array([0.0, 0.4, 1.1, 1.1, 2.3])
P = np.array([0.3, 0.1, 0.7, 0.2, 0.5])
COMPLEX = np.array([0.3 + 0.2j, -1.0 + 0.1j, 4.0 + 3e-9j, 1e-7 + 1e-7j])
PLAIN = Training(learning_rate=0.3, steps=(0, 1, 2, 9))
MOMENTUM = Training(
    learning_rate=0.2, momentum=0.6, drops=((0, 0.9), (3, 0.5), (9, 2.0)), steps=(0, 3, 12), weight_decay=0.1
)
NESTEROV = Training(learning_rate=0.2, momentum=0.6, nesterov=True, steps=(1, 8))
TRAININGS = (PLAIN, MOMENTUM, NESTEROV)
ONE = {"batch_size": 3, "sigma_y2": 1.7}


def basis(name: str) -> object:
    found = in_eigenbasis(SETTINGS[name], rows_of(SETTINGS[name]))
    path = list(found.full_batch_path(2, 9, 3))
    return [
        found.s,
        found.sigma,
        np.diag(found.initial),
        found.sigma_y2,
        found.samples,
        found.reached,
        found.h,
        found.full_batch((0, 3)),
        path,
        found.averaged(array(2, 4)),
    ]


def long_path() -> object:
    """Across the thousand at which a path is computed in parts."""
    found = in_eigenbasis(LINEAR, rows_of(LINEAR))
    path = np.array(list(found.full_batch_path(3, 2060)))
    return [
        len(path),
        path[[0, 1, 5, 1022]],
        np.array(list(found.full_batch_path(0, 1030, 1))).shape,
        np.log(path[1023:1026, 0, 1]),
    ]


def maps(name: str) -> object:
    setting = SETTINGS[name]
    found = in_eigenbasis(setting, rows_of(setting))
    step = mean_square.mean_square_map(found, 1)
    blocks, r = len(step.gamma), len(step.s)
    z = np.multiply.outer(moment(blocks) if blocks > 1 else np.eye(1), moment(r))
    resolvent = mean_square.Resolvent(step)
    v = mean_square.contracting_matrices(resolvent, 3)
    return [
        step(z),
        step.kicked(moment(r), 0.7),
        resolvent(z),
        len(v),
        v,
        mean_square.growth(step, v[0]),
        mean_square.size_in(v[1], z),
        mean_square.mean_growth(v[0]),
        mean_square.flattened(z),
    ]


def settled(name: str) -> object:
    setting = SETTINGS[name]
    found = stationary.stationary_state(setting, rows_of(setting))
    return [found.second_moment, found.noise, stationary.remainder(found), len(found.contracting)]


def ends(name: str) -> object:
    setting = SETTINGS[name]
    found = in_eigenbasis(setting, rows_of(setting))
    values, _, _ = shuffled_ends.modified_descent(found)
    return (
        [np.diagonal(shuffled_ends.epoch_end_moments(found, noise=noise), axis1=1, axis2=2) for noise in (True, False)],
        values,
        shuffled_ends.bridge_noise(found, 3),
    )


def orders(name: str) -> object:
    setting = SETTINGS[name]
    found = in_eigenbasis(setting, rows_of(setting))
    drawn = shuffled.draw_order_pairs(setting, np.random.Generator(np.random.PCG64(3)), 3)
    by_two, each = shuffled.average_over(found, drawn, block=2), shuffled.average_over(found, drawn)
    return [
        shuffled.number_of_pairs(found),
        drawn,
        by_two.tau,
        by_two.relative_error,
        each.tau.mean(axis=0),
        by_two.second_moments[-1],
        shuffled.average_over(found, drawn, block=6).relative_error,
        *outcomes(lambda k: shuffled.average_over(found, drawn, block=k).tau.shape, 3, 4),
        outcome(shuffled.average_over, found, drawn[:, :3]),
        outcome(shuffled.average_over, found, drawn[:0]),
    ]


def function(z: np.ndarray) -> np.ndarray:
    return np.stack([np.exp(-z), z * np.exp(-0.5 * z)])


def contour() -> object:
    path = next(iter(equivalent.contours(S, 9, 0.3)))
    return [
        path.z.real,
        path.z.imag,
        path.m.real,
        path.m.imag,
        path.weight.imag,
        [part.real for part in equivalent.resolvent(path, S, 9, np.array([0.0, 1.1]))],
    ]


LOOSE = {"small flows": 0.001}  # where curves are flat
ROWS: dict[str, Call] = {
    "propagators": lambda: [
        *(
            [
                propagators.propagators(t, S, t.readings),
                propagators.propagators(t, COMPLEX, (3,))[0].imag,
                propagators.stability_limit(t),
                propagators.update(t, S, 4),
            ]
            for t in TRAININGS
        ),
        *(
            propagators.constant_rate_propagator(t, np.array([0.0, 0.4, 2.0, 5.0, 9.0, 12.0]), n)
            for t in (PLAIN, NESTEROV, msgspec.structs.replace(NESTEROV, nesterov=False))
            for n in (0, 1, 2, 3, 17)
        ),
        propagators.constant_rate_propagator(
            msgspec.structs.replace(NESTEROV, nesterov=False),
            np.array([(1 - 0.6**0.5) ** 2 / 0.2, (1 + 0.6**0.5) ** 2 / 0.2]),
            6,
        ),
        [
            list(propagators.constant_stretches(MOMENTUM, a, b))
            for a, b in ((0, 12), (3, 9), (2, 3), (3, 4), (4, 4), (9, 20))
        ],
        *outcomes(lambda x: propagators.propagators(PLAIN, S, x)[0], (0,), (-1,), (1, 1), (2, 1)),
        outcome(propagators.constant_rate_propagator, MOMENTUM, S, 3),
        *outcomes(lambda n: propagators.constant_rate_propagator(PLAIN, S, n), 0, -1),
    ],
    "flows": lambda: [
        *(flow.flow_time(t, n) for t in TRAININGS for n in (0, 1, 3, 4, 12)),
        *outcomes(lambda n: flow.flow_time(PLAIN, n), 0, -1),
        flow.flow_propagators(0.7, S),
        *(part.real + part.imag for part in flow.flow_propagators(0.7, COMPLEX)),
        *(part.imag * 1e5 for part in flow.flow_propagators(1.0, np.array([1.3e-5j, 0.9e-5j, 1e-6j]))),
        flow.flow_variances(0.7, S, samples=9, sigma_y2=1.7, initial=0.2, decay=0.3),
        flow.flow_variances(1e200, np.array([0.0, 1e-200]), samples=9, sigma_y2=1.7, initial=0.2),
    ],
    "small flows": lambda: [(flow.flow_propagators(1.0, np.array([0.9e-5j, 0.7e-5 + 0.5e-5j]))[1] - 1).real * 1e10],
    "equivalents": lambda: [
        *(equivalent.upper_edge(s, n) for s in (S, S[1:2], np.ones(7)) for n in (3, 9, 400)),
        *([m.real, m.imag] for m in (equivalent.companion(COMPLEX + 0.1j, S, n) for n in (3, 9))),
        equivalent.companion(COMPLEX + 0.1j, S, 9, np.full(4, -1.0 + 1j)).imag,
        equivalent.deterministic_equivalent(function, S, 9, margin=0.4),
        equivalent.deterministic_equivalent(function, S[1:], 3, margin=0.1),
        contour(),
        [
            equivalent.settled(np.ones((2, 3)), np.array([[1.0, 1.0, 1.0], [1.0, 1.0, x]]), 0.1)
            for x in (1.1, 1.12, 0.9)
        ],
        [
            equivalent.settled(a, a + np.array([[0.0, 0.0], [0.0, 0.05]]), x)
            for a in (np.array([[90.0, 90.0], [1.0, 1.0]]),)
            for x in (0.01, 0.1)
        ],
        outcome(lambda: equivalent.deterministic_equivalent(lambda z: np.stack([np.exp(800 * z)]), S, 9, margin=0.4)),
        [len(path.z) for path, _ in zip(equivalent.contours(S, 9, 0.3), range(3), strict=False)],
        [len(path.z) for path, _ in zip(equivalent.contours(S, 9, 0.3, 100), range(3), strict=False)],
    ],
    "averages": lambda: [
        *(
            averaged.averaged_variances(
                msgspec.structs.replace(t, learning_rate=0.1), S, samples=30, sigma_y2=1.7, initial=0.2
            )
            for t in TRAININGS
        ),
        averaged.contour_margin(PLAIN, 3.0),
        averaged.given_rows(PLAIN, 9, 1.7, 0.2, S),
        averaged.parameter(AVERAGED, np.array([[1.0, 2.0]]), np.array([[0.1, 0.0]])),
        *outcomes(lambda x: averaged.parameter(AVERAGED, np.ones((1, 1)), np.full((1, 1), x)), 0.5, -0.5001, 0.0),
        averaged_batches.mini_batch_variances(
            msgspec.structs.replace(MOMENTUM, momentum=0.0),
            S,
            samples=30,
            sigma_y2=1.7,
            initial=0.2,
            kappa=4.0,
            gaussian_term=True,
        ),
        averaged_batches.mini_batch_variances(
            PLAIN, S, samples=4, sigma_y2=1.7, initial=0.2, kappa=0.5, gaussian_term=False
        ),
        *(
            averaged_batches.noise_strength(SETTINGS[name])
            for name in ("averaged, drawn", "averaged, drawn, decay and drops")
        ),
        [
            averaged_batches.refusal(
                changed(AVERAGED, training={"batch_size": 2, "sampling": "replacement", "learning_rate": x})
            )
            is None
            for x in (0.2040816, 0.2040817)
        ],
    ],
    "limits of averages": lambda: [
        *(averaged_limits.effective_decay(S, n, x) for n in (3, 4, 9) for x in (0.0, 0.3, 1e-9)),
        *outcomes(lambda x: averaged_limits.effective_decay(S, 3, x), 0.0, -1e-9),
        averaged_limits.effective_decay(np.zeros(2), 1, 0.2),
        *outcomes(lambda n: averaged_limits.least_squares(S, n, 1.7), 6, 4),
        *outcomes(lambda n: averaged_limits.least_norm(S, n, 1.7, 0.2), 3, 4),
        *outcomes(lambda x: averaged_limits.ridge(S, 3, 1.7, x), 0.3, 0.0),
        averaged_limits.ridge(S, 9, 1.7, 0.3),
        outcome(lambda: np.isinf(averaged_limits.least_squares(S, 5, 1.7)).tolist()),
    ],
    "online": lambda: [
        *(online.variances(t, S, P, k4=1.2, **ONE) for t in TRAININGS),
        *(online.response(t, np.array([0.0, 0.4, 2.0, 6.6, 6.7, 30.0])) for t in TRAININGS),
        *(online.feedback(t, S, batch_size=3, k4=1.2) for t in TRAININGS),
        online.feedback(PLAIN, 9 * S, batch_size=3),
        online.feedback(PLAIN, 2 * S, batch_size=1, k4=1.2),
        *(online.stationary(msgspec.structs.replace(t, learning_rate=0.1), S, k4=1.2, **ONE) for t in TRAININGS),
        outcome(lambda: online.stationary(PLAIN, 3 * S, **ONE)),
        *(online.mean_square_limit(t, S, batch_size=2, k4=1.2) for t in TRAININGS),
        *(
            online.fresh_updates(SETTINGS[name])
            for name in (
                "online",
                "averaged",
                "averaged, first epoch",
                "averaged, drawn",
                "averaged, two drawn",
                "averaged, one row",
            )
        ),
        *outcomes(
            lambda name: predicted_online_shapes(SETTINGS[name]),
            "online",
            "online, decay",
            "online, spectrum",
            "online, momentum",
            "sphere",
            "student 4",
            "online, ntk",
            "averaged, one update",
        ),
        predicted_online_shapes(changed(ONLINE, network={"init_variance": 0.05}, training={"steps": (0, 2, 60)})),
        *(leading_shape(x, 0.1, 1.7, 3) for x in (0.02833, 0.1 * 1.7 / 6, 0.02834)),
    ],
    "hypotheses": lambda: [
        *(label_variance(labels) for labels in (Labels(variance=1.7), Labels(kind="classes", classes=7))),
        init_variances(LINEAR, 3),
        init_variances(changed(LINEAR, network={"parametrization": "ntk"}), 3),
        init_variances(SETTINGS["linear, spectrum"], 4),
        outcome(init_variances, SETTINGS["linear, spectrum"], 3),
        *outcomes(
            lambda name: population.fourth_moment_ratio(SETTINGS[name].data),
            "online",
            "student 4",
            "student 4.5",
            "sphere",
            "two points",
        ),
        population.spaces(np.array([2.0, 0.5, 2.0, 1.0, 0.5])),
        population.spaces(np.array([1.0, 1 + 4.2e-14, 1.0 + 9e-14])),
        population.population_spectrum(SETTINGS["online, ntk"]),
        full_batch.tau(LINEAR, S, 9, 4),
        full_batch.tau(SETTINGS["linear, ntk"], S, 9, 4),
        outcome(full_batch.tau, SETTINGS["linear, spectrum"], S, 9, 4),
        *outcomes(lambda x: full_batch.tau(LINEAR, np.array([x]), 9, 4), 0.0, -1e-9),
        *(
            mini_batch.batch_variance(SETTINGS[name])
            for name in ("drawn", "drawn, fresh", "drawn, one row", "linear", "epochs")
        ),
        mini_batch.batch_variance(
            changed(LINEAR, data={"samples": 1}, training={"batch_size": 1, "sampling": "fresh"})
        ),
        *(mini_batch.gradient_response(t, 4) for t in TRAININGS),
        mini_batch.batch_noise(array(5, 3), positive(3), moment(3), 0.7),
        *(
            [
                mini_batch_scalar.gaussian_term(changed(LINEAR, data={"samples": n}), d)
                for n, d in ((8, 4), (9, 4), (9, 5))
            ]
        ),
        mini_batch_scalar.heaviness(in_eigenbasis(LINEAR, rows_of(LINEAR))),
        mini_batch_scalar.heaviness(in_eigenbasis(LINEAR, np.zeros((9, 4)))),
    ],
    **{
        f"eigenbasis of {name}": partial(basis, name)
        for name in ("linear, spectrum", "linear, 3 rows", "drawn, ntk", "settled, decay")
    },
    "long paths": long_path,
    **{f"maps of {name}": partial(maps, name) for name in ("drawn", "drawn, nesterov and drops", "drawn, 3 rows")},
    **{
        f"settled state of {name}": partial(settled, name)
        for name in ("settled", "settled, 3 rows", "settled, momentum", "settled, decay")
    },
    **{f"epoch ends of {name}": partial(ends, name) for name in ("epochs", "epochs, decay", "epochs, 8 rows of 4")},
    **{
        f"orders of {name}": partial(orders, name)
        for name in ("epochs, momentum and drops", "epochs, 2 of 9", "epochs, 3 rows of 1, spectrum and decay")
    },
}
