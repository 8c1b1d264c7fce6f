"""A toy claim in place of all others."""

import pytest

from tests.reports.campaign import toy


@pytest.fixture
def only_the_toy(monkeypatch):
    """The list of claims holds the toy alone, and nothing has been measured."""
    monkeypatch.setattr("reports.campaign.run.CLAIMS", (toy.CLAIM,))
    monkeypatch.setattr(toy, "measured", [])
    monkeypatch.setattr(toy, "interrupt_at", [])
    return toy.CLAIM


@pytest.fixture
def only_the_cut_one(monkeypatch):
    """The list of claims holds the one whose ensemble is cut, and no part of it has been trained."""
    monkeypatch.setattr("reports.campaign.run.CLAIMS", (toy.CUT_CLAIM,))
    monkeypatch.setattr(toy, "trained", [])
    return toy.CUT_CLAIM


@pytest.fixture
def only_the_joined_one(only_the_cut_one, monkeypatch):
    """The list of claims holds the one whose case is a list that is cut."""
    monkeypatch.setattr("reports.campaign.run.CLAIMS", (toy.JOINED_CLAIM,))
    return toy.JOINED_CLAIM
