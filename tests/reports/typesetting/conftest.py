"""What tests of typesetting share."""

from pathlib import Path

import pytest

from tests.reports.typesetting.samples import written_sample


@pytest.fixture(scope="session")
def written() -> Path:
    """The folder of the sample report; to be read only."""
    return written_sample()
