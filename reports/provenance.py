"""Where numbers come from: versions, machine, revision."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("eigenalign", "numpy", "scipy", "torch", "matplotlib", "jinja2")


def provenance(device: str) -> dict[str, str]:
    """What one needs to know to repeat a run, in the order in which it is printed.

    Parameters
    ----------
    device : str
        The device on which the run trained; a CUDA device is named, if torch is loaded.
    """
    found = {"python": platform.python_version()}
    found |= {name: _version(name) for name in PACKAGES}
    found["platform"] = f"{platform.system()} {platform.machine()}"
    found["processors"] = str(os.cpu_count() or "unknown")
    if name := _accelerator(device):
        found["accelerator"] = name
    if commit := _commit(Path(__file__).resolve().parent):
        found["commit"] = commit
    return found


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _accelerator(device: str) -> str:
    torch = sys.modules.get("torch")
    if torch is None or not device.startswith("cuda") or not torch.cuda.is_available():
        return ""
    return str(torch.cuda.get_device_name(torch.device(device)))


def _commit(folder: Path) -> str:
    """The revision of the checkout that holds this very file, marked where tracked files differ; empty elsewhere."""
    if not _git(folder, "ls-files", "--error-unmatch", Path(__file__).name):
        return ""
    commit = _git(folder, "rev-parse", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}, with local changes" if changed else commit


def _git(folder: Path, *arguments: str) -> str:
    try:
        run = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return run.stdout.strip() if run.returncode == 0 else ""
