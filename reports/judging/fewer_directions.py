"""A setting of one hidden layer with fewer rows and directions and the same limit, to measure what the limit neglects.

With p times fewer rows and directions at p times the variance of initial weights, all is kept on which the limit of
many directions depends (theory/derivations.md, section 2.7), while its error of order 1/d is p times as large.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from theory.linear.population import spaces
from theory.network.dmft.problem import problem_of
from theory.setting import Setting


@dataclass(frozen=True)
class Fewer:
    """A smaller setting.

    Attributes
    ----------
    setting : Setting
    ratio : float
        p: how many directions of the larger one there are for each of this one, without those that dominate.
    explicit : int
        How many of the last distinct eigenvalues dominate.
    """

    setting: Setting
    ratio: float
    explicit: int


def fewer_directions(setting: Setting, parts: int) -> Fewer:
    """The setting with `parts` times fewer directions, rounded to whole ones, and as many times fewer rows per batch.

    Eigenvalues are means over as many neighbours, and keep their sum per direction. Directions that dominate are kept
    as they are. In the ntk parametrization, where the unit of the eigenvalues depends on d, they are divided for it.

    >>> from theory.setting import Data, Network
    >>> data = Data(kind="gaussian", spectrum=(1.0,) * 9 + (2.0,) * 9, samples=12)
    >>> third = fewer_directions(Setting(data=data, network=Network(kind="mlp", hidden=(3,))), 3).setting
    >>> third.data.spectrum, third.data.samples, third.network.layer_variances == (1.0, 1.0)
    ((1.0, 1.0, 1.0, 2.0, 2.0, 2.0), 4, True)
    """
    data, network, training = setting.data, setting.network, setting.training
    eigenvalues, explicit = np.sort(np.array(data.eigenvalues)), problem_of(setting).explicit
    _, first, _ = spaces(eigenvalues)
    bulk = first[len(first) - explicit] if explicit else len(eigenvalues)
    left = max(1, round(bulk / parts))
    ratio = bulk / left
    spectrum = np.concatenate([_means(eigenvalues[:bulk], left), eigenvalues[bulk:]])
    share = len(spectrum) / len(eigenvalues)
    initial, *rest = network.layer_variances
    if network.parametrization == "ntk":
        spectrum, initial = spectrum * share, initial * ratio
    else:
        initial *= ratio * share  # the variance of a weight is this over d
    samples, batch = data.samples, training.batch_size
    if samples != "online":
        samples = max(1, round(data.sample_count / ratio))
    if batch != "full":
        batch = max(1, round(batch / ratio))
    smaller = msgspec.structs.replace(
        setting,
        data=msgspec.structs.replace(data, spectrum=tuple(map(float, spectrum)), samples=samples),
        network=msgspec.structs.replace(network, init_variance=(initial, *rest)),
        training=msgspec.structs.replace(training, batch_size=batch),
    )
    return Fewer(smaller, ratio, explicit)


def _means(values: np.ndarray, count: int) -> np.ndarray:
    """Means over `count` equal stretches of ascending values, in which a value may count for a part."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.linspace(0, len(values), count + 1)
    return np.diff(np.interp(ends, np.arange(len(sums)), sums)) * (count / len(values))
