"""A guide as a story in an empty folder: its files are written, its commands and its Python run, in their order."""

import contextlib
import io
import os
import re
import runpy
import shlex
import sys
from pathlib import Path
from unittest import mock

from reports import cli

FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def tell(text: str, folder: Path, modules: tuple[str, ...] = ()) -> list[str]:
    """Live through a guide in `folder`; what each step printed. Blocks of language `text` are read, not run.

    A block with a name after its language is that file. `modules` are files of the guide that Python may import.
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
