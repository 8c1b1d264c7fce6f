"""The report that is published with the project: whole, of a clean commit, and what README says of it is true."""

import csv
import json
import re

import pytest

from reports.claims import CLAIMS
from reports.files import file_name
from reports.record import count
from tests.paths import ROOT

PUBLISHED = ROOT / "reports" / "published"
RESULTS = json.loads((PUBLISHED / "results.json").read_text())
MISSES, ASIDE = "a8-ingredients", ("Muon", "L-BFGS")


def test_it_is_the_whole_report_of_the_full_budget():
    assert (RESULTS["budget"], RESULTS["seed"]) == ("full", 0)
    published = [claim["id"] for claim in RESULTS["claims"]]
    assert published == [claim.id for claim in CLAIMS if claim.id in published]  # a new claim is not published yet
    assert len(published) >= 25
    assert "/" not in RESULTS["command"]  # no folder of one machine
    assert re.fullmatch(r"[0-9a-f]{40}", RESULTS["provenance"]["commit"])  # nothing after it: no local changes


def test_every_figure_and_table_is_there_and_no_other():
    figures = {file_name(figure["name"]) for claim in RESULTS["claims"] for figure in claim["figures"]}
    assert {path.name for path in (PUBLISHED / "figures").iterdir()} == {f"{name}.svg" for name in figures}
    tables = {file_name(table["name"]) for claim in RESULTS["claims"] for table in claim["tables"]}
    there = {path.stem for path in (PUBLISHED / "tables").glob("*.tex")}
    assert tables <= there
    assert all(re.match(r"(summary|headlines|claims|outside|findings-)", name) for name in there - tables)


def test_counts_are_those_of_the_findings():
    verdicts = [finding["verdict"] for claim in RESULTS["claims"] for finding in claim["findings"]]
    assert RESULTS["counts"] == {verdict: verdicts.count(verdict) for verdict in count(())}
    with (PUBLISHED / "results.csv").open(newline="") as file:
        assert [row["verdict"] for row in csv.DictReader(file)] == verdicts


@pytest.mark.parametrize("page", ["README.md", "reports/published/README.md"])
def test_pages_tell_the_counts(page):
    counts = RESULTS["counts"]
    said = (
        f"{counts['holds']} findings hold, {counts['undecided']} are undecided, "
        f"{counts['outside the hypotheses']} lie outside the hypotheses; refuted: {counts['refuted']}."
    )
    assert said in " ".join((ROOT / page).read_text().split())


def test_the_picture_of_the_readme_is_published():
    (picture,) = re.findall(r"!\[[^]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert (ROOT / picture).parent == PUBLISHED / "figures"
    assert (ROOT / picture).is_file()


def test_provenance_is_told():
    text, origin = (PUBLISHED / "README.md").read_text(), RESULTS["provenance"]
    minutes = f"It took {RESULTS['seconds'] / 60:.0f} minutes"
    for value in (origin["commit"][:12], origin["torch"], origin["numpy"], origin["python"], minutes):
        assert value in text


def test_the_guide_tells_by_how_much_trainings_miss():
    """The shares in brackets, of every ingredient that does not commute; two of them have a paragraph of their own."""
    (rows,) = (table["rows"] for claim in RESULTS["claims"] for table in claim["tables"] if table["name"] == MISSES)
    published = {row[1]: 100 * row[3] for row in rows if row[2] == "no"}
    guide = (ROOT / "reports" / "site" / "guides" / "equivariance.md").read_text()
    told = {name: float(share) for name, share in re.findall(r"([\w ,-]+?) \(([\de.+]+) %\)", guide)}
    told = {name.removeprefix(",").strip(): share for name, share in told.items()}
    assert told == {name: pytest.approx(published[name], rel=0.1) for name in published if name not in ASIDE}
