"""The claims, in the order of their names. A new claim is one file in its family, named after it: `a1_equivariance`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from reports.claims import alignment, forms, shape, transfer
from reports.claims.claim import AnyClaim

FAMILIES = (alignment, shape, forms, transfer)


def _claims_of(family: ModuleType) -> Iterator[AnyClaim]:
    """The claims of a family: its modules whose names begin with a letter and a number."""
    for module in iter_modules(family.__path__):
        if re.match(r"[a-z]\d+_", module.name):
            yield import_module(f"{family.__name__}.{module.name}").CLAIM


CLAIMS: tuple[AnyClaim, ...] = tuple(
    sorted(
        (claim for family in FAMILIES for claim in _claims_of(family)),
        key=lambda claim: (claim.id[0], int(claim.id[1:])),
    )
)
