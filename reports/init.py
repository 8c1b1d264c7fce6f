"""First-layer weights drawn from a covariance that is aligned with the data: an application of claim C2.

The covariance of weights trained on random labels comes from the data alone, through the f of a linear model; from a
setting, through its closed form or an ensemble; or from an ensemble in a store. There is one function per source that
returns a law of weights, and `draw_layer` draws from any of them; `init` does both in one call.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import simulate
import theory
from reports.check.data import ReadSamples, open_samples, samples
from reports.check.moments import DataMoment, data_moment
from reports.check.weights import WeightVectors
from reports.judging.verify import fixed_rows
from simulate.aligned_draws import draw_weights, of_norm
from theory.eigenspaces import eigenspaces
from theory.errors import InvalidInput, NoClosedForm
from theory.linear.flow import flow_variances
from theory.linear.shape import flow_peak, flow_shape
from theory.prediction import Prediction
from theory.setting import Setting
from theory.shape import FLAT

FLOW = "linear-flow"
SIMULATED = "simulated"
_LARGEST_DIMENSION = 2**13  # covariances of 512 MiB
_MOST_WEIGHTS = 2**28
_MEAN_SHARE = 0.01

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class WeightLaw:
    """N(0, Σ_w) up to a factor, which the norm of the drawn weights determines.

    Attributes
    ----------
    covariance : ndarray, shape (d, d)
        Σ_w, positive semidefinite, not zero.
    formula : str
        "linear-flow", the name of a closed form, or "simulated".
    explanation : str
        Which f was used, in words.
    warnings : tuple of str
    source : str
        The file or folder that it was made from.
    """

    covariance: np.ndarray
    formula: str
    explanation: str
    warnings: tuple[str, ...] = ()
    source: str = ""


def law_of_data(
    rows: Any,
    shape: Sequence[int],
    *,
    time: float | None = None,
    initial: float = 0.0,
    center: bool = False,
    channels_last: bool = False,
    dilation: int = 1,
) -> WeightLaw:
    """The weights that a linear model trained on random labels would have on these data, up to a factor.

    In gradient flow Σ_w = (σ_y² ηt/n) F_c(ηt A) with A the second moment of the data about zero, of its patches for
    filters, and F_c(u) = (1 − e^{−u})²/u + c e^{−2u}, c = σ_0² n/(σ_y² ηt) (theory/derivations.md, section 1.7). Exact
    for such a model on rows; for patches, it treats every one as a row with its own label. Up to a factor, two numbers
    determine the law, the coordinates of the phase diagram of f:

    - c, the initial weights relative to what the labels have written. By default 0: initial weights carry no alignment,
      and their share varies between networks.
    - ηt s_max, s_max the largest eigenvalue of A. By default 1.2564…, where e^u = 1 + 2u: the longest training after
      which f, with c = 0, rises on all of the data, σ_i by σ_i; after less training f is closer to f ∝ σ.

    Parameters
    ----------
    rows : array or tensor
        The input of the layer: (n, d) rows, or images (n, C, H, W) for filters.
    shape : (m, d), (m, C, k) or (m, C, kh, kw)
        Shape of the weights.
    time, initial : float
        ηt s_max > 0 and c >= 0.
    center : bool
        Subtract the mean of the data.
    channels_last : bool
        Images are stored as (n, H, W, C).
    dilation : int
        Dilation of the convolution.


    Raises
    ------
    InvalidInput
        If shapes do not fit, data never vary or are not finite, or ηt s_max or c is out of range.

    Examples
    --------
    >>> law = law_of_data(np.diag([1.0, 2.0]), (100, 2), time=1.0, initial=0.5)
    >>> float((law.covariance[0, 0] / law.covariance[1, 1]).round(4))  # F_½(¼)/F_½(1): A has the eigenvalues ½ and 2
    1.0679
    """
    layer = _layer(shape)
    return _of_stream(samples(rows, layer, channels_last=channels_last), time, initial, center, dilation, False)


def law_of_file(
    source: str,
    shape: Sequence[int],
    *,
    time: float | None = None,
    initial: float = 0.0,
    center: bool = False,
    channels_last: bool = False,
    dilation: int = 1,
    progress: bool = False,
) -> WeightLaw:
    """`law_of_data` for FILE[:KEY] or a folder of images, read in blocks; nothing in a file is run."""
    layer = _layer(shape)
    return _of_stream(
        open_samples(source, layer, channels_last=channels_last), time, initial, center, dilation, progress
    )


def law_of_setting(
    setting: Setting,
    shape: Sequence[int],
    *,
    formula: str | None = None,
    replicas: int | None = None,
    progress: bool = False,
) -> WeightLaw:
    """Σ_w after the last step of a setting: from its closed form or, if none applies, from an ensemble.

    A form that predicts τ alone gives Σ_w = Σ_i τ_i P_i, P_i the spectral projectors of the data. A `formula` that does
    not apply is an error; `replicas` is the size of the ensemble.

    Raises
    ------
    InvalidInput
        If the weights have another dimension, the form predicts a negative variance, or the ensemble diverges.
    """
    population = simulate.population(setting)
    _fit(shape, len(population.second_moment), f"the setting's weights ({population.dropped} coordinates never vary)")
    rows = fixed_rows(setting)
    try:
        prediction = theory.predict(setting, rows=rows, formula=formula)
    except NoClosedForm:
        if formula is not None:
            raise
        log.info("no closed form applies: an ensemble of the setting is simulated")
        return _simulated(simulate.run(setting, replicas=replicas, progress=progress), "no closed form applies: ")
    moment = population.covariance if setting.data.law_mean else population.second_moment
    return _predicted(prediction, moment if rows is None else rows.T @ rows / len(rows))


def law_of_store(folder: str | Path, shape: Sequence[int]) -> WeightLaw:
    """Σ_w after the last step of the ensemble that a store holds; see `simulate.merge`."""
    simulation = simulate.merge(folder)
    _fit(shape, len(simulation.data_moment), "the weights in the store")
    return _simulated(simulation, "")


def vectors_of(shape: Sequence[int]) -> tuple[int, int]:
    """(m, d), the number and length of the vectors in weights of this shape; InvalidInput if there are none."""
    if len(shape) not in (2, 3, 4) or min(shape) < 1:
        raise InvalidInput("shape", tuple(shape), "must be M,D of a dense layer, or M,C,K or M,C,KH,KW of filters")
    m, d = shape[0], math.prod(shape[1:])
    if d > _LARGEST_DIMENSION:
        rule = f"must have at most {_LARGEST_DIMENSION} numbers a vector: a covariance has the square of them"
        raise InvalidInput("shape", tuple(shape), rule)
    if m * d > _MOST_WEIGHTS:
        raise InvalidInput("shape", tuple(shape), f"must hold at most {_MOST_WEIGHTS} numbers")
    return m, d


def frobenius(norm: float | None, shape: Sequence[int]) -> float:
    """The Frobenius norm that is meant; by default sqrt(m/3): that of what torch draws for a Linear or a convolution,
    entries of variance 1/(3 fan_in), as a root mean square. He's is sqrt(2m).

    >>> frobenius(None, (300, 2))
    10.0
    """
    wanted = math.sqrt(shape[0] / 3) if norm is None else norm
    if not 1e-30 < wanted < 1e30:
        raise InvalidInput("norm", norm, "must lie between 1e-30 and 1e30: weights are stored in single precision")
    return wanted


def draw_layer(law: WeightLaw, shape: Sequence[int], *, norm: float | None = None, seed: int = 0) -> np.ndarray:
    """Weights of this shape, in single precision: m independent vectors N(0, Σ_w), all scaled to one Frobenius norm.

    The norm is that of `frobenius`. The same bits for a seed, on one machine and library.

    >>> w = draw_layer(WeightLaw(np.diag([1.0, 4.0]), "by hand", ""), (300, 2))
    >>> w.shape, float(np.linalg.norm(w).round(4))
    ((300, 2), 10.0)
    """
    _fit(shape, len(law.covariance), "vectors of this covariance")
    wanted = frobenius(norm, shape)
    if seed < 0:
        raise InvalidInput("seed", seed, "must not be negative")
    # only its shape matters, and squares of very small or large entries would leave the range of numbers
    covariance = law.covariance / np.trace(law.covariance)
    vectors = draw_weights(covariance, shape[0], np.random.default_rng(seed))
    return of_norm(vectors, wanted).astype(np.float32).reshape(tuple(shape))


def init(source: Any, shape: Sequence[int], *, norm: float | None = None, seed: int = 0) -> np.ndarray:
    """First-layer weights of this shape whose covariance is aligned with the data, drawn by `draw_layer`.

    Parameters
    ----------
    source : array or tensor, Setting, or WeightLaw
        The input of the layer, for `law_of_data` with its defaults; a setting, for `law_of_setting` with its defaults;
        or a law from any of the functions here, which take further options.
    shape : (m, d), (m, C, k) or (m, C, kh, kw)
    norm : float or None
        Frobenius norm; that of `frobenius` if None.
    seed : int
        Seed of the draw.


    Examples
    --------
    >>> rows = np.random.default_rng(0).standard_normal((500, 3)) * [1.0, 2.0, 3.0]
    >>> w = init(rows, (1000, 3))
    >>> w.dtype, bool((np.diff((w**2).sum(axis=0)) > 0).all())  # f rises
    (dtype('float32'), True)
    """
    if isinstance(source, Setting):
        source = law_of_setting(source, shape)
    elif not isinstance(source, WeightLaw):
        source = law_of_data(source, shape)
    return draw_layer(source, shape, norm=norm, seed=seed)


def _fit(shape: Sequence[int], dimension: int, whose: str) -> None:
    _, d = vectors_of(shape)
    if d != dimension:
        raise InvalidInput("shape", tuple(shape), f"must have {dimension} numbers a vector, as {whose} have, not {d}")


def _layer(shape: Sequence[int]) -> WeightVectors:
    """A layer of this shape without vectors, on which its view of the data does not depend."""
    _, d = vectors_of(shape)
    kernel = None if len(shape) == 2 else (shape[1], 1 if len(shape) == 3 else shape[2], shape[-1])
    return WeightVectors(np.empty((0, d)), kernel)


def _of_stream(
    stream: ReadSamples, time: float | None, initial: float, center: bool, dilation: int, progress: bool
) -> WeightLaw:
    u = flow_peak(0.0) if time is None else time
    assert u is not None  # there is a peak for c = 0
    if not 0 < u < math.inf:
        raise InvalidInput("time", time, "must be positive and finite: nothing is learnt, and nothing aligned, at 0")
    if not 0 <= initial < math.inf:
        raise InvalidInput("initial", initial, "must be finite and not negative")
    moment = data_moment(stream, dilation=dilation, progress=progress)
    return _flow(moment.centre() if center else moment, u, initial)


def _flow(moment: DataMoment, u: float, c: float) -> WeightLaw:
    """F_c(u A/s_max); coordinates that never vary are directions without variance, and F_c(0) = c."""
    spaces = eigenspaces(moment.second_moment)
    s = np.where(spaces.eigenvalues <= spaces.gap, 0.0, spaces.eigenvalues) / float(spaces.eigenvalues[-1])
    variances = np.repeat(flow_variances(1.0, u * s, samples=1, sigma_y2=1.0, initial=c), spaces.multiplicity)
    covariance = np.diag(np.full(len(moment.varies), c))
    covariance[np.ix_(moment.varies, moment.varies)] = (spaces.basis * variances) @ spaces.basis.T
    lowest = 0.0 if moment.dropped else u * float(s[0])
    shape = flow_shape(c, lowest, u) if lowest < u else FLAT
    explanation = (
        "a linear model in gradient flow on random labels, f(σ)² ∝ (1 − e^(−u))²/u + c e^(−2u) with "
        f"u = {u:.6g} σ²/σ_max² and c = {c:g}: {shape}"
    )
    warnings = []
    if moment.dropped:
        warnings.append(f"{moment.dropped} coordinates never vary in the data and count as directions without variance")
    if not moment.centred and moment.mean_share > _MEAN_SHARE:
        warnings.append(
            f"the mean makes up {moment.mean_share:.0%} of the data's second moment: give the data as the network will "
            "see them, or centre them (--center)"
        )
    return _law(covariance, FLOW, explanation, warnings)


def _predicted(prediction: Prediction, data: np.ndarray) -> WeightLaw:
    """Σ_w of the last reading; `data` (d, d) is the matrix in whose eigenspaces τ is given."""
    reading = prediction.readings[-1]
    covariance, detail = reading.second_moment, ""
    if covariance is None:
        _, basis = np.linalg.eigh(data)
        covariance = (basis * np.repeat(reading.tau, reading.multiplicity)) @ basis.T
        detail = ", which gives τ in the eigenspaces of the data"
    explanation = f"closed form ({prediction.status}) after step {reading.step}{detail}"
    return _law(covariance, prediction.formula, explanation, prediction.neglected)


def _simulated(simulation: simulate.Simulation, why: str) -> WeightLaw:
    reading = simulation.readings[-1]
    if not reading.replicas:
        rate = simulation.setting.training.learning_rate
        raise InvalidInput("training.learning_rate", rate, "lets every replica diverge")
    lost = [f"{simulation.diverged} replicas diverged and are left out"] if simulation.diverged else []
    networks = "network" if reading.replicas == 1 else "networks"
    explanation = f"{why}Σ_w of {reading.replicas} simulated {networks} after step {reading.step}"
    return _law(reading.second_moment, SIMULATED, explanation, lost)


def _law(covariance: np.ndarray, formula: str, explanation: str, warnings: Sequence[str]) -> WeightLaw:
    """The law, checked: finite, nonzero, no negative variance; with a warning about directions without weight."""
    d = len(covariance)
    if not np.isfinite(covariance).all():
        raise InvalidInput("covariance", "nan or inf", f"must be finite: {formula} does not stay so")
    values = np.linalg.eigvalsh(covariance)
    tolerance = 64 * d * np.finfo(float).eps * max(abs(float(values[0])), float(values[-1]))
    if values[0] < -tolerance:
        rule = f"{formula} predicts a negative variance, being outside its regime here: choose another formula"
        raise InvalidInput("covariance", float(values[0]), rule)
    if not 0 < np.trace(covariance) < math.inf:
        raise InvalidInput("covariance", 0.0, f"{formula} predicts weights that are all zero")
    empty = int(np.sum(values <= tolerance))
    said = [*warnings, f"{empty} of {d} directions get no weight"] if empty else warnings
    return WeightLaw(covariance, formula, explanation, tuple(said))
