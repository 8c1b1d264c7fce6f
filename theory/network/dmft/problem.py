"""The inputs of the limit of many rows and directions: the constants of a setting, and one step of its optimizer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theory.linear.hypotheses import init_variances
from theory.linear.population import population_spectrum, spaces
from theory.setting import Labels, Setting, Training

DOMINANT = 0.12  # the share of the variance of rows that a direction may have at most without being explicit
MOST_EXPLICIT = 6  # the most directions that may be explicit


@dataclass(frozen=True, eq=False)
class Problem:
    """One hidden layer, f_c = c_2 Σ_j a_jc φ(w_j·x), trained on random labels: all that the limit depends on.

    Attributes
    ----------
    eigenvalues : ndarray, shape (k,)
        The distinct eigenvalues λ of the second moment of rows in units of the raw weights, ascending.
    multiplicity : ndarray, shape (k,)
        How many directions have it; the weights of a quadrature where eigenvalues are its nodes.
    samples : int
        n rows; with fresh rows, those of one update.
    fresh : bool
        Whether every update sees new rows.
    batch : float
        B/n, the share of rows in a batch.
    width, outputs : int
        m and C.
    s0 : float
        The variance of a coordinate of w_j at the start.
    sa : float
        The variance of a_jc at the start.
    scale : float
        c_2: 1, or 1/√m in the ntk parametrization.
    both : bool
        Whether output weights are trained.
    activation : str
    labels : Labels
    training : Training
    explicit : int
        How many of the last eigenvalues have a share of order 1 of a row's variance: `theory.network.dmft.explicit`.
    bias : bool
        Whether neurons have biases, from 0: `theory.network.dmft.biases`; and outputs, if the output layer is trained.
    """

    eigenvalues: np.ndarray
    multiplicity: np.ndarray
    samples: int
    fresh: bool
    batch: float
    width: int
    outputs: int
    s0: float
    sa: float
    scale: float
    both: bool
    activation: str
    labels: Labels
    training: Training
    explicit: int = 0
    bias: bool = False

    @property
    def bulk(self) -> slice:
        """The eigenvalues that are not explicit."""
        return slice(0, len(self.eigenvalues) - self.explicit)

    @property
    def effective_dimension(self) -> float:
        """(Σ λ)²/Σ λ² of the bulk, the number of directions that share a row's variance without explicit ones."""
        levels = self.eigenvalues[self.bulk]
        weighted = self.multiplicity[self.bulk] * levels
        return float(weighted.sum() ** 2 / (weighted @ levels))

    @property
    def largest_share(self) -> float:
        """λ_max/Σ λ of the bulk, the share of the largest direction in the variance without explicit ones."""
        levels = self.eigenvalues[self.bulk]
        return float(levels[-1] / (self.multiplicity[self.bulk] @ levels))


def problem_of(setting: Setting) -> Problem:
    """The constants of a setting of one hidden layer on rows that are not fixed."""
    s = population_spectrum(setting)
    order, first, multiplicity = spaces(s)
    sizes = np.array(multiplicity)
    network, width = setting.network, setting.network.widths[0]
    ntk, fresh = network.parametrization == "ntk", setting.data.samples == "online"
    variance = network.layer_variances[1]
    samples = setting.batch_rows if fresh else setting.data.sample_count
    eigenvalues = np.add.reduceat(s[order], first) / sizes
    return Problem(
        eigenvalues=eigenvalues,
        multiplicity=sizes,
        samples=samples,
        fresh=fresh,
        batch=1.0 if fresh else setting.batch_rows / samples,
        width=width,
        outputs=setting.output_count,
        s0=float(init_variances(setting, len(s))[0]),
        sa=variance if ntk else variance / width,
        scale=width**-0.5 if ntk else 1.0,
        both=network.train == "all",
        activation=network.activation,
        labels=setting.labels,
        training=setting.training,
        explicit=dominant(eigenvalues, sizes),
        bias=network.bias,
    )


def dominant(eigenvalues: np.ndarray, multiplicity: np.ndarray) -> int:
    """How many of the last eigenvalues are explicit: those with more than 12 % of the remaining trace per direction.

    The remaining trace is that without larger eigenvalues. At most 6 directions in all.

    >>> dominant(np.array([1.0, 9.0, 70.0]), np.array([40, 1, 1]))
    2
    """
    count = 0
    for last in range(len(eigenvalues) - 1, 0, -1):
        left = multiplicity[: last + 1] @ eigenvalues[: last + 1]
        if eigenvalues[last] <= DOMINANT * left or multiplicity[last:].sum() > MOST_EXPLICIT:
            break
        count += 1
    return count


def moved(
    training: Training, step: int, weights: np.ndarray, velocity: np.ndarray, gradient: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weights and velocity after update number `step` by a gradient without weight decay; any shapes.

        g ← g + λ w,   v ← μ v + g,   w ← w − η v,   or w − η (g + μ v) with Nesterov.

    Linear in its arguments: responses obey it as well as weights do.

    >>> after = moved(Training(learning_rate=0.5, momentum=0.5), 0, np.ones(1), np.full(1, 2.0), np.full(1, 3.0))
    >>> [part.tolist() for part in after]
    [[-1.0], [4.0]]
    """
    gradient = gradient + training.weight_decay * weights
    velocity = training.momentum * velocity + gradient
    push = gradient + training.momentum * velocity if training.nesterov else velocity
    return weights - training.learning_rate_at(step) * push, velocity
