"""B1, f is a function: networks with one setting give one curve, so its scatter between them falls with the width."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from reports.claims.claim import Case, Claim, Context, Outcome
from reports.compare import negative_verdict
from reports.estimate import data_eigenspaces
from reports.findings import Column, Figure, Finding, Panel, Series, Table
from theory.eigenspaces import weight_variances
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

WIDTHS = (16, 64, 256, 1024)
RESAMPLES = 4000


def cases(context: Context) -> tuple[Case, ...]:
    """One case: the setting at the first width; the others differ in the width alone."""
    setting = Setting(
        data=Data(kind="gaussian", spectrum=tuple(np.linspace(0.2, 2.0, 8).round(3)), samples=64),
        labels=Labels(variance=4.0),
        # NTK parametrization: one learning rate is stable at every width
        network=Network(kind="mlp", hidden=(WIDTHS[0],), parametrization="ntk", init_variance=(0.1, 1.0)),
        training=Training(learning_rate=1.0, steps=(0, 100)),
        ensemble=Ensemble(replicas=min(context.replicas(128), 512), seed=context.seed_of("B1", 0)),
    )
    return (Case("ReLU network, widths 16 to 1024", setting),)


@dataclass(frozen=True, eq=False)
class Measured:
    """The scatter of f between networks, against the width.

    Attributes
    ----------
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
    scatter, resampled, replicas, diverged = [], [], 0, 0
    for number, width in enumerate(WIDTHS):
        ensemble = msgspec.structs.replace(case.setting.ensemble, seed=context.seed_of("B1", number))
        network = msgspec.structs.replace(case.setting.network, hidden=(width,))
        simulation = context.run(msgspec.structs.replace(case.setting, network=network, ensemble=ensemble))
        spaces = data_eigenspaces(simulation)
        f = np.sqrt([weight_variances(spaces, reading.second_moments) for reading in simulation.readings])
        picks = generator.integers(f.shape[1], size=(RESAMPLES, f.shape[1]))
        scatter.append(_scatter(f))
        resampled.append(np.stack([_scatter(reading[picks]) for reading in f]))
        replicas, diverged = replicas + simulation.replicas, diverged + simulation.diverged
    values, draws = np.stack(scatter, axis=-1), np.stack(resampled, axis=-1)
    slopes = _slope(draws)
    return Measured(
        steps=case.setting.training.readings,
        scatter=values,
        scatter_se=draws.std(axis=1, ddof=1),
        slope=_slope(values),
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


def _slope(scatter: np.ndarray) -> np.ndarray:
    """The least-squares slope of log scatter on log width: (…, W) → (…)."""
    x = np.log(WIDTHS) - np.mean(np.log(WIDTHS))
    return np.log(scatter) @ x / (x @ x)


def decide(case: Case, prediction: str, measured: Measured) -> tuple[Finding, ...]:
    """Holds when the interval of the slope after training lies below 0, refuted when it lies above."""
    low, high = measured.slope_interval[-1].tolist()
    before = measured.slope_interval[0]
    return (
        Finding(
            claim="B1",
            case=case.name,
            kind="asymptotic",
            quantity="slope of log scatter of $f$ against log width",
            prediction=prediction,
            measurement=float(measured.slope[-1]),
            standard_error=(high - low) / 3.92,
            interval=(low, high),
            power=f"a slope of {-(high - low) / 3.92 * 3.24:.2g} found with probability .9",
            verdict=negative_verdict(low, high, measured.diverged),
            note=f"untrained networks, whose neurons are independent: {before[0]:.2f} to {before[1]:.2f}",
            replicas=measured.replicas,
            diverged=measured.diverged,
        ),
    )


def illustrate(outcomes: tuple[Outcome, ...]) -> tuple[tuple[Table, ...], tuple[Figure, ...]]:
    """Scatter against width, with the fitted lines."""
    measured: Measured = outcomes[0].measurement
    series = []
    for i, step in enumerate(measured.steps):
        series.append(
            Series(f"step {step}", np.array(WIDTHS), measured.scatter[i], 1.96 * measured.scatter_se[i], "points")
        )
        x = np.log(WIDTHS)
        line = np.exp(np.mean(np.log(measured.scatter[i])) + measured.slope[i] * (x - x.mean()))
        series.append(Series(f"slope {measured.slope[i]:.2f}", np.array(WIDTHS), line, style="line"))
    figure = Figure(
        name="b1-scatter",
        caption="Scatter of the transfer function between networks of one setting, relative to its mean, against the "
        "width, before and after training; and the curves of five networks that differ in data, labels and init.",
        panels=(
            Panel("scatter", "width $m$", "relative scatter of $f$", tuple(series), xlog=True, ylog=True),
            Panel(
                f"five networks of width {WIDTHS[-1]}",
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
            for j, width in enumerate(WIDTHS)
        ),
    )
    return (table,), (figure,)


CLAIM = Claim(
    id="B1",
    title="$f$ is a function",
    statement="Networks with the same setting give the same transfer function $f(\\sigma)$.",
    reference="arXiv:2006.10455, Figure 4 (left)",
    method="The scatter of $f$ between networks is fitted against the width; the claim holds when the 95 % interval "
    "of the slope (bootstrap over networks) lies below 0.",
    cases=cases,
    predict=lambda case: "negative",
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
