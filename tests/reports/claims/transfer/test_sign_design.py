"""The design of claim F8: settings are fixed whatever the seed, and their networks near what is predicted of them."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from reports.claims.transfer.sign_design import MECHANISMS, Route, comparison


@pytest.mark.parametrize("route", [*MECHANISMS])
def test_the_design_is_fixed_whatever_the_seed(route) -> None:
    """Another seed draws other rows and labels of the same settings; no setting is there twice."""
    first, second = ([comparison(route, number, seed) for number in range(12)] for seed in (7, 7000))
    assert first == [comparison(route, number, 7) for number in range(12)]
    for a, b in zip(first, second, strict=True):
        assert a != b
        ensemble = msgspec.structs.replace(b.setting.ensemble, seed=a.setting.ensemble.seed)
        assert a == replace(b, setting=msgspec.structs.replace(b.setting, ensemble=ensemble))
    assert len({msgspec.json.encode(each.setting) for each in first}) == 12


# settings of which the gain is predicted to be far beyond the margin
CLEAR: dict[Route, int] = {
    "initial weights": 10,
    "frozen features": 5,
    "kernel regime": 10,
    "kept output": 12,
    "actual network": 14,
}


@pytest.mark.parametrize("route", CLEAR)
def test_networks_are_near_their_prediction(route: Route) -> None:
    """Gains lie within the margin and eight standard errors; predictions of the other sign would not."""
    found = comparison(route, CLEAR[route], 123_456)
    expected = found.predict()
    measured = found.realise()
    allowed = MECHANISMS[route].margin + 8 * measured.error
    assert abs(measured.gain - expected) <= allowed < abs(measured.gain + expected)
    assert measured.diverged == 0
