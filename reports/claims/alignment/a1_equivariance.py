"""A1, equivariance: training on rotated rows from rotated weights gives the rotated weights, at every step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

import simulate
from reports.claims.claim import Case, Claim, Context, Outcome
from reports.findings import Figure, Finding, Panel, Series, Table, Verdict
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training
from theory.symmetry import haar

TOLERANCE = 1e-10  # of |W_t(XRᵀ, W_0Rᵀ) − W_t(X, W_0)Rᵀ| / max(1, |W|), in float64 over 20 stable steps
REPLICAS = 16
STEPS = (0, 1, 2, 5, 10, 20)


def cases(context: Context) -> tuple[Case, ...]:
    """Architectures and SGD variants that must be equivariant, optimizers that must not be."""
    data = Data(kind="gaussian", spectrum=(0.2, 0.5, 1.0, 1.5, 2.0), samples=24)
    relu = Network(kind="mlp", hidden=(32,))
    classes = Labels(kind="classes", classes=4)
    settings: dict[str, tuple[Literal["exact", "control"], Setting]] = {
        "linear model, heavy ball, weight decay": (
            "exact",
            Setting(data=data, training=Training(learning_rate=0.1, momentum=0.9, weight_decay=0.1, steps=STEPS)),
        ),
        "ReLU network, Nesterov, shuffled mini-batches": (
            "exact",
            Setting(
                data=data,
                network=relu,
                training=Training(learning_rate=0.02, momentum=0.8, nesterov=True, batch_size=6, steps=STEPS),
            ),
        ),
        "four-layer tanh network, cross-entropy, drops, biases": (
            "exact",
            Setting(
                data=data,
                labels=classes,
                network=Network(kind="mlp", hidden=(24, 16, 12), activation="tanh", bias=True),
                training=Training(loss="cross-entropy", learning_rate=0.3, drops=((10, 0.3),), steps=STEPS),
            ),
        ),
        "erf network, NTK parametrization, online data": (
            "exact",
            Setting(
                data=msgspec.structs.replace(data, samples="online"),
                network=Network(kind="mlp", hidden=(32,), activation="erf", parametrization="ntk"),
                training=Training(learning_rate=0.3, batch_size=8, sampling="fresh", steps=STEPS),
            ),
        ),
        "digits 8x8, ReLU network, real labels": (
            "exact",
            Setting(
                data=Data(kind="digits", samples=64),
                labels=Labels(kind="real"),
                network=relu,
                training=Training(loss="cross-entropy", learning_rate=0.1, momentum=0.9, steps=STEPS),
            ),
        ),
        "Adam": ("control", _broken(data, relu, Training(optimizer="adam", learning_rate=0.01, steps=STEPS))),
        "RMSprop": ("control", _broken(data, relu, Training(optimizer="rmsprop", learning_rate=0.01, steps=STEPS))),
        "sign SGD": ("control", _broken(data, relu, Training(optimizer="signsgd", learning_rate=0.01, steps=STEPS))),
        "L1 decay": ("control", _broken(data, relu, Training(learning_rate=0.1, l1=0.02, steps=STEPS))),
    }
    return tuple(
        Case(
            name,
            msgspec.structs.replace(setting, ensemble=Ensemble(replicas=REPLICAS, seed=context.seed_of("A1", number))),
            kind=kind,
        )
        for number, (name, (kind, setting)) in enumerate(settings.items())
    )


def _broken(data: Data, network: Network, training: Training) -> Setting:
    return Setting(data=data, network=network, training=training)


@dataclass(frozen=True, eq=False)
class Measured:
    """Discrepancies relative to max(1, |W|): steps (T,), and values (T, R) per reading and replica."""

    steps: np.ndarray
    discrepancies: np.ndarray


def measure(case: Case, context: Context) -> Measured:
    """Train the same replicas twice, in the given coordinates and in coordinates turned by one Haar rotation."""
    setting = case.setting
    inputs = simulate.replica_inputs(setting, range(setting.ensemble.replicas))
    generator = np.random.default_rng(setting.ensemble.seed)
    rotation = haar(generator, inputs.x.shape[-1], 1)[0]
    plain = simulate.train(setting, inputs)
    turned = simulate.train(setting, inputs.rotated(rotation))
    values = []
    for step, parameters in plain.items():
        weights = parameters[0].numpy()
        difference = np.abs(turned[step][0].numpy() - weights @ rotation.T).max(axis=(1, 2))
        values.append(difference / np.maximum(1, np.linalg.norm(weights, axis=(1, 2))))
    return Measured(np.array(list(plain)), np.array(values))


def decide(case: Case, prediction: float | str, measured: Measured) -> tuple[Finding, ...]:
    """Equality up to 1e-10 is equality; a control holds when equality fails by more than a thousand times that."""
    worst = float(measured.discrepancies.max())
    final = measured.discrepancies[-1]
    diverged = int(np.sum(~np.isfinite(measured.discrepancies).all(axis=0)))
    verdict: Verdict = "undecided"
    if case.kind == "exact" and not diverged:
        verdict = "holds" if worst <= TOLERANCE else "refuted"
    elif final.min() > 1000 * TOLERANCE:
        verdict = "holds"
    finding = Finding(
        claim="A1",
        case=case.name,
        kind=case.kind,
        quantity="relative discrepancy",
        prediction=prediction,
        measurement=worst,
        interval=(float(final.min()), float(final.max())),
        power=f"anything above {TOLERANCE:g} is seen",
        verdict=verdict,
        note="largest over steps and replicas; the interval is the range over replicas at the last step",
        replicas=case.setting.ensemble.replicas,
        diverged=diverged,
    )
    return (finding,)


def illustrate(outcomes: tuple[Outcome, ...]) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """Discrepancy against step, equivariant settings beside the controls."""
    panels = []
    for kind, title in (("exact", "equivariant: rounding"), ("control", "not equivariant")):
        series = tuple(
            Series(
                outcome.case.name.split(",")[0],
                outcome.measurement.steps[1:],
                np.maximum(outcome.measurement.discrepancies[1:].max(axis=1), 1e-17),
                style="both",
            )
            for outcome in outcomes
            if outcome.case.kind == kind
        )
        panels.append(Panel(title, "step", "largest discrepancy", series, ylog=True))
    figure = Figure(
        name="a1-equivariance",
        caption="Training in rotated coordinates against rotating the trained weights: equal up to rounding for every "
        "architecture and SGD variant, different for optimizers that look at single coordinates.",
        panels=tuple(panels),
    )
    return (), (figure,)


CLAIM = Claim(
    id="A1",
    title="Equivariance",
    statement="Training a fully connected network on $(XR^\\top, y)$ from $W_0R^\\top$ gives $W_tR^\\top$, for every "
    "orthogonal $R$ and at every step: exactly, for gradient descent and SGD with momentum and L2 decay.",
    reference="arXiv:2006.10455, proof of Proposition 1",
    method="The same replicas are trained in given and in rotated coordinates, in double precision. The discrepancy "
    "is the largest $|W_t(XR^\\top, W_0R^\\top) - W_t(X, W_0)R^\\top| / \\max(1, |W_t|)$. Equality holds up to "
    "$10^{-10}$, or is refuted; Adam, RMSprop, sign SGD and L1 decay must break it.",
    cases=cases,
    predict=lambda case: 0.0 if case.kind == "exact" else "not 0",
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
