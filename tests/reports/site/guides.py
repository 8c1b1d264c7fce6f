"""A guide as a story in an empty folder: its files are written, its commands and its Python run, in their order."""

import contextlib
import io
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

from reports import cli
from tests.paths import ROOT

FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def tell(text: str, folder: Path, modules: tuple[str, ...] = ()) -> list[str]:
    """Live through a guide in `folder`; what each step printed. Blocks of language `text` are read, not run.

    A block with a name after its language is that file. `modules` are files of the guide that Python may import.
    Guides that add to the project itself are for `contribute`.
    """
    printed, names = [], {"__name__": "guide"}
    with contextlib.chdir(folder), mock.patch.object(sys, "path", [str(folder), *sys.path]):
        try:
            for language, file, content in FENCE.findall(text):
                out = io.StringIO()
                with contextlib.redirect_stdout(out):
                    if file:
                        Path(file).write_text(content)
                    elif language == "python":
                        exec(compile(content, "guide", "exec"), names)
                    elif language == "sh":
                        for line in content.splitlines():
                            run(line)
                    else:
                        assert language == "text", f"nothing is known of ```{language}"
                printed.append(out.getvalue())
        finally:
            for module in modules:
                sys.modules.pop(module, None)
    return printed


def contribute(text: str, folder: Path) -> str:
    """Follow a guide in a copy of the project at `folder`; what its blocks of Python printed, all run as one script.

    Blocks of language `diff` take lines away, marked by -, and add lines, marked by +, below those that they quote.
    """
    script, tests = [], []
    for language, file, content in FENCE.findall(text):
        if language == "diff":
            patch_lines(folder / file, content)
        elif file:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(content)
        elif language == "python":
            script.append(content)
        elif language == "sh":
            tests += [shlex.split(line)[1:] for line in content.splitlines()]
        else:
            assert language == "text", f"nothing is known of ```{language}"
    printed = in_project(folder, "-c", "\n".join(script))
    for arguments in tests:
        in_project(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments)
    return printed


def copy_project(folder: Path) -> None:
    """The files of the project that its tests and tools look at."""
    skipped = shutil.ignore_patterns("__pycache__")
    for name in ("theory", "simulate", "reports", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=skipped)
    for path in (*ROOT.glob("*.py"), ROOT / "pyproject.toml", ROOT / "README.md"):
        shutil.copy(path, folder)


def in_project(folder: Path, *arguments: str) -> str:
    """What Python prints, run in a copy of the project; AssertionError where it fails."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def patch_lines(path: Path, diff: str) -> None:
    """Delete lines marked by -, insert those marked by + below what is quoted before; all stand in this order."""
    lines, at = path.read_text().splitlines(), 0
    for line in diff.splitlines():
        if line.startswith("+"):
            lines.insert(at, line[1:])
            at += 1
        else:
            assert line[:1] in (" ", "-"), f"{path.name}: {line!r} is neither quoted nor changed"
            assert line[1:] in lines[at:], f"{path.name} has no line {line[1:]!r} there"
            at = lines.index(line[1:], at) + 1
            if line.startswith("-"):
                at -= 1
                del lines[at]
    path.write_text("\n".join(lines) + "\n")


def run(line: str) -> None:
    """One command, in this process: eigenalign; sbatch and torchrun as what they would start; pytest of one file."""
    command, _, file = line.partition(" > ")
    words = shlex.split(command)
    if file:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            run(command)
        Path(file.strip()).write_text(out.getvalue())
    elif words[0] == "eigenalign":
        assert cli.main([*words[1:], "--quiet"]) == cli.DONE, line
    elif words[0] == "sbatch":
        first, last = re.search(r"--array=(\d+)-(\d+)", line).groups()
        wrapped = words[words.index("--wrap") + 1]
        for task in range(int(first), int(last) + 1):
            run(wrapped.replace("$SLURM_ARRAY_TASK_ID", str(task)))
    elif words[0] == "torchrun":
        ranks = int(words[words.index("--nproc-per-node") + 1])
        started = shlex.join(words[words.index("eigenalign") :])
        for rank in range(ranks):
            told = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(ranks)}
            with mock.patch.dict(os.environ, told):
                run(started)
    elif words[0] == "pytest":
        tests = [test for name, test in runpy.run_path(words[1]).items() if name.startswith("test_")]
        assert tests, f"{words[1]} holds no test"
        for test in tests:
            test()
    else:
        raise AssertionError(f"nothing is known of the command {words[0]!r}")
