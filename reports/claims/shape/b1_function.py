"""B1, f is a function: networks with one setting give one curve, so its scatter between them falls with the width."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from reports.claims.claim import Case, Claim, Context, Outcome
from reports.claims.linear_variants import at_width, variants
from reports.findings import Column, Figure, Finding, Panel, Series, Table
from reports.judging.compare import Verdict, negative_verdict
from reports.judging.estimate import data_eigenspaces
from theory.eigenspaces import weight_variances
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

WIDTHS, LINEAR_WIDTHS = (16, 64, 256, 1024), (8, 32, 128)
RESAMPLES = 4000
INDEPENDENT = -0.5  # the slope of neurons that are independent
LINEAR, RANK_ONE = "linear: ", "linear: two layers, converged, one output"


def cases(context: Context) -> tuple[Case, ...]:
    """A network, and linear models by their training: the setting at the first width, the others differ in it alone."""
    setting = Setting(
        data=Data(kind="gaussian", spectrum=tuple(np.linspace(0.2, 2.0, 8).round(3)), samples=64),
        labels=Labels(variance=4.0),
        # NTK parametrization: one learning rate is stable at every width
        network=Network(kind="mlp", hidden=(WIDTHS[0],), parametrization="ntk", init_variance=(0.1, 1.0)),
        training=Training(learning_rate=1.0, steps=(0, 100)),
        ensemble=Ensemble(replicas=min(context.replicas(128), 512), seed=context.seed_of("B1", 0)),
    )
    linear = {f"{LINEAR}{name}": variant for name, variant in variants().items()}
    linear[RANK_ONE] = msgspec.structs.replace(linear["linear: two layers, converged"], labels=Labels())
    return (
        Case("ReLU network, widths 16 to 1024", setting),
        *(
            Case(
                name,
                msgspec.structs.replace(
                    variant,
                    training=msgspec.structs.replace(variant.training, steps=(0, *variant.training.readings)),
                    ensemble=Ensemble(
                        # every width has a seed of its own
                        replicas=min(context.replicas(64), 512),
                        seed=context.seed_of("B1", 4 * number),
                    ),
                ),
                kind="control" if name == RANK_ONE else "exact",
            )
            for number, (name, variant) in enumerate(linear.items(), start=1)
        ),
    )


def widths_of(case: Case) -> tuple[int, ...]:
    """The widths at which the networks of a case are trained."""
    return LINEAR_WIDTHS if case.name.startswith(LINEAR) else WIDTHS


@dataclass(frozen=True, eq=False)
class Measured:
    """The scatter of f between networks, against the width.

    Attributes
    ----------
    widths : tuple of int, length W
    steps : tuple of int, length T
    scatter, scatter_se : ndarray, shape (T, W)
        sd(f) / mean(f) over networks, root mean square over eigenspaces, with its bootstrap standard error.
    slope : ndarray, shape (T,)
        Of log(scatter) on log(width), least squares.
    slope_interval : ndarray, shape (T, 2)
        95 %, by resampling networks at every width.
    sigma : ndarray, shape (k,)
    curves : ndarray, shape (5, k)
        f of the first five networks of the largest width, after training.
    replicas, diverged : int
    """

    widths: tuple[int, ...]
    steps: tuple[int, ...]
    scatter: np.ndarray
    scatter_se: np.ndarray
    slope: np.ndarray
    slope_interval: np.ndarray
    sigma: np.ndarray
    curves: np.ndarray
    replicas: int
    diverged: int


def measure(case: Case, context: Context) -> Measured:
    """One small ensemble a width, every block a single network; the bootstrap resamples networks."""
    generator = np.random.default_rng(case.setting.ensemble.seed)
    widths = widths_of(case)
    scatter, resampled, replicas, diverged = [], [], 0, 0
    for number, width in enumerate(widths):
        ensemble = msgspec.structs.replace(case.setting.ensemble, seed=case.setting.ensemble.seed + number)
        simulation = context.run(msgspec.structs.replace(at_width(case.setting, width), ensemble=ensemble))
        spaces = data_eigenspaces(simulation)
        f = np.sqrt([weight_variances(spaces, reading.second_moments) for reading in simulation.readings])
        picks = generator.integers(f.shape[1], size=(RESAMPLES, f.shape[1]))
        scatter.append(_scatter(f))
        resampled.append(np.stack([_scatter(reading[picks]) for reading in f]))
        replicas, diverged = replicas + simulation.replicas, diverged + simulation.diverged
    values, draws = np.stack(scatter, axis=-1), np.stack(resampled, axis=-1)
    slopes = _slope(widths, draws)
    return Measured(
        widths=widths,
        steps=case.setting.training.readings,
        scatter=values,
        scatter_se=draws.std(axis=1, ddof=1),
        slope=_slope(widths, values),
        slope_interval=np.quantile(slopes, [0.025, 0.975], axis=1).T,
        sigma=np.sqrt(spaces.eigenvalues),
        curves=f[-1, :5],
        replicas=replicas,
        diverged=diverged,
    )


def _scatter(f: np.ndarray) -> np.ndarray:
    """sd/mean of f over networks, rms over eigenspaces: (…, R, k) → (…)."""
    relative = f.std(axis=-2, ddof=1) / f.mean(axis=-2)
    return np.sqrt((relative**2).mean(axis=-1))


def _slope(widths: tuple[int, ...], scatter: np.ndarray) -> np.ndarray:
    """The least-squares slope of log scatter on log width: (…, W) → (…)."""
    x = np.log(widths) - np.mean(np.log(widths))
    return np.log(scatter) @ x / (x @ x)


def decide(case: Case, prediction: str, measured: Measured) -> tuple[Finding, ...]:
    """Holds when the interval of the slope after training lies below 0, refuted when it lies above.

    The control, a network whose weights are of rank one, is seen when the interval lies above half the slope of
    independent neurons.
    """
    low, high = measured.slope_interval[-1].tolist()
    before, control = measured.slope_interval[0], case.kind == "control"
    verdict: Verdict = negative_verdict(low, high, measured.diverged)
    if control:
        verdict = "holds" if low > INDEPENDENT / 2 and not measured.diverged else "undecided"
    return (
        Finding(
            claim="B1",
            case=case.name,
            kind="control" if control else "asymptotic",
            quantity="slope of log scatter of $f$ against log width",
            prediction=prediction,
            measurement=float(measured.slope[-1]),
            standard_error=(high - low) / 3.92,
            interval=(low, high),
            power=f"a slope of {-(high - low) / 3.92 * 3.24:.2g} found with probability .9",
            verdict=verdict,
            note="one output makes $W$ of rank one: a curve of its own for every network"
            if control
            else f"untrained networks, whose neurons are independent: {before[0]:.2f} to {before[1]:.2f}",
            replicas=measured.replicas,
            diverged=measured.diverged,
        ),
    )


def illustrate(outcomes: tuple[Outcome, ...]) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """Scatter against width, with the fitted lines; and by the training of linear models."""
    measured: Measured = outcomes[0].measurement
    series = []
    for i, step in enumerate(measured.steps):
        series.append(
            Series(
                f"step {step}", np.array(measured.widths), measured.scatter[i], 1.96 * measured.scatter_se[i], "points"
            )
        )
        x = np.log(measured.widths)
        line = np.exp(np.mean(np.log(measured.scatter[i])) + measured.slope[i] * (x - x.mean()))
        series.append(Series(f"slope {measured.slope[i]:.2f}", np.array(measured.widths), line, style="line"))
    figure = Figure(
        name="b1-scatter",
        caption="Scatter of the transfer function between networks of one setting, relative to its mean, against the "
        "width, before and after training; and the curves of five networks that differ in data, labels and init.",
        panels=(
            Panel("scatter", "width $m$", "relative scatter of $f$", tuple(series), xlog=True, ylog=True),
            Panel(
                f"five networks of width {measured.widths[-1]}",
                r"$\sigma$",
                r"$f(\sigma)$",
                tuple(
                    Series(f"network {i + 1}", measured.sigma, curve, style="both")
                    for i, curve in enumerate(measured.curves)
                ),
                from_zero=True,
            ),
        ),
    )
    table = Table(
        name="b1-scatter",
        caption="Relative scatter of $f$ between networks, with bootstrap standard errors.",
        columns=(Column("width"), *(Column(f"step {step}") for step in measured.steps)),
        rows=tuple(
            (
                width,
                *(
                    (float(measured.scatter[i, j]), float(measured.scatter_se[i, j]))
                    for i in range(len(measured.steps))
                ),
            )
            for j, width in enumerate(measured.widths)
        ),
    )
    return (table, linear_table(outcomes)), (figure,)


def linear_table(outcomes: tuple[Outcome, ...]) -> Table:
    """The scatter after training, and its slope, for every way of training linear models that has a closed form."""
    rows = []
    for outcome in outcomes:
        if not outcome.case.name.startswith(LINEAR):
            continue
        measured: Measured = outcome.measurement
        low, high = measured.slope_interval[-1].tolist()
        rows.append(
            (
                outcome.case.name.removeprefix(LINEAR),
                *zip(measured.scatter[-1].tolist(), measured.scatter_se[-1].tolist(), strict=True),
                (float(measured.slope[-1]), (high - low) / 3.92),
            )
        )
    return Table(
        name="b1-linear",
        caption="Relative scatter of $f$ between linear models of one setting, and between linear networks of two "
        "layers with as many outputs as neurons, by training variant, against the number of weight vectors; and its "
        "slope. What rows that differ leave does not fall with the width. With one output a converged network has "
        "weights of rank one, and $f$ is no function.",
        columns=(
            Column("training", "text"),
            *(Column(f"$m = {width}$") for width in LINEAR_WIDTHS),
            Column("slope"),
        ),
        rows=tuple(rows),
    )


CLAIM = Claim(
    id="B1",
    title="$f$ is a function",
    statement="Networks with the same setting give the same transfer function $f(\\sigma)$.",
    reference="arXiv:2006.10455, Figure 4 (left)",
    method="The scatter of $f$ between networks is fitted against the width; the claim holds when the 95 % interval "
    "of the slope (bootstrap over networks) lies below 0. As a control, a two-layer linear network of one output, "
    "whose converged weights are of rank one, must be seen not to fall: its interval must lie above half the slope of "
    "independent neurons.",
    cases=cases,
    predict=lambda case: f"above {INDEPENDENT / 2:g}" if case.kind == "control" else "negative",
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
