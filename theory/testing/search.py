"""The smallest violation that an energy test finds with a given probability, searched in ensembles that carry it.

Three things vary from ensemble to ensemble, and all of them cost power: the noise of the mean, the test's critical
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
    """The smallest size of a violation that is found in a share `power` of ensembles.

    Attributes
    ----------
    level, power : float
    critical : ndarray, shape (n,)
        The critical value in other ensembles without violation.
    answer : ndarray, shape (n,)
        What the search itself would answer in other ensembles, as multiples of what it answers in this one.
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
        """In ensembles whose blocks are drawn from those of this one, with the energies of `energy_critical`.

        Sizes are in proportion to the noise, so that answers vary as roots of critical values do.
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
        """Between `low` and `high`, by bisection on a logarithmic scale; None where not even `high` is found.

        `trial(size)` gives the coordinates (n, P) of the noise of n means, those of the effect (P,), and the critical
        value; `scale` (n,) by which factors the effect may be larger or smaller than it is estimated.
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
