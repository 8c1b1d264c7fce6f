"""B3, the transfer function on images: it rises along training, most at middle σ, and on random labels peaks inside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from reports.claims import paper_networks
from reports.claims.claim import Case, Claim, Context, Outcome, Outcomes, Trial
from reports.findings import OUTSIDE, Exhibits, Figure, Judgement, Panel, Series, Table, number, table_of, text
from reports.judging.estimate import data_eigenspaces
from reports.judging.intervals import bootstrap_interval, detected, mean_and_half, means_and_halves, sample_mean
from reports.judging.rules import POWER, asymptotic_verdict, sign_verdict
from theory.eigenspaces import weight_variances
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

Epochs = tuple[int, ...]  # the readings of a case, counted in epochs

SAMPLES, BATCH = 200, 25
EPOCHS: Epochs = (0, 5, 10, 20, 40)
MOST_NETWORKS = 512
TENFOLD = 1.0  # a tenfold rise, in decades
USUAL = 1.0  # the usual init variance; a tenfold rise is judged from smaller ones only
TINY = 27 * paper_networks.TINY**2  # the init variance of a tiny first layer
PAPER_PEAK = 0.263**0.5  # the σ of the eigenvalue at which the paper's curves on random labels peak
NEAR = 1.3  # the factor within which the peak must lie on the paper's own images: eigenvalues there are a third apart
RESAMPLES = 4000
RANDOM, REAL = Labels(kind="classes"), Labels(kind="real")
# The number of networks in the quick budget, one batch, in which the measured rise is seen; by a pilot's scatter from
# somewhat larger weights eight detect the tenfold rise on real labels.
QUICK_NETWORKS = 4
CROPS = {
    "random labels, init variance 1": (RANDOM, USUAL, 4),
    "real labels, init variance 1": (REAL, USUAL, 4),
    "random labels, tiny first layer": (RANDOM, TINY, 6),
    "real labels, tiny first layer": (REAL, TINY, 8),
}
TRAINING = Training(
    loss="cross-entropy",
    learning_rate=0.03,
    momentum=0.9,
    batch_size=BATCH,
    steps=tuple(epoch * SAMPLES // BATCH for epoch in EPOCHS),
)


def trials(context: Context) -> Mapping[str, Trial[Epochs]]:
    """Filters on crops of two photographs: random and real labels, from the usual initial weights and from tiny ones.

    The paper does not give its initial variance; the tails of its curves lie where tiny ones begin. Where CIFAR-10 is
    given, the paper's net on random and on real labels, from both.
    """
    found = {}
    for name, (labels, variance, networks) in CROPS.items():
        setting = Setting(
            data=Data(kind="photographs", crop=(7, 7), samples=SAMPLES, scale="channels"),
            labels=labels,
            network=Network(kind="conv", filters=32, hidden=(64,), init_variance=(variance, 1.0, 1.0)),
            training=TRAINING,
            ensemble=Ensemble(
                replicas=min(context.replicas(networks, quick=QUICK_NETWORKS), MOST_NETWORKS), dtype="float32"
            ),
        )
        found[name] = Trial(setting, EPOCHS, "asymptotic")
    if context.cifar10 is not None:
        for labelled, kind in paper_networks.LABELS:
            for init, tiny in (("He's init", False), ("tiny first layer", True)):
                found[f"CIFAR-10, {labelled} labels, {init}"] = Trial(
                    paper_networks.along_training(context, kind, tiny=tiny), paper_networks.EPOCHS, "asymptotic"
                )
    return found


def predict(case: Case[Epochs]) -> str:
    """The same in every case."""
    return "rises"


@dataclass(frozen=True, eq=False)
class FilterCurves:
    """f of every network.

    Attributes
    ----------
    sigma : ndarray, shape (k,)
        The σ of the patches, ascending.
    f : ndarray, shape (T, R, k)
    replicas, diverged : int
    """

    sigma: np.ndarray
    f: np.ndarray
    replicas: int
    diverged: int

    @property
    def middle(self) -> int:
        """The eigenspace whose σ is nearest to the geometric mean of the extreme ones."""
        logs = np.log(self.sigma)
        return int(np.argmin(np.abs(logs - (logs[0] + logs[-1]) / 2)))

    @property
    def decades(self) -> np.ndarray:
        """log10 of f after training over f before, for every network and eigenspace, (R, k)."""
        return np.log10(self.f[-1] / self.f[0])

    @property
    def peak(self) -> float:
        """The σ at which the mean of f over networks is largest, after training."""
        return float(self.sigma[self.f[-1].mean(axis=0).argmax()])

    def peak_interval(self) -> tuple[float, float]:
        """The 95 % interval of the peak, by resampling networks."""
        picks = np.random.default_rng(0).integers(self.f.shape[1], size=(RESAMPLES, self.f.shape[1]))
        peaks = self.sigma[self.f[-1][picks].mean(axis=1).argmax(axis=1)]
        low, high = bootstrap_interval(peaks).tolist()
        return low, high


def measure(case: Case[Epochs], context: Context) -> FilterCurves:
    """Train the ensemble, every block of which is one network."""
    simulation = context.run(case.setting)
    spaces = data_eigenspaces(simulation)
    f = np.sqrt([weight_variances(spaces, reading.second_moments) for reading in simulation.readings])
    return FilterCurves(np.sqrt(spaces.eigenvalues), f, simulation.replicas, simulation.diverged)


def decide(case: Case[Epochs], prediction: str, measured: FilterCurves) -> tuple[Judgement, ...]:
    """Judge the 95 % interval, over networks, of log10 f after/f before at middle σ: above 0 it rises, above 1 tenfold.

    On random labels the place of the peak stands beside the paper's; it is judged on the paper's images alone.
    """
    decades = measured.decades[:, measured.middle]
    mean, half = mean_and_half(decades)
    low, high, error = mean - half, mean + half, sample_mean(decades)[1]
    rise = Judgement(
        quantity=f"decades by which $f$ rises at $\\sigma$ = {measured.sigma[measured.middle]:.2g}",
        prediction=prediction,
        measurement=mean,
        verdict=sign_verdict(low, high, "positive", measured.diverged),
        standard_error=error,
        interval=(low, high),
        power=f"detects a rise of {detected(error, degrees=len(decades) - 1):.2g} with {POWER:.0%} power",
        note=f"a factor of {10**mean:.2g}",
    )
    found = [rise]
    if case.setting.network.layer_variances[0] < USUAL:
        tenfold = sign_verdict(low - TENFOLD, high - TENFOLD, "positive", measured.diverged)
        found.append(replace(rise, prediction="tenfold or more", verdict=tenfold, power=""))
    if case.setting.labels.kind == "classes":
        found.append(_peak(case, measured))
    return tuple(found)


def _peak(case: Case[Epochs], measured: FilterCurves) -> Judgement:
    low, high = measured.peak_interval()
    judged = paper_networks.is_paper(case.setting)
    ends = np.log([low / PAPER_PEAK, high / PAPER_PEAK])
    near = asymptotic_verdict(float(ends[0]), float(ends[1]), float(np.log(NEAR)), measured.diverged)
    return Judgement(
        quantity=r"$\sigma$ at which $f$ is largest after training",
        prediction=f"{PAPER_PEAK:.2g} on CIFAR-10 in the paper",
        measurement=measured.peak,
        interval=(low, high),
        verdict=near if judged else OUTSIDE,
        kind=None if judged else "outside",
        note="of the mean over networks; the interval is by resampling networks, and its ends are values of $\\sigma$"
        + ("" if judged else "; photographs have other eigenvalues"),
    )


def illustrate(outcomes: Outcomes[Epochs, str, FilterCurves]) -> Exhibits:
    """f at five epochs, on logarithmic axes; the factor by which it rises at small, middle and large σ."""
    return Exhibits((rise_table(outcomes),), (epochs_figure(outcomes),))


def rise_table(outcomes: Outcomes[Epochs, str, FilterCurves]) -> Table:
    """Decades between the first and the last reading at the smallest, the middle and the largest σ."""
    lasts = {outcome.case.study[-1] for outcome in outcomes}
    last = f"epoch {lasts.pop()}" if len(lasts) == 1 else "the last epoch"
    return table_of(
        "b3-rise",
        f"Decades by which the transfer function rises between initial weights and {last}, at the smallest, "
        "the middle and the largest $\\sigma$ of the patches, and where it rises most; means over networks with "
        "standard errors.",
        outcomes,
        text("case", lambda o: o.case.name),
        number(r"smallest $\sigma$", "decades", lambda o: sample_mean(o.measurement.decades[:, 0])),
        number(r"middle $\sigma$", "decades", lambda o: sample_mean(o.measurement.decades[:, o.measurement.middle])),
        number(r"largest $\sigma$", "decades", lambda o: sample_mean(o.measurement.decades[:, -1])),
        number("largest rise", "decades", lambda o: sample_mean(o.measurement.decades.max(axis=1))),
    )


def epochs_figure(outcomes: Outcomes[Epochs, str, FilterCurves]) -> Figure:
    """One panel per case: f over σ at every reading, with bands over networks."""
    given = any(paper_networks.is_paper(outcome.case.setting) for outcome in outcomes)
    besides = (
        "; the last panels are of the paper's own net on CIFAR-10, from He's initial law and from a tiny first layer"
        if given
        else ""
    )
    return Figure(
        name="b3-epochs",
        caption="The transfer function of filters on crops of photographs during training (the paper's Figure 4, "
        "centre and right, on a smaller net), over the eigenvalues of the patches of images that are standardised by "
        "channel, as there; on random and on real labels, from initial weights of two "
        f"sizes{besides}. Bands: 95 % intervals of the mean over networks.",
        panels=tuple(map(_panel, outcomes)),
    )


def _panel(outcome: Outcome[Epochs, str, FilterCurves]) -> Panel:
    measured = outcome.measurement
    series = tuple(
        Series(f"epoch {epoch}" if epoch else "initial weights", measured.sigma**2, *means_and_halves(f), "band")
        for epoch, f in zip(outcome.case.study, measured.f, strict=True)
    )
    return Panel(outcome.case.name, r"eigenvalue $\sigma^2$", r"$f(\sigma)$", series, xlog=True, ylog=True)


CLAIM = Claim(
    id="B3",
    title="$f$ on images",
    statement="On images $f$ rises over training at middle $\\sigma$, on random and on real labels, and from small "
    "initial weights more than tenfold.",
    reference="arXiv:2006.10455, Figure 4 (centre and right)",
    method="Filters are trained on crops of photographs, and $f$ is read at the $\\sigma$ in the middle of the "
    "logarithmic scale, before training and after 40 epochs. The rise holds when the 95 % interval of $\\log_{10}$ of "
    "the ratio, over networks, lies above 0. How far $f$ can rise depends on its initial value. So a tenfold rise is "
    "judged from tiny initial weights only, where the same interval must lie above 1; their standard deviation is the "
    "value at which the paper's curves end at small eigenvalues. On random labels the position of the largest $f$ is "
    "given beside the paper's, and is judged only on the paper's own images. `--budget paper --cifar10 DIR` adds the "
    f"paper's network on CIFAR-10, {paper_networks.NETWORKS} trainings on random and on real labels each, by the same "
    "rule; the paper does not give its initial law, so we take He's.",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
)
