"""The reference: every public module, the door first, citations that lead somewhere."""

import ast
import re

import pytest

import eigenalign
from reports.site.links import faults
from reports.site.reference import described, modules, public_names, uses, write_reference
from tests.paths import ROOT


def test_reference_of_some_modules(tmp_path):
    (tmp_path / "derivations.html").write_text('<h3 id="section-3.4">Containment</h3>')
    names = ("theory.errors", "theory.containment", "theory.eigenspaces")
    known = write_reference(tmp_path / "reference", tmp_path / "derivations.html", names)
    text = (tmp_path / "reference" / "theory" / "containment.html").read_text()
    assert 'href="../../derivations.html#section-3.4"' in text
    assert "Parameters" in text
    assert '<math display="block"' in text  # leakage and anisotropy
    (found,) = (section for section in described(known) if section.heading == "Containment")
    assert found.url == "reference/theory/containment.html#Containment"
    assert found.text.startswith("How far each eigenspace")
    assert "Attributes: spaces" in found.text
    pages = {"index.html", "modules.html", "theory.html", "search.html"}  # those that were not asked for
    assert {fault.split("/")[-1] for fault in faults(tmp_path)} <= {f"{page} is not there" for page in pages}


def test_the_reference_begins_with_the_door(tmp_path):
    """Names that are imported when they are asked for are all on its page, and lead to each other."""
    assert modules()[0] == "eigenalign"
    known = write_reference(tmp_path, tmp_path / "derivations.html", ("eigenalign", "theory.catalogue"))
    text = (tmp_path / "eigenalign.html").read_text()
    assert {name for name in eigenalign.__all__ if f'id="{name}"' not in text} == set()
    assert '<a href="#verify">verify</a>' in text
    assert "holds the trainings" in text  # the docstring of a function from elsewhere
    listed = [name for use in public_names(known) for name in use.names]
    assert sorted(name.name for name in listed) == sorted(eigenalign.__all__)
    assert all(name.summary for name in listed)  # that of FORMS stands where it is defined


def test_lines_that_click_keeps_are_code_and_a_package_lists_its_modules(tmp_path):
    names = ("reports.commands", "reports.commands.transfer")
    known = write_reference(tmp_path, tmp_path / "derivations.html", names)
    text = (tmp_path / "reports" / "commands" / "transfer.html").read_text()
    assert "\b" not in text
    assert "# a transfer that hurts" in text  # as a heading it has no #
    assert not re.search(r"<math[^>]*>(?:(?!</math>).)*eigenalign", text, flags=re.DOTALL)
    assert not any("\b" in section.text for section in described(known))
    package = (tmp_path / "reports" / "commands.html").read_text()
    assert 'href="commands/transfer.html"' in package.split("<main")[1]


def test_signs_of_docstrings_are_no_tags_and_values_are_short(tmp_path):
    """Σ_{j<t} would end the sentence in a browser: <t opens a tag."""
    names = (
        "theory.linear.shape",
        "theory.linear.flow",
        "reports.models.chain",
        "reports.claims.alignment.a1_equivariance",
    )
    write_reference(tmp_path, tmp_path / "derivations.html", names)
    shape, flow, chain, claim = ((tmp_path / f"{name.replace('.', '/')}.html").read_text() for name in names)
    assert "Σ_{j&lt;t} (1 − x)^{−j} = 2t" in shape
    assert "how far the flow has gone" in re.sub(r"<[^>]+>", "", flow)
    assert "overridden by all subclasses" not in chain
    assert "&lt;function" not in chain
    assert "Claim(id=" not in claim
    assert not re.search(r'<h6 id="', chain + claim)  # one anchor "attributes" per class


def test_public_names_are_grouped_by_what_one_wants_to_do():
    found = uses()
    assert "verify" in found["Predict, simulate, compare"]
    assert "Verification" in found["What they return"]
    assert found["Errors"] == ("Diverged", "InvalidInput", "NoClosedForm")


def test_the_reference_has_every_public_module():
    listed = set(modules()) - {"eigenalign"}
    files = {
        str(path.relative_to(ROOT)).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for package in ("theory", "simulate", "reports")
        for path in (ROOT / package).rglob("*.py")
    }
    assert listed == {name for name in files if not name.startswith("reports.site")}


@pytest.mark.parametrize("folder", ["theory", "simulate", "reports"])
def test_examples_stand_under_their_heading(folder):
    """Examples that follow another heading of a docstring would be taken for one of its entries."""
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            text = ast.get_docstring(node) if isinstance(node, ast.FunctionDef | ast.ClassDef) else None
            before, example, _ = (text or "").partition("\n>>>")
            headings = re.findall(r"^(\w+)\n---", before, flags=re.MULTILINE)
            assert not example or not headings or headings[-1] == "Examples", f"{path}: {node.name}"
