"""Hypothesis profiles and the marks that need something of the machine."""

import importlib.util
import logging
import os
import shutil
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from reports.processes import LOGGERS

# modules that need what no extra of the tests installs
OPTIONAL = {"jax": ["benchmarks/with_jax.py"], "cosmic_ray": [f"mutants/{name}.py" for name in ("mutants", "trial")]}
collect_ignore = [
    "pretend_device.py",  # registers a device in the process that imports it
    *(path for library, paths in OPTIONAL.items() if not importlib.util.find_spec(library) for path in paths),
]

settings.register_profile("dev", deadline=None, max_examples=40)
settings.register_profile("ci", deadline=None, max_examples=40, derandomize=True, print_blob=True)
settings.register_profile(
    "nightly", deadline=None, max_examples=2000, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "dev"))


@pytest.fixture(autouse=True)
def _levels_of_loggers() -> Iterator[None]:
    """What a quiet command left of them would silence the tests that come after it."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this machine cannot run; a required LaTeX engine that is missing fails inside the test instead."""
    if any(item.get_closest_marker("gpu") for item in items):
        import torch

        if not torch.cuda.is_available():
            for item in items:
                if item.get_closest_marker("gpu"):
                    item.add_marker(pytest.mark.skip(reason="no CUDA device"))
    if not shutil.which("pdflatex") and "EIGENALIGN_REQUIRE_LATEX" not in os.environ:
        for item in items:
            if item.get_closest_marker("latex"):
                item.add_marker(pytest.mark.skip(reason="NO LATEX ENGINE: the tables were not compiled"))
