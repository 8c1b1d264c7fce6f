"""The toy claim in place of all others."""

import pytest

from tests.reports.campaign import toy


@pytest.fixture
def only_the_toy(monkeypatch):
    """The list of claims holds the toy alone, and nothing has been measured."""
    monkeypatch.setattr("reports.campaign.run.CLAIMS", (toy.CLAIM,))
    monkeypatch.setattr(toy, "measured", [])
    monkeypatch.setattr(toy, "interrupt_at", [])
    return toy.CLAIM
