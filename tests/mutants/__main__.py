"""`python -m tests.mutants` plants a sample of mutants, and prints those that survive and the score of every area."""

from __future__ import annotations

import argparse
from collections import Counter

from tests.mutants.areas import AREAS, modules
from tests.mutants.equivalents import equivalents, judged
from tests.mutants.mutants import sample
from tests.mutants.trial import Trials, copy
from tests.paths import ROOT


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("areas", nargs="*", default=[*AREAS], help="areas, folders or modules; all areas if none")
    parser.add_argument("--sample", type=int, default=50, metavar="N", help="how many mutants of each (50)")
    parser.add_argument("--seed", type=int, default=0, help="of the sample (0)")
    parser.add_argument(
        "--near-only", action="store_true", help="spare survivors all tests that do not use their module: a lower bound"
    )
    options = parser.parse_args()
    known = equivalents()
    scores = []
    with copy(ROOT) as place:
        trials = Trials(place)
        for area in options.areas:
            fates: Counter[str] = Counter()
            chosen = sample(place, modules(place, AREAS.get(area, area)), options.sample, options.seed)
            for number, mutant in enumerate(chosen, start=1):
                diff = mutant.diff(place)
                same = judged(mutant.module.as_posix(), diff, known)
                fate = "equivalent" if same else trials.fate(mutant, near_only=options.near_only)
                fates[fate] += 1
                print(f"{area} {number}/{len(chosen)} {mutant.module}:{mutant.line} {fate}", flush=True)
                if fate == "survived":
                    print(diff, flush=True)
            trials.confirm()
            scores.append(line(area, fates))
    print(f"seed {options.seed}", *scores, sep="\n")


def line(area: str, fates: Counter[str]) -> str:
    """The score of an area: the share of the mutants that are no equivalents which a test has noticed."""
    noticed = fates["killed"] + fates["timed out"]
    count = noticed + fates["survived"]
    share = f"{noticed / count:.1%}" if count else "nothing to score"
    others = f"{fates['timed out']} of them by their time; {fates['equivalent']} equivalent"
    return f"{area}: {noticed} of {count} noticed, {share}, {others}"


if __name__ == "__main__":
    main()
