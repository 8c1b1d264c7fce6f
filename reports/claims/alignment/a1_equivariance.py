"""A1, equivariance: training on rotated rows from rotated weights gives the rotated weights, at every step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np

import simulate
from reports.claims.claim import Case, Claim, Context, Outcomes, Trial
from reports.findings import Exhibits, Figure, Judgement, Panel, Series
from reports.judging.rules import broken_identity_verdict, identity_verdict
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training
from theory.symmetry import haar

# The largest |W_t(XRᵀ, W_0Rᵀ) − W_t(X, W_0)Rᵀ| / max(1, |W|) that counts as rounding, in float64 over 20 stable steps.
TOLERANCE = 1e-10
ENSEMBLE = Ensemble(replicas=16)
STEPS = (0, 1, 2, 5, 10, 20)
DATA = Data(kind="gaussian", spectrum=(0.2, 0.5, 1.0, 1.5, 2.0), samples=24)
RELU = Network(kind="mlp", hidden=(32,))


@dataclass(frozen=True)
class EquivarianceStudy:
    """What a curve of the figure is called."""

    label: str


EQUIVARIANT: dict[str, tuple[str, Setting]] = {
    "linear model, heavy ball, weight decay": (
        "linear model",
        Setting(data=DATA, training=Training(learning_rate=0.1, momentum=0.9, weight_decay=0.1, steps=STEPS)),
    ),
    "ReLU network, Nesterov, shuffled mini-batches": (
        "ReLU network",
        Setting(
            data=DATA,
            network=RELU,
            training=Training(learning_rate=0.02, momentum=0.8, nesterov=True, batch_size=6, steps=STEPS),
        ),
    ),
    "four-layer tanh network, cross-entropy, drops, biases": (
        "four-layer tanh network",
        Setting(
            data=DATA,
            labels=Labels(kind="classes", classes=4),
            network=Network(kind="mlp", hidden=(24, 16, 12), activation="tanh", bias=True),
            training=Training(loss="cross-entropy", learning_rate=0.3, drops=((10, 0.3),), steps=STEPS),
        ),
    ),
    "erf network, NTK parametrization, online data": (
        "erf network",
        Setting(
            data=msgspec.structs.replace(DATA, samples="online"),
            network=Network(kind="mlp", hidden=(32,), activation="erf", parametrization="ntk"),
            training=Training(learning_rate=0.3, batch_size=8, sampling="fresh", steps=STEPS),
        ),
    ),
    "digits 8x8, ReLU network, real labels": (
        "digits 8x8",
        Setting(
            data=Data(kind="digits", samples=64),
            labels=Labels(kind="real"),
            network=RELU,
            training=Training(loss="cross-entropy", learning_rate=0.1, momentum=0.9, steps=STEPS),
        ),
    ),
}
NOT_EQUIVARIANT: dict[str, Training] = {
    "Adam": Training(optimizer="adam", learning_rate=0.01, steps=STEPS),
    "RMSprop": Training(optimizer="rmsprop", learning_rate=0.01, steps=STEPS),
    "sign SGD": Training(optimizer="signsgd", learning_rate=0.01, steps=STEPS),
    "L1 decay": Training(learning_rate=0.1, l1=0.02, steps=STEPS),
}


def trials(context: Context) -> Mapping[str, Trial[EquivarianceStudy]]:
    """Architectures and SGD variants that must be equivariant, optimizers that must not be; of any budget."""
    equivariant = {
        name: Trial(msgspec.structs.replace(setting, ensemble=ENSEMBLE), EquivarianceStudy(label))
        for name, (label, setting) in EQUIVARIANT.items()
    }
    broken = {
        name: Trial(
            Setting(data=DATA, network=RELU, training=training, ensemble=ENSEMBLE),
            EquivarianceStudy(name),
            kind="control",
        )
        for name, training in NOT_EQUIVARIANT.items()
    }
    return {**equivariant, **broken}


def predict(case: Case[EquivarianceStudy]) -> float | str:
    """No discrepancy, or some for a control."""
    return 0.0 if case.kind == "exact" else "not 0"


@dataclass(frozen=True, eq=False)
class RotationDiscrepancies:
    """How far training in rotated coordinates misses the rotated weights.

    Attributes
    ----------
    steps : ndarray, shape (T,)
    values : ndarray, shape (T, R)
        The discrepancy of each replica at each reading, relative to max(1, |W|).
    """

    steps: np.ndarray
    values: np.ndarray

    @property
    def replicas(self) -> int:
        return self.values.shape[1]

    @property
    def diverged(self) -> int:
        return int(np.sum(~np.isfinite(self.values).all(axis=0)))


def measure(case: Case[EquivarianceStudy], context: Context) -> RotationDiscrepancies:
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
    return RotationDiscrepancies(np.array(list(plain)), np.array(values))


def decide(
    case: Case[EquivarianceStudy], prediction: float | str, measured: RotationDiscrepancies
) -> tuple[Judgement, ...]:
    """Equality up to 1e-10 is equality; a control holds when equality fails by more than a thousand times that."""
    largest = float(measured.values.max())
    final = measured.values[-1]
    smallest = float(final.min())
    if case.kind == "exact":
        verdict = identity_verdict(largest, TOLERANCE, measured.diverged)
    else:
        verdict = broken_identity_verdict(smallest, TOLERANCE, measured.diverged)
    return (
        Judgement(
            quantity="relative discrepancy",
            prediction=prediction,
            measurement=largest,
            interval=(smallest, float(final.max())),
            power=f"detects anything above {TOLERANCE:g}",
            verdict=verdict,
            note="largest over steps and replicas; the interval is the range over replicas at the last step",
        ),
    )


def illustrate(outcomes: Outcomes[EquivarianceStudy, float | str, RotationDiscrepancies]) -> Exhibits:
    """Discrepancy against step, equivariant settings beside the controls."""
    panels = []
    for kind, title in (("exact", "equivariant: rounding"), ("control", "not equivariant")):
        series = tuple(
            Series(
                outcome.case.study.label,
                outcome.measurement.steps[1:],
                np.maximum(outcome.measurement.values[1:].max(axis=1), 1e-17),
                style="both",
            )
            for outcome in outcomes
            if outcome.case.kind == kind
        )
        panels.append(Panel(title, "step", "largest discrepancy", series, ylog=True))
    figure = Figure(
        name="a1-equivariance",
        caption="Training in rotated coordinates against rotating the trained weights: equal up to rounding for every "
        "architecture and SGD variant, different for optimizers that treat coordinates separately.",
        panels=tuple(panels),
    )
    return Exhibits(figures=(figure,))


CLAIM = Claim(
    id="A1",
    title="Equivariance",
    statement="Training a fully connected network on $(XR^\\top, y)$ from $W_0R^\\top$ gives $W_tR^\\top$, for every "
    "orthogonal $R$ and at every step: exactly, for gradient descent and SGD with momentum and L2 decay.",
    reference="arXiv:2006.10455, proof of Proposition 1",
    method="The same replicas are trained in given and in rotated coordinates, in double precision. The discrepancy "
    "is the largest $\\left|W_t(XR^\\top, W_0R^\\top) - W_t(X, W_0)R^\\top\\right| / \\max(1, \\left|W_t\\right|)$. "
    "The claim holds up to $10^{-10}$ and is refuted beyond it; Adam, RMSprop, sign SGD and L1 decay are controls: "
    "they must violate it.",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
