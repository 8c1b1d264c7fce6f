"""What tests of the simulator share."""

import logging

import pytest


@pytest.fixture(autouse=True)
def warnings_are_seen(caplog):
    """Whatever level a command run by another test has left behind."""
    caplog.set_level(logging.WARNING, logger="simulate")
