"""B1, f is a function: networks with one setting give one curve, so its scatter between them falls with the width."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from reports.claims.claim import Case, Claim, Context, Outcomes, Trial
from reports.claims.linear_variants import at_width, variants
from reports.findings import Exhibits, Figure, Judgement, Panel, Series, Table, number, table_of, text
from reports.judging.changes import from_start
from reports.judging.estimate import data_eigenspaces
from reports.judging.intervals import bars, bootstrap_interval, detected, error_of
from reports.judging.rules import POWER, control_above_verdict, sign_verdict, worst
from theory.eigenspaces import weight_variances
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

Widths = tuple[int, ...]  # the widths at which a case is trained, of which its setting has the first

WIDTHS: Widths = (16, 64, 256, 1024)
LINEAR_WIDTHS: Widths = (8, 32, 128)
MOST_NETWORKS = 512  # the most networks of each width
RESAMPLES = 4000
INDEPENDENT = -0.5  # the slope of log scatter against log width where neurons are independent
QUANTITY = "slope of log scatter of $f$ against log width"
TOGETHER = len(variants())  # the number of linear models, which are judged together
NETWORK = Setting(
    data=Data(kind="gaussian", spectrum=tuple(np.linspace(0.2, 2.0, 8).round(3)), samples=64),
    labels=Labels(variance=4.0),
    # NTK parametrization: one learning rate is stable at every width
    network=Network(kind="mlp", hidden=(WIDTHS[0],), parametrization="ntk", init_variance=(0.1, 1.0)),
    training=Training(learning_rate=1.0, steps=(0, 100)),
)


def trials(context: Context) -> Mapping[str, Trial[Widths]]:
    """A network; linear models by their training; and, as a control, one whose converged weights are of rank one."""
    few = Ensemble(replicas=min(context.replicas(64), MOST_NETWORKS))
    # f scatters by per cents: rounding of 1e-7 is not seen
    many = Ensemble(replicas=min(context.replicas(128, quick=64), MOST_NETWORKS), dtype="float32")
    found = {"ReLU network, widths 16 to 1024": Trial(msgspec.structs.replace(NETWORK, ensemble=many), WIDTHS)}
    for name, setting in variants().items():
        trained = msgspec.structs.replace(from_start(setting), ensemble=few)
        found[f"linear: {name}"] = Trial(trained, LINEAR_WIDTHS)
    converged = from_start(variants()["two layers, converged"])
    one_output = msgspec.structs.replace(converged, labels=Labels(), ensemble=few)
    found["linear: two layers, converged, one output"] = Trial(one_output, LINEAR_WIDTHS, "control")
    return found


def is_linear(setting: Setting) -> bool:
    """Whether a linear model is trained, or a linear network of two layers."""
    return setting.network.kind == "linear" or setting.network.activation == "identity"


def predict(case: Case[Widths]) -> str:
    """What is said of the slope of log scatter on log width."""
    return f"above {INDEPENDENT / 2:g}" if case.kind == "control" else "negative"


@dataclass(frozen=True, eq=False)
class WidthScatter:
    """The scatter of f between networks, against the width.

    Attributes
    ----------
    widths : tuple of int, length W
    steps : tuple of int, length T
    scatter, scatter_se : ndarray, shape (T, W)
        sd(f) / mean(f) over networks, root mean square over eigenspaces, with its bootstrap standard error.
    slope : ndarray, shape (T,)
        The least-squares slope of log(scatter) on log(width).
    slope_interval : ndarray, shape (T, 2)
        The 95 % interval of the slope, by resampling networks at every width.
    joint_interval : (float, float)
        The interval of the slope after training, as one of the simultaneous intervals of all linear models.
    sigma : ndarray, shape (k,)
    curves : ndarray, shape (5, k)
        f of the first five networks of the largest width, after training.
    replicas, diverged : int
    """

    widths: Widths
    steps: tuple[int, ...]
    scatter: np.ndarray
    scatter_se: np.ndarray
    slope: np.ndarray
    slope_interval: np.ndarray
    joint_interval: tuple[float, float]
    sigma: np.ndarray
    curves: np.ndarray
    replicas: int
    diverged: int


ScatterOutcomes = Outcomes[Widths, str, WidthScatter]


def measure(case: Case[Widths], context: Context) -> WidthScatter:
    """One small ensemble per width, every block a single network; the bootstrap resamples networks."""
    generator = np.random.default_rng(case.setting.ensemble.seed)
    widths = case.study
    scatter, resampled, replicas, diverged = [], [], 0, 0
    for place, width in enumerate(widths):
        ensemble = msgspec.structs.replace(case.setting.ensemble, seed=case.setting.ensemble.seed + place)
        simulation = context.run(msgspec.structs.replace(at_width(case.setting, width), ensemble=ensemble))
        spaces = data_eigenspaces(simulation)
        f = np.sqrt([weight_variances(spaces, reading.second_moments) for reading in simulation.readings])
        picks = generator.integers(f.shape[1], size=(RESAMPLES, f.shape[1]))
        scatter.append(_scatter(f))
        resampled.append(np.stack([_scatter(reading[picks]) for reading in f]))
        replicas, diverged = replicas + simulation.replicas, diverged + simulation.diverged
    values, draws = np.stack(scatter, axis=-1), np.stack(resampled, axis=-1)
    slopes = _slope(widths, draws)
    low, high = bootstrap_interval(slopes[-1], tests=TOGETHER).tolist()
    return WidthScatter(
        widths=widths,
        steps=case.setting.training.readings,
        scatter=values,
        scatter_se=draws.std(axis=1, ddof=1),
        slope=_slope(widths, values),
        slope_interval=bootstrap_interval(slopes),
        joint_interval=(low, high),
        sigma=np.sqrt(spaces.eigenvalues),
        curves=f[-1, :5],
        replicas=replicas,
        diverged=diverged,
    )


def _scatter(f: np.ndarray) -> np.ndarray:
    """sd/mean of f over networks, rms over eigenspaces: (…, R, k) → (…)."""
    relative = f.std(axis=-2, ddof=1) / f.mean(axis=-2)
    return np.sqrt((relative**2).mean(axis=-1))


def _slope(widths: Widths, scatter: np.ndarray) -> np.ndarray:
    """The least-squares slope of log scatter on log width: (…, W) → (…)."""
    x = np.log(widths) - np.mean(np.log(widths))
    return np.log(scatter) @ x / (x @ x)


def decide(case: Case[Widths], prediction: str, measured: WidthScatter) -> tuple[Judgement, ...]:
    """Holds when the interval of the slope after training lies below 0, refuted when it lies above.

    The control, a network whose weights are of rank one, is seen when the interval lies above half the slope of
    independent neurons. The other linear models are judged together.
    """
    if is_linear(case.setting) and case.kind != "control":
        return ()
    low, high = measured.slope_interval[-1].tolist()
    slope = Judgement(
        kind="asymptotic",
        quantity=QUANTITY,
        prediction=prediction,
        measurement=float(measured.slope[-1]),
        standard_error=error_of(low, high),
        interval=(low, high),
        power=f"detects a slope of {-detected(error_of(low, high)):.2g} with {POWER:.0%} power",
        verdict=sign_verdict(low, high, "negative", measured.diverged),
        note=_untrained([measured]),
    )
    if case.kind != "control":
        return (slope,)
    seen = control_above_verdict(low, INDEPENDENT / 2, measured.diverged)
    note = "one output makes $W$ of rank one: every network has a curve of its own"
    return (replace(slope, kind="control", verdict=seen, note=note),)


def conclude(outcomes: ScatterOutcomes) -> tuple[tuple[Judgement, ScatterOutcomes], ...]:
    """One judgement of all linear models whose f is a function, by intervals of their slopes that hold together.

    Holds when all lie below 0, refuted when one lies above; what is shown is the slope whose interval ends highest.
    """
    linear = tuple(o for o in outcomes if is_linear(o.case.setting) and o.case.kind != "control")
    if not linear:
        return ()
    measured = [outcome.measurement for outcome in linear]
    highest = max(measured, key=lambda each: each.joint_interval[1])
    error = error_of(*highest.slope_interval[-1].tolist())
    judgement = Judgement(
        kind="asymptotic",
        about=f"linear models, {len(linear)} ways of training",
        quantity=f"{QUANTITY}, for the way whose interval reaches highest",
        prediction="negative",
        measurement=float(highest.slope[-1]),
        standard_error=error,
        interval=highest.joint_interval,
        power=f"detects a slope of {-detected(error, tests=TOGETHER):.2g} with {POWER:.0%} power",
        verdict=worst(sign_verdict(*each.joint_interval, "negative", each.diverged) for each in measured),
        note=f"the interval is one of {TOGETHER} simultaneous 95 % intervals; {_untrained(measured)}",
    )
    return ((judgement, linear),)


def _untrained(measured: list[WidthScatter]) -> str:
    """The range of slopes in the intervals of untrained networks, in words."""
    low, high = min(each.slope_interval[0, 0] for each in measured), max(each.slope_interval[0, 1] for each in measured)
    return f"untrained networks, whose neurons are independent: {low:.2f} to {high:.2f}"


def illustrate(outcomes: ScatterOutcomes) -> Exhibits:
    """Scatter against width, with the fitted lines; and by the training of linear models."""
    networks = [outcome.measurement for outcome in outcomes if not is_linear(outcome.case.setting)]
    linear = tuple(outcome for outcome in outcomes if is_linear(outcome.case.setting))
    return Exhibits(
        (*map(network_table, networks), linear_table(linear)),
        tuple(map(network_figure, networks)),
    )


def network_figure(measured: WidthScatter) -> Figure:
    """The scatter at both readings with its fitted lines, and five curves of the widest networks."""
    series = []
    widths, x = np.array(measured.widths), np.log(measured.widths)
    for i, step in enumerate(measured.steps):
        series.append(Series(f"step {step}", widths, measured.scatter[i], bars(measured.scatter_se[i]), "points"))
        line = np.exp(np.mean(np.log(measured.scatter[i])) + measured.slope[i] * (x - x.mean()))
        series.append(Series(f"slope {measured.slope[i]:.2f}", widths, line, style="line"))
    curves = tuple(
        Series(f"network {i + 1}", measured.sigma, curve, style="both") for i, curve in enumerate(measured.curves)
    )
    return Figure(
        name="b1-scatter",
        caption="Scatter of the transfer function between networks of one setting, relative to its mean, against the "
        "width, before and after training; and the curves of five networks that differ in data, labels and init.",
        panels=(
            Panel("scatter", "width $m$", "relative scatter of $f$", tuple(series), xlog=True, ylog=True),
            Panel(f"five networks of width {measured.widths[-1]}", r"$\sigma$", r"$f(\sigma)$", curves, from_zero=True),
        ),
    )


def network_table(measured: WidthScatter) -> Table:
    """The scatter at both readings, by width."""
    cells = zip(measured.scatter.T.tolist(), measured.scatter_se.T.tolist(), strict=True)
    rows = [
        (width, tuple(zip(values, errors, strict=True)))
        for width, (values, errors) in zip(measured.widths, cells, strict=True)
    ]
    return table_of(
        "b1-scatter",
        "Relative scatter of $f$ between networks, with bootstrap standard errors.",
        rows,
        number("width", "count", lambda row: row[0]),
        *(number(f"scatter, step {step}", "1", lambda row, i=i: row[1][i]) for i, step in enumerate(measured.steps)),  # type: ignore[misc]
    )


def linear_table(outcomes: ScatterOutcomes) -> Table:
    """The scatter after training, and its slope, for every way of training linear models that has a closed form."""
    return table_of(
        "b1-linear",
        "Relative scatter of $f$ between linear models of one setting, and between linear networks of two "
        "layers with as many outputs as neurons, by training variant, against the number of weight vectors; and its "
        "slope. The scatter that differing rows cause does not fall with the width. With one output a converged "
        "network has weights of rank one, and $f$ is not a function.",
        outcomes,
        text("training", lambda o: o.case.name),
        *(
            number(f"$m = {width}$", "1", lambda o, i=i: _last(o.measurement, i))  # type: ignore[misc]
            for i, width in enumerate(LINEAR_WIDTHS)
        ),
        number(
            "slope",
            "1",
            lambda o: (float(o.measurement.slope[-1]), error_of(*o.measurement.slope_interval[-1].tolist())),
        ),
    )


def _last(measured: WidthScatter, width: int) -> tuple[float, float]:
    """The scatter after training at one of the widths, with its error."""
    return float(measured.scatter[-1, width]), float(measured.scatter_se[-1, width])


CLAIM = Claim(
    id="B1",
    title="$f$ is a function",
    statement="Networks with the same setting give the same transfer function $f(\\sigma)$.",
    reference="arXiv:2006.10455, Figure 4 (left)",
    method="The logarithm of the scatter of $f$ between networks is fitted against that of the width; the claim holds "
    f"if the 95 % interval of the slope (bootstrap over networks) lies below 0. Linear models are trained in "
    f"{TOGETHER} ways and judged together, by intervals that hold simultaneously. As a control, a two-layer linear "
    "network of one output, whose converged weights are of rank one, must keep its scatter: the interval of its slope "
    "must lie above half the slope of independent neurons.",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
    conclude=conclude,
)
