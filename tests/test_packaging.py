"""What leaves the checkout: the citation, and a wheel that works where there is no checkout."""

import json
import os
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution, requires, version
from pathlib import Path

import pytest
import yaml
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.paths import PACKAGES, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DOOR = "eigenalign.py"
EXTRAS = PROJECT["optional-dependencies"].values()
REQUIRED = [*PROJECT["dependencies"], *(need for needs in EXTRAS for need in needs)]


def built(folder, version):
    return Path(*WheelBuilder(str(ROOT)).build(directory=str(folder), versions=[version]))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return built(tmp_path_factory.mktemp("dist"), "standard")


def test_citation():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)  # what the format requires
    assert citation["title"] == PROJECT["name"]
    assert str(citation["version"]) == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    (paper,) = citation["references"]
    assert paper["identifiers"][0]["value"] == "arXiv:2006.10455"


def test_the_changelog_knows_the_version():
    """A release has its section; before the first one there is only what is unreleased."""
    text = (ROOT / "CHANGELOG.md").read_text()
    assert "## Unreleased" in text or f"## {PROJECT['version']}" in text


def test_every_extra_is_pinned():
    pinned = {line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert not {need.split(">=")[0].lower() for need in REQUIRED} - pinned


def test_what_comes_along_is_pinned_too():
    """All that the requirements require in turn, as far as this machine has it; CUDA's libraries are torch's own."""
    versions = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines())
    if version("numpy") != versions["numpy"]:
        pytest.skip("other versions than those of constraints.txt, which may bring other packages along")
    pinned = {canonicalize_name(name) for name in versions}
    waiting, seen = [Requirement(text) for text in REQUIRED], set()
    while waiting:
        need = waiting.pop()
        name = canonicalize_name(need.name)
        wanted = any(need.marker.evaluate({"extra": extra}) for extra in need.extras or {""}) if need.marker else True
        if name in seen or not wanted or name.startswith(("nvidia", "cuda", "triton")):
            continue
        seen.add(name)
        with suppress(PackageNotFoundError):
            waiting += [Requirement(text) for text in requires(name) or () if "extra ==" not in text]
    installed = {name for name in seen if find_distribution(name)}
    assert len(installed) > 40
    assert installed - pinned == set()


def find_distribution(name):
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def test_the_wheel_has_every_file_of_the_packages(wheel):
    """Modules, templates, examples; neither tests nor the builder of the site nor the published report."""
    tracked = subprocess.run(
        ["git", "ls-files", DOOR, *PACKAGES], cwd=ROOT, check=False, capture_output=True, text=True
    )
    if tracked.returncode:
        pytest.skip("not a git checkout")
    left_out = ("reports/site/", "reports/published/")
    expected = {name for name in tracked.stdout.splitlines() if not name.startswith(left_out)}
    expected = {name for name in expected if (ROOT / name).exists()}
    packed = set(zipfile.ZipFile(wheel).namelist())
    assert {DOOR, "reports/typesetting/templates/report.tex.jinja2", "reports/examples/full_batch.toml"} <= expected
    assert expected <= packed
    assert {name.split("/")[0].split("-")[0] for name in packed} == {DOOR, *PACKAGES, PROJECT["name"]}
    assert not any(name.startswith(left_out) for name in packed)


def test_the_wheel_says_what_it_is(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith("METADATA"))
        (scripts,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert f"Version: {PROJECT['version']}\n" in archive.read(metadata).decode()
        assert "eigenalign = reports.cli:main" in archive.read(scripts).decode()


def test_an_editable_install_is_the_checkout(tmp_path):
    """An editable install puts one folder on the path, the checkout, with its packages and the module beside them."""
    with zipfile.ZipFile(built(tmp_path, "editable")) as archive:
        (path,) = (name for name in archive.namelist() if name.endswith(".pth"))
        assert archive.read(path).decode().split() == [str(ROOT)]
        assert not any(name.endswith(".py") for name in archive.namelist())


@pytest.mark.slow
def test_the_wheel_reports_from_an_empty_folder(wheel, tmp_path):
    """The wheel runs in an environment of its own, which has our dependencies but not our checkout."""
    environment, empty = tmp_path / "environment", tmp_path / "empty"
    empty.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    binaries = environment / "bin"
    home = next(environment.glob("lib/python*/site-packages"))
    (home / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")  # its own .pth files are not read
    install = [sys.executable, "-m", "pip", "--python", binaries / "python", "install", "--quiet", "--no-deps"]
    subprocess.run([*install, "--no-index", "--ignore-installed", wheel], check=True)
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*command):
        return subprocess.run(command, cwd=empty, env=own, check=True, capture_output=True, text=True).stdout

    names = "eigenalign, reports, simulate, theory"
    assert run(binaries / "python", "-c", f"import {names}; print({names})").count(str(home)) == 4
    assert (
        run(binaries / "python", "-c", "import eigenalign; print(eigenalign.__version__)") == f"{PROJECT['version']}\n"
    )
    record = json.loads(run(binaries / "eigenalign", "report", "--only", "A1", "--quiet", "--json"))
    assert [claim["verdict"] for claim in record["claims"]] == ["holds"]
    for name in ("report.html", "report.tex", "results.csv", "figures/a1-equivariance.svg"):
        assert (empty / "report" / name).stat().st_size > 0


def test_the_oldest_versions_are_those_that_are_declared():
    declared = [
        *PROJECT["dependencies"],
        *(name for extra in ("docs", "test") for name in PROJECT["optional-dependencies"][extra]),
    ]
    lines = (ROOT / "oldest.txt").read_text().splitlines()
    oldest = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert oldest.keys() == {name.partition(">=")[0] for name in declared}
    for name, _, lowest in (each.partition(">=") for each in declared):
        pinned, least = oldest[name].split("."), lowest.split(".")
        assert pinned[: len(least)] == least, name
        assert not any(int(part) for part in pinned[len(least) :]), name
