"""`python -m tests.calibration` counts every study and prints the table of the guide, a line per study."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.calibration.studies import STUDIES
from tests.calibration.study import Rate, count
from tests.calibration.table import markdown


def _counted(index: int) -> tuple[int, int]:
    rate = count(STUDIES[index])
    return rate.hits, rate.draws


if __name__ == "__main__":
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("fork")) as pool:
        counted = pool.map(_counted, range(len(STUDIES)))
        print(markdown([Rate(study, *pair) for study, pair in zip(STUDIES, counted, strict=True)]))
