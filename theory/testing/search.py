"""The smallest violation that an energy test detects with a given probability, found by search in planted ensembles.

Three things vary from ensemble to ensemble, and all of them reduce power: the noise of the mean, the test's critical
value, and the answer itself, which was read from an ensemble of the same size. The search lets all three vary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from theory.errors import InvalidInput
from theory.testing.null_energy import energy_critical

Attempt = Callable[[float], tuple[np.ndarray, np.ndarray, float]]
_HALVINGS = 30


def check_level_and_power(level: float, power: float) -> None:
    """Raise InvalidInput unless both lie between 0 and 1."""
    if not 0 < level < 1 or not 0 < power < 1:
        raise InvalidInput("level, power", (level, power), "must lie between 0 and 1")


@dataclass(frozen=True, eq=False)
class Search:
    """The smallest size of a violation that is detected in a share `power` of ensembles.

    Attributes
    ----------
    level, power : float
    critical : ndarray, shape (n,)
        The critical value in other ensembles without violation.
    answer : ndarray, shape (n,)
        The results of the search in other ensembles, as multiples of its result in this one.
    """

    level: float
    power: float
    critical: np.ndarray
    answer: np.ndarray

    @classmethod
    def over(
        cls,
        energies: np.ndarray,
        degrees: np.ndarray,
        level: float,
        power: float,
        draws: int,
        generator: np.random.Generator,
    ) -> Search:
        """A search in ensembles whose blocks are drawn from those of this one, with the energies of `energy_critical`.

        Sizes are proportional to the noise, so results vary as the roots of critical values do.
        """
        count = len(energies)
        # K − 1 of K blocks, drawn with replacement, vary as K fresh ones do
        copies = generator.multinomial(count - 1, np.full(count, 1 / count), size=(2, draws)) * (count / (count - 1))
        here = float(energy_critical(energies, degrees, level)[0])
        if here == 0:
            return cls(level, power, np.zeros(draws), np.ones(draws))
        tested, named = (energy_critical(energies, degrees, level, each) for each in copies)
        return cls(level, power, tested, np.sqrt(named / here))

    def smallest(self, trial: Attempt, low: float, high: float, scale: np.ndarray | None = None) -> float | None:
        """The size between `low` and `high`, by bisection on a logarithmic scale; None if not even `high` is detected.

        `trial(size)` gives the coordinates (n, P) of the noise of n means, those of the effect (P,), and the critical
        value; `scale` (n,) are the factors by which the effect may be larger or smaller than estimated.
        """
        factors = self.answer if scale is None else self.answer * scale
        rest = float(np.mean(self.critical))

        def found(size: float) -> bool:
            noise, effect, critical = trial(size)
            if not np.any(effect):
                return False
            energies = np.sum((noise + factors[:, None] * effect) ** 2, axis=1)
            # what a violation adds to the critical value is due to the mean that an ensemble turns out to have
            planted = factors + noise @ effect / (effect @ effect)
            needed = self.critical + max(critical - rest, 0.0) * planted**2
            return bool(np.mean(energies >= needed) >= self.power)

        if not found(high):
            return None
        for _ in range(_HALVINGS):
            middle = float(np.sqrt(low * high))
            low, high = (low, middle) if found(middle) else (middle, high)
        return high
