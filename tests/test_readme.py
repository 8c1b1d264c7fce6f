"""The README does what it says: its files and commands give the output it shows; what pages name exists."""

import json
import re
from collections import Counter
from itertools import pairwise

import pytest

from reports.claims import alignment, forms, shape, transfer
from reports.claims.claim import Claim
from reports.findings import Verdict
from tests.paths import ROOT
from tests.reports.site.guides import FENCE, tell

README = (ROOT / "README.md").read_text()
NETWORK = (ROOT / "reports" / "site" / "guides" / "network.md").read_text()
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?(?![\w])")
FAMILIES = {"alignment": alignment, "shape": shape, "forms": forms, "transfer": transfer}
VERDICTS: tuple[Verdict, ...] = ("holds", "refuted", "undecided", "outside the hypotheses")


def blocks(language: str) -> list[str]:
    return [content for kind, _, content in FENCE.findall(README) if kind == language]


def shown() -> list[tuple[str, str]]:
    """Every command and the output below it."""
    found = [(language, content) for language, _, content in FENCE.findall(README)]
    return [(first[1], then[1]) for first, then in pairwise(found) if (first[0], then[0]) == ("sh", "text")]


def assert_alike(printed: str, said: str) -> None:
    """The same words, and the same numbers to three digits: other machines give other last bits.

    A last line of … in `said` stands for the rest of what is printed.
    """
    printed, said = " ".join(printed.split()), " ".join(said.split())
    whole, said = not said.endswith("…"), said.removesuffix("…").strip()
    numbers = [float(number) for number in NUMBER.findall(printed)]
    words, expected = NUMBER.sub("#", printed), NUMBER.sub("#", said)
    assert words == expected if whole else words.startswith(expected)
    wanted = [float(number) for number in NUMBER.findall(said)]
    assert numbers[: len(wanted)] == pytest.approx(wanted, rel=5e-3)


def test_commands_print_what_is_shown(tmp_path):
    """The README's own files and commands; the network that is checked is the one its guide trains."""
    training = next(content for language, _, content in FENCE.findall(NETWORK) if language == "python")
    tell(f"```python\n{training}```\n", tmp_path)
    for file, content in re.findall(r"```toml (\S+)\n(.*?)```", README, flags=re.DOTALL):
        (tmp_path / file).write_text(content)
    commands = shown()
    assert [command.split()[1] for command, _ in commands] == ["verify", "check"]
    for command, said in commands:
        (printed,) = tell(f"```sh\n{command}```\n", tmp_path)
        assert_alike(printed, said)


@pytest.mark.parametrize(
    ("printed", "said"),
    [("M 0.431", "M 0.422"), ("M 1 and f 2", "M 1"), ("aligned", "not aligned"), ("M 1\nf 2", "M 1\ng …")],
)
def test_other_output_is_seen(printed, said):
    with pytest.raises(AssertionError):
        assert_alike(printed, said)


def test_rounding_and_what_is_left_out_are_allowed():
    assert_alike("M  0.4221, p 1e-06\nf 3", "M 0.422, p 1e-06\n…")


def test_every_command_is_run_or_known():
    """Blocks of sh have their output below them, or are targets of the Makefile."""
    makefile = (ROOT / "Makefile").read_text()
    seen = [command for command, _ in shown()]
    targets = []
    for block in blocks("sh"):
        if block not in seen:
            targets += [re.fullmatch(r"make ([\w-]+)(?: +#.*)?", line).group(1) for line in block.splitlines()]
    assert {"report", "test"} <= set(targets)
    assert all(f"\n{target}:" in makefile for target in targets)
    assert {language for language, _, _ in FENCE.findall(README)} == {"sh", "toml", "text", "bibtex"}


def test_links_point_to_files():
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_families_are_counted():
    """The README's table has the verdicts of the published report by family; a new report changes these rows."""
    results = json.loads((ROOT / "reports" / "published" / "results.json").read_text())
    findings = {claim["id"]: [finding["verdict"] for finding in claim["findings"]] for claim in results["claims"]}
    rows = {row[0]: row[2:] for row in re.findall(r"^\| (\w+) \| (.+\?) \| (.*) \|$", README, flags=re.MULTILINE)}
    counted = {}
    for family, package in FAMILIES.items():
        claims = [
            module.CLAIM.id for module in vars(package).values() if isinstance(getattr(module, "CLAIM", None), Claim)
        ]
        verdicts = Counter(verdict for claim in claims for verdict in findings.get(claim, ()))
        counted[family] = (" | ".join(str(verdicts[verdict]) for verdict in VERDICTS),)
    assert rows == counted


@pytest.mark.parametrize("page", ["theory/derivations.md", "CONTRIBUTING.md"])
def test_tests_that_pages_name_exist(page):
    named = re.findall(r"\btests/[\w/]+\.py\b", (ROOT / page).read_text())
    assert named
    assert not [path for path in named if not (ROOT / path).is_file()]


def test_the_guide_lists_every_claim():
    guide = (ROOT / "reports" / "site" / "guides" / "claims.md").read_text()
    packages = [module for package in FAMILIES.values() for module in vars(package).values()]
    known = {module.CLAIM.id for module in packages if isinstance(getattr(module, "CLAIM", None), Claim)}
    assert set(re.findall(r"^\| ([A-Z]\d) ", guide, flags=re.MULTILINE)) == known


def test_the_citation_has_the_version_of_the_project():
    (citation,) = blocks("bibtex")
    version = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), flags=re.MULTILINE).group(1)
    assert f"version = {{{version}}}" in citation
