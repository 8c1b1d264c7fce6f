"""How the error of the limit of many directions falls with their number d, everything else kept that it depends on.

In the ntk parametrization the limit depends on the spectrum of the rows, on n/d, on the batch over n and on the
learning rate over d. Networks of several d with the same proportions thus have one limit, and differ from it by the
terms that it neglects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from scipy import optimize, stats

from reports.claims.forms.lazy_evidence import CLEAR, FittedPower
from reports.judging.estimate import data_eigenspaces
from reports.judging.intervals import mean_with_error
from simulate.results import Simulation
from theory.eigenspaces import weight_variances
from theory.setting import Setting


def of_size(setting: Setting, directions: int) -> Setting:
    """A setting of fewer directions with the same limit; its eigenvalues are evenly taken from the sorted spectrum.

    >>> from theory.setting import Data, Training
    >>> whole = Setting(data=Data(kind="gaussian", spectrum=(1.0,) * 4 + (2.0,) * 4, samples=24))
    >>> half = of_size(whole, 4)
    >>> half.data.spectrum, half.data.samples, half.training.learning_rate / whole.training.learning_rate
    ((1.0, 1.0, 2.0, 2.0), 12, 0.5)
    """
    data, training = setting.data, setting.training
    spectrum = sorted(data.eigenvalues)
    by = len(spectrum) // directions
    size = training.batch_size
    return msgspec.structs.replace(
        setting,
        data=msgspec.structs.replace(data, spectrum=tuple(spectrum[::by]), samples=data.sample_count // by),
        training=msgspec.structs.replace(
            training, learning_rate=training.learning_rate / by, batch_size=size if size == "full" else size // by
        ),
    )


@dataclass(frozen=True, eq=False)
class SizeChange:
    """What training has changed in networks of one size.

    Attributes
    ----------
    directions, replicas, diverged : int
    counts : ndarray of int, shape (K,)
        The number of replicas in each block.
    multiplicity : ndarray, shape (k,)
    changes : ndarray, shape (K, k)
        Block means of τ − τ_0 by eigenspace, each replica's own initial value subtracted.
    """

    directions: int
    replicas: int
    diverged: int
    counts: np.ndarray
    multiplicity: np.ndarray
    changes: np.ndarray

    @property
    def degrees(self) -> int:
        """The degrees of freedom of the standard errors between blocks."""
        return len(self.counts) - 1

    @property
    def change(self) -> tuple[np.ndarray, np.ndarray]:
        """τ − τ_0 and its standard error, (k,) each."""
        return mean_with_error(self.changes, self.counts)

    def gap(self, predicted: np.ndarray) -> tuple[float, float]:
        """The part of a predicted change (k,) that is too much, and its standard error.

        The coefficient of the predicted change in predicted less measured, by least squares over all directions.
        """
        along = self.weights(predicted)
        mean, error = mean_with_error(self.changes @ along, self.counts)
        return 1 - float(mean), float(error)

    def weights(self, predicted: np.ndarray) -> np.ndarray:
        """The weights by which values (k,) are summed to their coefficient of the predicted change."""
        return np.asarray(self.multiplicity * predicted / np.sum(self.multiplicity * predicted**2))


def size_change(simulation: Simulation) -> SizeChange:
    """The change between the first reading of a simulation, at step 0, and its last one."""
    spaces = data_eigenspaces(simulation)
    first, last = simulation.readings[0], simulation.readings[-1]
    before, after = (weight_variances(spaces, each.second_moments) for each in (first, last))
    return SizeChange(
        directions=len(simulation.data_moment),
        replicas=simulation.replicas,
        diverged=simulation.diverged,
        counts=last.counts,
        multiplicity=np.array(spaces.multiplicity),
        changes=after - before,
    )


def power_of_size(sizes: Sequence[SizeChange], predicted: np.ndarray, uncertain: np.ndarray) -> FittedPower | None:
    """The power of d with which the gap falls, by generalised least squares over the sizes, ascending.

    The prediction has standard errors, `uncertain` (k,): one number for all sizes, and so a common error of their gaps.
    None where no gap is seen at the smallest size.
    """
    d = np.array([each.directions for each in sizes], dtype=float)
    gaps, errors = np.array([each.gap(predicted) for each in sizes]).T
    common = float(np.abs(sizes[-1].weights(predicted)) @ uncertain)
    if not abs(gaps[0]) > CLEAR * np.hypot(errors[0], common):
        return None
    root = np.linalg.cholesky(np.diag(errors**2) + common**2)

    def residuals(parameters: np.ndarray) -> np.ndarray:
        size, power = parameters
        return np.asarray(np.linalg.solve(root, gaps - size * (d / d[0]) ** power))

    fit = optimize.least_squares(residuals, [gaps[0], -1.0])
    covariance = np.linalg.inv(fit.jac.T @ fit.jac)
    quality = float(stats.chi2.sf(2 * fit.cost, len(d) - 2))
    degrees = min(each.degrees for each in sizes)
    return FittedPower(float(fit.x[1]), float(np.sqrt(covariance[1, 1])), degrees, quality)
