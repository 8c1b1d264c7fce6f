"""What a check says of initial weights and of the law of f: numbers of `theory`, over what, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reports.check import check
from reports.check.composition import Composition
from reports.check.estimates import Weights
from reports.check.shape_law import shape_law
from reports.check.weights import filters
from reports.views.check import view
from tests.reports.command_line import run
from theory.decomposition import estimated_parts, fit_shape, law_tau
from theory.eigenspaces import Eigenspaces
from theory.errors import InvalidInput

SIGMA = np.array([0.25, 0.5, 1.0, 1.5, 2.0, 3.0])
X = np.random.default_rng(0).standard_normal((20_000, 6)) * SIGMA
RISING = np.sqrt(law_tau("ridge", SIGMA, rate=0.5, written=1.0, initial=0.04))


def networks(count: int, units: int = 60, *, share: float = 0.3) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Initial weights, and weights of which `share` of every variance, the law's, is written."""
    rng = np.random.default_rng(count)
    before = [0.2 * rng.standard_normal((units, 6)) for _ in range(count)]
    after = [RISING * (np.sqrt(1 - share) * w / 0.2 + np.sqrt(share) * rng.standard_normal(w.shape)) for w in before]
    return before, after


def made_of(found: Composition | None) -> Composition:
    assert found is not None
    return found


def test_the_parts_are_those_of_theory() -> None:
    """X is known so well that its eigenvectors are nearly the axes."""
    before, after = networks(6)
    found = check(after, X, initial=before)
    composition = made_of(found.composition)
    assert composition.over == "networks"
    pairs = ((before, before), (before, after), (after, after))
    expected = estimated_parts(
        *(np.array([(a * b).mean(axis=0) for a, b in zip(*pair, strict=True)]) for pair in pairs)
    )
    np.testing.assert_allclose(composition.parts.written, expected.written, rtol=0.05)
    assert composition.share[0] == pytest.approx(expected.share, rel=0.02)
    assert composition.share[1] < 0.3 < composition.share[2]
    gain = float(np.mean(0.7 * RISING**2) / 0.04)
    assert composition.gain[1] < gain < composition.gain[2]
    np.testing.assert_allclose(composition.parts.tau, found.transfer_function.f**2, rtol=1e-9)


@pytest.mark.parametrize(("count", "over", "groups"), [(1, "units", 60), (2, "units", 120), (3, "networks", 3)])
def test_over_what_errors_are_taken(count: int, over: str, groups: int) -> None:
    before, after = networks(count)
    composition = made_of(check(after, X, initial=before).composition)
    assert (composition.over, composition.parts.groups) == (over, groups)
    assert composition.share[1] < 0.3 < composition.share[2]


def test_no_share_and_no_factor_leaves_its_range() -> None:
    """With errors larger than what they measure, as for six units, shares stay within 0 and 1 and factors above 0."""
    before, after = networks(1)
    composition = made_of(check(after[0][:6], X, initial=before[0][:6]).composition)
    assert composition.parts.interval(composition.parts.share, composition.parts.share_error)[0] < 0
    for value, low, high in (composition.share, composition.gain):
        assert 0 <= low <= value <= high
    assert composition.share[2] <= 1


def test_a_share_ends_at_the_whole_and_a_factor_nowhere() -> None:
    """If training leaves nothing of ten units, the share's interval is cut at 1; a factor's has no upper bound."""
    rng = np.random.default_rng(5)
    before, after = rng.standard_normal((10, 6)), rng.standard_normal((10, 6))
    composition = made_of(check(after, X, initial=before).composition)
    parts = composition.parts
    assert parts.interval(parts.share, parts.share_error)[1] > 1
    assert composition.share[2] == 1
    high = parts.interval(parts.gain + 2, parts.gain_error)[1]
    assert Composition("units", replace(parts, gain=parts.gain + 2)).gain[2] == pytest.approx(high)


def test_untrained_weights_are_all_there() -> None:
    before, _ = networks(1)
    composition = made_of(check(before[0], X, initial=before[0]).composition)
    assert composition.share == pytest.approx((0, 0, 0), abs=1e-9)
    np.testing.assert_allclose(composition.parts.amplitude, 1)


def test_related_networks_are_left_out() -> None:
    """A copy of a network is no network, and its initial weights are not counted either."""
    before, after = networks(4)
    noise = 1e-3 * np.random.default_rng(9).standard_normal(after[0].shape)
    found = check([*after, after[0] + noise], X, initial=[*before, before[0]])
    assert found.independent == 4
    assert made_of(found.composition).parts.groups == 4


def test_the_law_is_that_of_theory() -> None:
    before, after = networks(4, 300)
    known, unknown = check(after, X, initial=before), check(after, X)
    assert unknown.composition is None
    assert known.shape_law is not None
    assert unknown.shape_law is not None
    tau = np.array([(w**2).mean(axis=0) for w in after])
    keys = {"groups": 4, "initial": float(np.mean(np.square(before)))}
    expected = fit_shape(known.transfer_function.sigma, tau.mean(axis=0), np.cov(tau.T) / 4, **keys)
    assert known.shape_law.better.law == "ridge"
    assert known.shape_law.better.rate == pytest.approx(expected.better.rate, rel=0.05)
    low, high = known.shape_law.ridge.rate_interval or (0.0, 0.0)
    assert low < 0.5 < high
    # three parameters, one of them the initial variance
    assert unknown.shape_law.ridge.initial == pytest.approx(0.04, rel=0.3)


def test_too_few_for_a_law() -> None:
    _, after = networks(3)
    assert check(after, X).shape_law is None
    assert check(after[0][:, :3], X[:, :3]).shape_law is None


def test_what_is_printed() -> None:
    before, after = networks(5)
    shown = view(check(after, X, initial=before))
    text = shown.as_text()
    assert "ridge law of f" in text
    assert "what has made f is not identified" in text
    assert "written by training" in text
    assert "over networks" in text
    details = json.loads(shown.as_json())["details"]
    assert details["composition"]["over"] == "networks"
    assert len(details["composition"]["amplitude"]) == 6
    assert [law["law"] for law in details["shape_law"]["laws"]] == ["ridge", "flow"]
    plain = json.loads(view(check(after[:3], X)).as_json())["details"]
    assert plain["composition"] is plain["shape_law"] is None


def test_a_law_whose_parameters_are_not_determined_prints_no_number() -> None:
    """f² that bends upwards over σ²: both laws fit best as a line, which leaves U and c open."""
    rising = np.sqrt(0.04 + 0.02 * SIGMA**3)
    weights = rising * np.random.default_rng(3).standard_normal((400, len(SIGMA)))
    shown = view(check(weights, X))
    assert "U and c are not determined: both change f alike" in shown.as_text()
    laws = json.loads(shown.as_json())["details"]["shape_law"]["laws"]
    assert [(each["U_interval"], each["c_interval"]) for each in laws] == [(None, None)] * 2


def test_files(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before, after = networks(2)
    arguments = ["check", "--data", str(tmp_path / "x.npy"), "--json"]
    np.save(tmp_path / "x.npy", X[:500])
    for r in range(2):
        np.savez(tmp_path / f"{r}.npz", before=before[r], after=after[r])
        arguments += ["--weights", f"{tmp_path / f'{r}.npz'}:after", "--init", f"{tmp_path / f'{r}.npz'}:before"]
    status, out, _ = run(capfd, *arguments)
    assert status == 0
    assert json.loads(out)["details"]["composition"]["over"] == "units"
    status, out, _ = run(capfd, *arguments, "--weights", f"{tmp_path / '0.npz'}:before")
    assert status == 2
    assert "must be given for each of 3 networks" in json.loads(out)["why"]


@pytest.mark.parametrize(
    ("initial", "why"),
    [
        (lambda before: before[:1], "initial = 1: must be given for each of 2 networks"),
        (lambda before: [each[:50] for each in before], "initial.shape .*: must have the shape of the trained weights"),
    ],
)
def test_what_is_refused(initial, why: str) -> None:  # type: ignore[no-untyped-def]
    before, after = networks(2)
    with pytest.raises(InvalidInput, match=why):
        check(after, X[:50], initial=initial(before))


def test_two_units_are_too_few() -> None:
    before, after = networks(1, 2)
    with pytest.raises(InvalidInput, match="of too few units: at least 3"):
        check(after, X, initial=before)


@pytest.mark.parametrize("initial", [None, 0.04])
def test_the_law_has_the_errors_between_networks(initial: float | None) -> None:
    """The law is fitted in the scale of the given weights, and needs four networks and four eigenspaces with weight."""
    layers = 0.2 * np.random.default_rng(3).standard_normal((4, 200, 5)) * np.sqrt([5.0, 4.0, 3.0, 3.0, 1.5])

    def law(count: int, multiplicity: tuple[int, ...]) -> object:
        spaces = Eigenspaces(np.arange(1.0, len(multiplicity) + 1), multiplicity, np.eye(5), 0.0)
        weights = Weights.of([filters(each) for each in layers[:count]], np.full(5, True))
        return shape_law(spaces, weights, initial)

    tau = (layers**2).mean(axis=1)
    tau = np.column_stack([tau[:, 0], tau[:, 1], tau[:, 2:4].mean(axis=1), tau[:, 4]])
    found = law(4, (1, 1, 2, 1))
    wanted = fit_shape(
        np.sqrt(np.arange(1.0, 5)), tau.mean(axis=0), np.cov(tau.T) / 4, groups=4, initial=initial,
        multiplicity=(1, 1, 2, 1),
    )  # fmt: skip
    for name in ("ridge", "flow"):
        one, other = getattr(found, name), getattr(wanted, name)
        assert one.rate == pytest.approx(other.rate)
        assert one.rate_interval == pytest.approx(other.rate_interval)
    assert law(3, (1, 1, 2, 1)) is law(4, (1, 2, 2)) is None
    layers[:, :, 1] = 0
    assert law(4, (1, 1, 2, 1)) is None
