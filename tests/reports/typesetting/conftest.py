"""What tests of typesetting share."""

from pathlib import Path

import pytest

from reports.typesetting.document import write
from tests.reports.typesetting.samples import PROVENANCE, sample_report, written_sample


@pytest.fixture(scope="session")
def written() -> Path:
    """The folder of the sample report; to be read only."""
    return written_sample()


@pytest.fixture(scope="session")
def with_floats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the sample report whose tables are also floats; to be read only."""
    folder = tmp_path_factory.mktemp("with-floats")
    write(sample_report(), folder, provenance=PROVENANCE, pdf=False, floats=True)
    return folder
