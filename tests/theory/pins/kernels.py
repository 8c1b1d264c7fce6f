"""Duals, kernels, first steps, the kernel limit and softmaxes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from tests.pinning.table import Call, outcome, outcomes
from tests.theory.pins.arguments import array, moment
from tests.theory.pins.settings import HIDDEN, SETTINGS, changed, rows_of
from theory.network import (
    duals,
    first_step,
    first_step_averaged,
    kernels,
    lazy,
    propagators,
    quadrature,
    softmax,
    softmax_first_step,
    softmax_lazy,
    trace_law,
    two_rows,
)
from theory.network.model import hidden_layer_constants
from theory.setting import Training

X, Z = array(4, 3), array(2, 3, salt=1)
NEAR = np.vstack([X, X[0] * 2 + 1e-5 * X[1], -X[1], X[2] + 0.1 * X[3], np.zeros(3)])  # nearly parallel, opposite, zero
S, TAU, TARGET = np.array([0.0, 0.4, 1.1, 2.3]), np.array([0.3, 0.1, 0.7, 0.2]), np.array([0.5, 1.2, 0.1, 0.4])
TRAINING = Training(learning_rate=0.3, steps=(0, 2, 5))
HEAVY = Training(learning_rate=0.2, momentum=0.5, steps=(1, 4), weight_decay=0.1)
MODEL = hidden_layer_constants(HIDDEN, 3)
RELU = replace(MODEL, activation="relu", outputs=3)


def limit_of(activation: str, both: bool) -> lazy.KernelLimit:
    return lazy.kernel_limit(X, activation, 0.6, 0.9, both=both)


def lazily(activation: str, both: bool) -> list[object]:
    found = limit_of(activation, both)
    stretch = propagators.flow(found.kappa, 0.7).then(propagators.descent_step(found.kappa, 0.1).repeated(3))
    matrices = propagators.kernel_propagators(stretch, found.basis, found.residual(1.7))
    terms = lazy.terms(found, matrices)
    model = replace(MODEL, activation=activation)
    return [
        found.kappa,
        matrices,
        terms,
        terms.total,
        terms.size,
        terms.scaled(0.3).motion,
        lazy.displacement(found, matrices, model),
        lazy.error_budget(model, terms, 0.3, 0.2),
        lazy.declared_share(model, 0.3),
        [np.diagonal(part) for part in (found.k, found.p, found.q, found.u, found.v)],
    ]


LOOSE = {"nearly parallel rows": 1e-2}  # where half of all digits are rounding
ROWS: dict[str, Call] = {
    **{
        f"duals of {activation}": partial(
            lambda a: [
                [
                    duals.dual(a, duals.gram(NEAR, c), o)
                    for c in ((Z,) if a == "tanh" else (None, Z))
                    for o in duals.ORDERS
                ]
                + [duals.dual_quartic(a, duals.gram(X, Z, 0.6)), duals.dual_quartic(a, duals.gram(NEAR))]
            ],
            activation,
        )
        for activation in duals.ACTIVATIONS
    },
    "grams": lambda: [
        duals.gram(NEAR),
        duals.gram(X, Z, moment(3)),
        duals.gram(X, Z, 0.6).transposed,
        *outcomes(
            lambda c: duals.gram(X, covariance=c).left,
            0.0,
            -1e-9,
            np.inf,
            2,
            moment(2),
            -moment(3),
            np.diag([1.0, 1.0, -1e-14]),
            np.diag([1.0, 1.0, -1.2e-14]),
        ),
        *outcomes(lambda x: duals.gram(np.array([[x, 0.0]])).left, 1.2e-153, 1.19e-153, 0.0, 5e76, 6e76),
        *outcomes(lambda shape: duals.matrix("rows", np.ones(shape)).shape, (1, 1), (0, 1), (1, 0), (2,)),
        *outcomes(lambda kind: duals.matrix("rows", np.ones((1, 1), kind)).dtype.name, "f4", "i4", "f2", "?"),
        outcome(duals.gram, X, array(2, 2)),
        outcome(duals.gram, X, Z.astype(np.float32)),
        outcome(duals.dual, "sin", duals.gram(X)),
        outcome(duals.dual, "relu", duals.gram(X), (1, 0)),
        outcome(duals.matrix, "rows", np.array([[np.inf]])),
        duals.gram(NEAR.astype(np.float32)).area,
    ],
    "nearly parallel rows": lambda: [
        duals.gram(np.array([[1.0] + 15 * [0.0], [1.0, x] + 14 * [0.0]])).area[0, 1] * 1e14
        for x in (1.3e-14, 1.5e-14, 2e-14, 4e-14)
    ],
    "kernels": lambda: [
        *(
            k(a, X, o, covariance=c, variances=v)
            for k in (kernels.nngp, kernels.ntk)
            for a in ("relu", "erf")
            for o, c, v in ((None, 0.6, (0.9,)), (Z, moment(3), (0.9, 1.3, 0.4)))
        ),
        *(kernels.ntk("relu", X, variances=(0.9, 1.3), trained=t) for t in ("first", "last")),
        kernels.ntk("tanh", X, Z),
        kernels.nngp("relu", NEAR, variances=(1.0, 2.0)),
        *outcomes(lambda n: kernels.arc_cosine(n, X, Z, 0.6), 0, 1, 2, -1),
        kernels.arcsine(X, Z, 0.6),
        *outcomes(lambda v: kernels.ntk("relu", X[:1], variances=v), (), (1e-9,), (0.0,), (np.inf,)),
        outcome(lambda: kernels.ntk("relu", X, trained="both")),
    ],
    "quadrature": lambda: [
        *(
            quadrature.tanh_dual(np.array([[0.3, -0.9], [0.97, 1.2]]) * np.sqrt(np.outer(le, r)), le, r, o)
            for le, r in ((np.array([1.0, 2.0]), np.array([0.5, 4.0])), (np.array([90.0, 0.01]), np.array([1.0, 0.0])))
            for o in ((0, 0), (3, 1))
        ),
        quadrature.tanh_dual_quartic(np.array([[0.4, 0.99]]), np.ones(1), np.ones(2)),
        *outcomes(lambda x: quadrature.tanh_dual(np.zeros((1, 1)), np.array([x]), np.ones(1), (1, 1)), 1e4, 1.0001e4),
        [len(quadrature.DERIVATIVES), quadrature.TERMS],
    ],
    "first steps": lambda: [
        *(
            [
                first_step.first_step_terms(X, m),
                first_step.first_step_moment(X, m, 0.3, 0.2),
                first_step.first_step_mean(X, m, 0.3),
            ]
            for m in (MODEL, RELU)
        ),
        *(
            first_step.first_rate(t)
            for t in (TRAINING, HEAVY, Training(learning_rate=0.3, momentum=0.5, nesterov=True, drops=((0, 0.5),)))
        ),
        outcome(first_step.refuse_overflow, 0.3, np.array([np.inf])),
        *([first_step_averaged.averaged_terms(s, 11, RELU)] for s in (np.array([2.0, 0.5, 2.0, 0.5]),)),
        first_step_averaged.first_step_threshold(RELU, 11, 3.0),
        *(
            first_step_averaged.first_step_grows(
                RELU, 11, 3.0, first_step_averaged.first_step_threshold(RELU, 11, 3.0) * f
            )
            for f in (1.0, 1.0001)
        ),
        first_step_averaged.first_step_threshold(replace(RELU, sa=0.0), 11, 3.0),
        *outcomes(
            lambda s: two_rows.two_row_average(s, np.array([2, 1])),
            np.array([0.3, 1.2]),
            np.zeros(2),
            np.array([1.0, -1e-9]),
            np.array([1.0, np.inf]),
        ),
        two_rows.two_row_average(np.array([1.0, 0.5]), np.array([4000, 3000])),
    ],
    **{
        f"lazy {a}{', both' * both}": partial(lazily, a, both)
        for a in ("relu", "erf", "tanh")
        for both in (False, True)
    },
    "propagators of kernels": lambda: [
        *(propagators.flow(S, t) for t in (0.0, 0.7, 1e-12)),
        propagators.descent_step(S, 0.3),
        *(propagators.descent_step(S, 0.3).repeated(n) for n in (0, 1, 2, 5)),
        propagators.standstill(2),
        *outcomes(lambda r: propagators.descent_step(S, r).decay, 0.869, 2 / 2.3),
        *outcomes(lambda t: propagators.flow(S, t).decay, -1e-9, np.inf, np.nan),
        *outcomes(propagators.require_eigenvalues, np.array([-1e-9]), np.array([np.nan]), np.ones((1, 1)), np.zeros(1)),
    ],
    "trace law": lambda: [
        *(
            [
                trace_law.trace_law(limit_of("relu", b), propagators.flow(limit_of("relu", b).kappa, 0.7), 1.7, 3),
                trace_law.recovery_times(limit_of("relu", b), 1.7),
                trace_law.recovery_times(limit_of("relu", b), 0.05),
            ]
            for b in (False, True)
        ),
        outcome(trace_law.trace_law, limit_of("erf", False), propagators.standstill(4), 1.0),
        outcome(trace_law.recovery_times, limit_of("erf", False), 1.0),
    ],
    "softmaxes": lambda: [
        softmax.softmax_products(moment(3), 4),
        softmax.softmax_products(6 * moment(2), 2),
        softmax.softmax_products(np.array([[0.0, 0.0], [0.0, 1.0]]), 10),
        *outcomes(lambda c: softmax.softmax_products(np.eye(1), c), 2, 1),
        *outcomes(lambda v: softmax.softmax_products(np.full((1, 1), v), 3), 25.0, 25.01, -1e-9, np.inf),
        *(softmax_first_step.softmax_first_step_terms(X, m) for m in (replace(MODEL, outputs=3), RELU)),
    ],
    "lazy softmaxes": lambda: [
        *(
            [
                found.kappa,
                softmax_lazy.softmax_residual(found, 3),
                softmax_lazy.softmax_lazy_terms(
                    found,
                    propagators.kernel_propagators(stretch, found.basis, softmax_lazy.softmax_residual(found, 3)),
                    3,
                ),
                softmax_lazy.logit_variance(found, stretch, 3),
            ]
            for found in (softmax_lazy.softmax_limit(limit_of("erf", False), 3),)
            for stretch in (propagators.flow(found.kappa, 0.7), propagators.standstill(4))
        ),
        *(
            [form(changed(SETTINGS[name], training={"steps": 10 * 2**k}), rows_of(SETTINGS[name])) for k in range(2)]
            for form, name in ((lambda s, r: outcome(softmax_lazy.predict, s, r), "lazy, entropy"),)
        ),
    ],
}
