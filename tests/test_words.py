"""Turns of phrase that are not plain English: none in guides, docstrings, or text that is printed."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.paths import ROOT

PHRASES = {
    "per": r"\b(?:an?|one|two) \w+ an? (?:finding|claim|cell|entry|replica|sample|treatment|reading|layer)\b"
    r"|\b(?:bytes|draws|numbers|seeds) an? (?:entry|panel|replica|sample|test)\b",
    "otherwise": r"(?<!nothing )\belse[.;](?:\s|$)|\bor else\b|[,;] else [a-z]",
    "everything else": r"\ball else\b",
    "detects … with … power": r"\b(?:found|find|finds) with probability\b",
    "would have detected": r"\bwould have (?:told|shown)\b",
    "are listed": r"\bstands? at the end\b",
    "is not a": r"\bis no (?:curve|function|image|integer|mapping|number|share|symbol)\b",
    "our own function's name": r"(?<![`\w.])would [a-z]+_[a-z_]+\b",
}
PAGES = ("README.md", "CONTRIBUTING.md", *(f"{p.relative_to(ROOT)}" for p in ROOT.glob("reports/site/guides/*.md")))
MODULES = (
    "reports/*.py",
    "reports/campaign/*.py",
    "reports/check/*.py",
    "reports/commands/*.py",
    "reports/judging/*.py",
    "reports/models/*.py",
    "reports/site/*.py",
    "reports/typesetting/*.py",
    "reports/transfer/*.py",
    "reports/views/*.py",
    "reports/claims/*.py",
    "reports/claims/alignment/*.py",
    "reports/claims/forms/*.py",
    "reports/claims/shape/*.py",
    "reports/claims/transfer/*.py",
)
TEMPLATES = tuple(f"{path.relative_to(ROOT)}" for path in ROOT.glob("reports/*/templates/*.jinja2"))


def prose(name: str) -> Iterator[str]:
    """The strings of a module, docstrings among them; the whole of any other file."""
    text = (ROOT / name).read_text()
    if not name.endswith(".py"):
        yield text
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def faults(text: str) -> list[str]:
    words = " ".join(text.split())
    return [
        f"{found.group()!r}: write {better!r}"
        for better, phrase in PHRASES.items()
        for found in re.finditer(phrase, words)
    ]


@pytest.mark.parametrize("name", [*PAGES, *TEMPLATES])
def test_pages_are_plain(name):
    assert not [fault for text in prose(name) for fault in faults(text)]


@pytest.mark.parametrize("pattern", MODULES)
def test_strings_are_plain(pattern):
    modules = [f"{path.relative_to(ROOT)}" for path in sorted(ROOT.glob(pattern))]
    assert modules
    assert not [f"{name}: {fault}" for name in modules for text in prose(name) for fault in faults(text)]


@pytest.mark.parametrize(
    "text",
    [
        "a line a finding",
        "16 bytes an entry",
        "None else.",
        "holds below 1e-6, else undecided",
        "all else is kept",
        "4 % found with probability .9",
        "would have told a relevant deviation",
        "All findings stand at the end.",
        "tau is no curve",
        "as would verdict_on",
    ],
)
def test_each_fault_is_seen(text):
    assert faults(text)


def test_plain_sentences_pass():
    assert not faults("One line per finding; otherwise None. Nothing else is printed, as `verdict_on` would say.")
