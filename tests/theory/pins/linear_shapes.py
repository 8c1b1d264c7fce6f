"""Parts of the linear forms: shapes and where they turn, panels, phases, moments, two layers."""

from __future__ import annotations

import msgspec
import numpy as np

from tests.pinning.table import Call, outcome, outcomes
from tests.theory.pins.arguments import array, moment
from tests.theory.pins.settings import ONLINE, SETTINGS, TWO_LAYERS, changed, rows_of
from theory.linear import (
    diffusion,
    online_fourth,
    paper_panels,
    phase_diagram,
    shape,
    shuffled_ends,
    two_layer,
    two_layer_converged,
    two_layer_early,
    wishart,
)
from theory.linear.description import describe
from theory.linear.eigenbasis import in_eigenbasis
from theory.setting import Labels, Training

S = np.array([0.0, 0.4, 1.1, 1.1, 2.3])
P = np.array([0.3, 0.1, 0.7, 0.2, 0.5])
PLAIN = Training(learning_rate=0.3, steps=(0, 1, 2, 9))
MOMENTUM = Training(
    learning_rate=0.2, momentum=0.6, drops=((0, 0.9), (3, 0.5), (9, 2.0)), steps=(0, 3, 12), weight_decay=0.1
)
NESTEROV = Training(learning_rate=0.2, momentum=0.6, nesterov=True, steps=(1, 8))
TRAININGS = (PLAIN, MOMENTUM, NESTEROV)
ONE = {"batch_size": 3, "sigma_y2": 1.7}
RATIOS = online_fourth.Ratios(1.2, 1.7, 3.1)


def described(name: str, **tables: dict[str, object]) -> object:
    setting = changed(SETTINGS[name], **tables)
    return outcome(
        lambda: [describe(setting, rows_of(setting)), [each.words for each in describe(setting, rows_of(setting))]]
    )


def shaped(name: str, **tables: dict[str, object]) -> object:
    setting = changed(SETTINGS[name], **tables)
    return outcome(shape.predicted_shape, setting, rows_of(setting))


def ends(name: str) -> object:
    setting = SETTINGS[name]
    found = in_eigenbasis(setting, rows_of(setting))
    values, _, _ = shuffled_ends.modified_descent(found)
    return (
        [np.diagonal(shuffled_ends.epoch_end_moments(found, noise=noise), axis1=1, axis2=2) for noise in (True, False)],
        values,
        shuffled_ends.bridge_noise(found, 3),
    )


def fourth(training: Training, **keys: object) -> object:
    return outcome(lambda: online_fourth.fourth_moments(training, S, P, batch_size=3, sigma_y2=1.7, y4=7.0, **keys))


def panels(found: tuple[paper_panels.PanelCriterion, ...]) -> list[object]:
    return [
        [
            each.panel.name,
            each.reading,
            each.c,
            each.lowest,
            each.highest,
            each.peak,
            each.shape,
            each.sigma_star,
            each.agrees,
        ]
        for each in found
    ]


SETTLING = msgspec.structs.replace(PLAIN, weight_decay=0.3)
LOOSE = {"descriptions": 1e-06, "turns": 1e-06}  # where curves turn they are flat
ROWS: dict[str, Call] = {
    "fourth moments": lambda: [
        fourth(msgspec.structs.replace(PLAIN, weight_decay=0.2)),
        fourth(PLAIN, ratios=RATIOS),
        fourth(MOMENTUM),
        online_fourth.fourth_moments(PLAIN, S, P, batch_size=1, sigma_y2=1.7, y4=7.0, ratios=RATIOS),
        online_fourth.fourth_growth(SETTLING, 2 * S[2:], batch_size=2, ratios=RATIOS),
        online_fourth.fourth_limit(SETTLING, S[:2], batch_size=2, ratios=RATIOS),
        online_fourth.fourth_limit(PLAIN, S[3:4], batch_size=2),
        outcome(lambda: online_fourth.fourth_growth(MOMENTUM, S, batch_size=2)),
        online_fourth.fourth_growth(Training(learning_rate=1.0), np.zeros(2), batch_size=2),
        *(
            online_fourth.moment_ratios(SETTINGS[name].data)
            for name in ("online", "student 4.5", "student 7", "student 12", "sphere", "two points")
        ),
        *(
            online_fourth.label_fourth(labels)
            for labels in (
                Labels(variance=1.7),
                Labels(kind="rademacher", variance=1.7),
                Labels(kind="classes", classes=4),
            )
        ),
    ],
    "diffusion": lambda: [
        *(
            diffusion.diffusion_variances(
                msgspec.structs.replace(t, momentum=0.0, nesterov=False), S, P, k4=1.2, state_dependent=d, **ONE
            )
            for t in TRAININGS
            for d in (True, False)
        ),
        diffusion.stationary_additive(0.1, S, decay=0.3, **ONE),
        diffusion.stationary_state_dependent(0.1, S, decay=0.3, k4=1.2, **ONE),
        diffusion.stationary_state_dependent(0.1, S, **ONE),
        *(
            [
                diffusion.refusal(changed(ONLINE, training=keys)) is None
                for keys in (
                    {"learning_rate": 0.2173},
                    {"learning_rate": 0.2174},
                    {"learning_rate": 0.1, "weight_decay": 2.69},
                    {"learning_rate": 0.1, "weight_decay": 2.71},
                )
            ]
        ),
    ],
    "peaks and shapes": lambda: [
        *outcomes(shape.flow_peak, 0.0, 0.2, 0.4999999, 0.5, 2.0, -1e-9),
        *(
            shape.flow_shape(c, *ends)
            for c, ends in ((0.1, (0.2, 0.9)), (0.1, (1.2, 1.3)), (0.1, (0.1, 1.3)), (0.6, (0.0, 1.0)))
        ),
        *outcomes(lambda x: shape.flow_shape(0.1, *x), (0.5, 0.5), (-1e-9, 1.0), (0.0, 1e-9)),
        *(shape.slope(np.array([0.0, 1e-9, 0.2, 0.9, 1 - 1e-12]), c, t) for c in (0.0, 0.3) for t in (1, 2, 7, 900)),
        *outcomes(shape.descent_peak, 0, 1, 2, 3, 50),
        *outcomes(lambda x: shape.descent_shape(0.1, *x), (0, 0.1, 0.2), (1, 0.1, 0.2), (3, 0.2, 0.2), (3, 0.0, 1.0)),
        *(
            shape.descent_shape(c, t, a, b)
            for c in (0.0, 0.1, 0.3, 0.45, 0.5, 0.7, np.inf)
            for t in (1, 2, 3, 12, 400)
            for a, b in ((0.0, 0.05), (0.02, 0.4), (0.3, 0.99))
        ),
        *outcomes(lambda c: shape.descent_shape(c, 3, 0.1, 0.5), -1e-9),
        [shape.slope(np.array([0.0]), 0.5, t) for t in (1, 4)],
    ],
    "turns": lambda: [
        shape.descent_turns(c, t, a, b)
        for c in (0.0, 0.3, 0.49, 0.52)
        for t in (1, 2, 12, 400)
        for a, b in ((0.0, 0.05), (0.02, 0.4), (0.3, 0.99))
    ],
    "predicted shapes": lambda: [
        *(
            shaped("linear", training={"steps": (0, 1, 2, 5, 30), "learning_rate": rate}, network={"init_variance": v})
            for rate in (0.05, 0.3, 0.6)
            for v in (0.0, 0.1, 0.6)
        ),
        shaped("linear, no labels"),
        shaped("linear, ntk"),
        shaped("linear, no labels", network={"init_variance": 0.0}),
        shaped("linear, momentum"),
        shaped("linear, decay"),
        shaped("linear, drops"),
        shaped("linear, spectrum"),
        shaped("drawn"),
        shaped("linear, 3 rows"),
        *(shaped("linear", training={"learning_rate": x}) for x in (0.7, 0.9, 2.0)),
    ],
    "descriptions": lambda: [
        *(
            described(
                "linear", training={"steps": (0, 1, 2, 5, 30), "learning_rate": rate}, network={"init_variance": v}
            )
            for rate in (0.05, 0.6)
            for v in (0.0, 0.1)
        ),
        described("linear, no labels"),
        described("linear, ntk", training={"steps": 40}),
        described("linear, momentum", training={"steps": 5}),
        described("linear, nesterov and decay", training={"steps": 40}),
        described("linear, decay", training={"steps": 60}),
        described("linear, drops", training={"steps": (2, 3)}),
        described("linear, spectrum"),
        described("drawn"),
        described("linear, 3 rows", training={"steps": 9}),
        described("linear, drops at once"),
        described("linear", training={"learning_rate": 1.5, "steps": 40}),
        described("linear", training={"learning_rate": 3.0, "steps": 4000}),
    ],
    "panels": lambda: [
        panels(paper_panels.panel_criteria(1.3, 0.7)),
        panels(paper_panels.panel_criteria(0.4)),
        *(paper_panels.agreeing_times(reading) for reading in paper_panels.READINGS),
        *outcomes(lambda x: paper_panels.panel_criteria(x)[0].c, 1e-9, 0.0, np.inf),
        *outcomes(lambda x: paper_panels.panel_criteria(1.0, x)[0].c, 0.0, -1e-9, np.inf),
        *(panel.eigenvalues("deviation") for panel in paper_panels.PAPER_PANELS),
        [(panel.name, panel.samples, panel.diagonal, panel.observed) for panel in paper_panels.PAPER_PANELS],
        outcome(paper_panels.PAPER_PANELS[0].eigenvalues, "other"),
    ],
    "phases": lambda: [
        phase_diagram.phase_boundary(np.array([0.0, 0.3, 1.2564, 4.0])),
        phase_diagram.peaks(np.array([[0.0, 0.2], [0.49, 0.7]])),
        phase_diagram.phase(np.array([0.0, 0.2, 0.4, 0.5, 0.6])[:, None], np.array([0.1, 0.5, 1.0, 2.0])),
        phase_diagram.phase(0.1, np.array([1.0, 1.5]), 0.9),
        phase_diagram.phase(0.1, 3.0, 2.0),
        *outcomes(lambda x: phase_diagram.phase(*x), (-1e-9, 1.0), (0.0, 1.0, 1.0), (0.1, 1.0, -1e-9), (0.1, 1.0, 0.0)),
        phase_diagram.phase_diagram(np.array([0.1, 0.4]), np.array([0.3, 2.0, 5.0]), 0.2),
        *outcomes(lambda x: phase_diagram.phase_diagram(np.array([0.1]), np.array([1.0]), x).shape, 0.0, -1e-9, 1.0),
        outcome(phase_diagram.phase_diagram, 0.1, np.array([1.0])),
        outcome(phase_diagram.phase_diagram, np.array([0.1]), 1.0),
        *outcomes(phase_diagram.decay_peak, 0.0, 0.3, 5.0, 900.0, -1e-9, np.inf),
        *(
            int(phase_diagram.phase(float(phase_diagram.phase_boundary(u)), h, lo))
            for u, h, lo in ((0.7, 0.7, 0.1), (0.7, 2.0, 0.7))
        ),
    ],
    "wishart": lambda: [
        wishart.wishart_powers(P, 3, 5),
        wishart.wishart_powers(P[:2], 1, 3),
        wishart.vector_powers(P, 6),
        wishart.vector_powers(P, 0),
        wishart.wishart_powers(P, 2, 0),
        *outcomes(lambda n: wishart.wishart_powers(P[:1], 1, n).shape, 0, -1, 25),
        *outcomes(lambda n: wishart.vector_powers(P[:1], n).shape, 0, -1, 60, 61),
    ],
    "two layers": lambda: [
        *(
            [net, two_layer.two_layer_first_step_moment(moment(4), 9, 1.7, net, 0.2, 0.3)]
            for net in (
                two_layer.two_layer_constants(TWO_LAYERS, 4),
                two_layer.two_layer_constants(SETTINGS["two layers, ntk, nesterov and decay"], 4),
            )
        ),
        two_layer.sample_spectrum(np.vstack([array(3, 4), np.zeros((2, 4))]))[1],
        two_layer_converged.converged_moment(array(2, 4)),
        two_layer_converged.converged_average(P),
        two_layer_converged.converged_average(np.array([0.0, 1.0, 1e-8])),
        *outcomes(
            two_layer_converged.converged_average,
            np.zeros(2),
            np.array([1.0, -1e-9]),
            np.array([np.inf]),
            np.ones((1, 1)),
        ),
        two_layer_early.early_moment(array(2, 4), 0.3, 0.7, 0.9),
        *(two_layer_early.mixing_series(t, 4, 5, 0.8) for t in TRAININGS),
        *(two_layer_early.averaged_early(t, 7, P, c, 0.01, 0.02) for t in (PLAIN, NESTEROV) for c in (1,)),
        outcome(two_layer_early.averaged_early, PLAIN, 60, P, 1, 0.01, 0.02),
        two_layer_early.averaged_early(PLAIN, 3, np.zeros(2), 1, 0.01, 0.02),
    ],
}
