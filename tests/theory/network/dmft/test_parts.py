"""The parts of the solver: batches, quadrature of the spectrum, rows, samples, output weights and their draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.theory.network.dmft.problems import problem
from theory.errors import NoClosedForm
from theory.network.dmft import average as averaging
from theory.network.dmft.average import average, averaged, controls, draws_of, features_help, longest, rows_needed
from theory.network.dmft.batches import Batches, Use
from theory.network.dmft.closure import corrected, stein_residual
from theory.network.dmft.levels import levels_of
from theory.network.dmft.output_layer import OutputLayer
from theory.network.dmft.problem import Problem, problem_of
from theory.network.dmft.row import Rows, activated, mean_jacobian, passed, residual
from theory.network.dmft.samples import Samples
from theory.network.dmft.solver import Solution
from theory.setting import Data, Network, Setting


@pytest.mark.parametrize("sampling", ["epochs", "fresh", "replacement"])
@pytest.mark.parametrize("size", [20, 30])
def test_uses_of_rows(sampling: str, size: int) -> None:
    """E s = 1 and E s² = n/B (with replacement, more); what is expected is the mean given the past."""
    batches = Batches(problem(20, 80, batch_size=size, sampling=sampling), 4800, np.random.default_rng(0))
    uses = [batches.use(step) for step in range(6)]
    drawn, expected = (np.array([getattr(use, name) for use in uses]) for name in ("drawn", "expected"))
    np.testing.assert_allclose(drawn.mean(axis=1), 1, atol=0.1 if sampling == "replacement" else 1e-3)
    np.testing.assert_allclose(expected.mean(axis=1), 1, atol=1e-3)
    square = 80 / size + (1 - 1 / size if sampling == "replacement" else 0)
    np.testing.assert_allclose((drawn**2).mean(axis=1), square, rtol=0.1)
    per_epoch = 80 // size
    if sampling == "epochs":
        used = (drawn[:per_epoch] > 0).sum(axis=0)
        assert used.max() == 1
        assert used.mean() == pytest.approx(per_epoch * size / 80, abs=1e-3)
        before = np.cumsum(drawn[:per_epoch] > 0, axis=0)[:-1]
        assert np.all(expected[1:per_epoch][before > 0] == 0)
        last = expected[per_epoch - 1]
        assert last.max() == pytest.approx(1 / (1 - (per_epoch - 1) * size / 80))
    else:
        assert np.all(expected == 1)


def test_full_batches_and_fresh_rows_use_every_row() -> None:
    for found in (problem(), replace(problem(), fresh=True)):
        use = Batches(found, 16, np.random.default_rng(0)).use(3)
        assert np.all(use.drawn == 1)
        assert np.all(use.expected == 1)


def test_quadrature_of_a_spectrum_and_back() -> None:
    """exp over a power law of 300 eigenvalues, repeated ones among them; and no change where there are few."""
    eigenvalues, counts = np.arange(1.0, 301.0) ** -0.7, np.where(np.arange(300) % 7, 1, 3)
    order = np.argsort(eigenvalues)
    eigenvalues, counts = eigenvalues[order], counts[order]
    levels = levels_of(eigenvalues, counts, 16)
    assert len(levels.nodes) == 16
    assert np.all(levels.weights > 0)
    np.testing.assert_allclose(
        levels.weights @ np.exp(-5 * levels.nodes), counts @ np.exp(-5 * eigenvalues), rtol=1e-12
    )
    np.testing.assert_allclose(levels.interpolation @ np.exp(-5 * levels.nodes), np.exp(-5 * eigenvalues), atol=1e-6)
    same = levels_of(eigenvalues, counts, 300)
    assert np.array_equal(same.nodes, eigenvalues)
    assert np.array_equal(same.interpolation, np.eye(300))


@pytest.mark.parametrize("activation", ["erf", "tanh", "identity"])
@pytest.mark.parametrize("loss", ["mse", "cross-entropy"])
@pytest.mark.parametrize("own", [False, True])
def test_jacobian_of_a_row_by_differences(activation: str, loss: str, own: bool) -> None:
    generator = np.random.default_rng(5)
    h, y = generator.standard_normal((7, 3)), np.eye(4)[generator.integers(4, size=7)]
    a, share = generator.standard_normal((7, 3, 4) if own else (3, 4)), generator.random(7)

    def rows(h: np.ndarray) -> Rows:
        return passed(activation, loss, h, y, a, 0.6)

    expected = np.zeros((3, 3))
    for k in range(3):
        step = 1e-5 * np.eye(3)[k]
        expected[:, k] = share @ (rows(h + step).force - rows(h - step).force) / 2e-5 / 7
    np.testing.assert_allclose(mean_jacobian(rows(h), share), expected, atol=1e-8)
    outputs = np.einsum("nj,njc->nc", activated(activation, h).value, np.broadcast_to(0.6 * a, (7, 3, 4)))
    np.testing.assert_allclose(rows(h).residual.value, residual(loss, outputs, y).value, atol=1e-12)


def test_relu_bends_at_its_kink() -> None:
    """The bump that stands for φ'' has mass one, and φ' is the slope of φ."""
    h = np.linspace(-6, 6, 240_001)[:, None]
    at = activated("relu", h)
    assert at.bend.sum() * (h[1] - h[0])[0] == pytest.approx(1, rel=1e-6)
    np.testing.assert_array_equal(at.value, at.slope * h)


@pytest.mark.parametrize("keys", [{}, {"kind": "rademacher"}, {"loss": "cross-entropy"}, {"kind": "classes"}])
def test_samples_have_the_moments_that_they_should(keys: dict) -> None:
    if keys.get("kind") == "rademacher":
        found = problem()
        found = replace(found, labels=type(found.labels)(kind="rademacher", variance=4.0))
    elif keys.get("kind") == "classes":
        found = replace(problem(loss="cross-entropy"), training=problem().training)
    else:
        found = problem(**keys)
    samples = Samples(found, 2, 1024, seed=3)
    root = np.random.default_rng(0).standard_normal((8, 8))
    covariance = root @ root.T
    none = np.zeros((4, 0))
    xi = np.concatenate([samples.draw(covariance[:4, :4], none), samples.draw(covariance[4:], none)], axis=1)
    np.testing.assert_allclose(xi.T @ xi / 1024, covariance, atol=1e-5 * np.trace(covariance))
    np.testing.assert_allclose(xi.T @ samples.targets / 1024, 0, atol=1e-10)
    np.testing.assert_allclose(xi.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(samples.noise.T @ samples.noise / 1024, np.eye(8), atol=1e-10)
    if found.training.loss == "cross-entropy":
        np.testing.assert_allclose(samples.targets.mean(axis=0), 1 / 3, atol=1e-3)
        assert set(np.unique(samples.targets)) == {0.0, 1.0}
    elif found.labels.kind == "classes":
        assert set(np.unique(samples.targets).round(9)) == {-0.333333333, 0.666666667}
    else:
        np.testing.assert_allclose((samples.targets**2).mean(), 4.0, rtol=1e-9)


@pytest.mark.parametrize(("with_past", "refused"), [(1.0, False), (90.0, False), (110.0, True)])
def test_errors_that_outgrow_the_covariance_are_refused(with_past: float, refused: bool) -> None:
    """Unit variances and a covariance c with the past: known of ξ are c² of its variance, at most 10⁴ of it."""
    one, found = np.eye(4), Samples(problem(), 2, 1024, seed=3)
    found.draw(one, np.zeros((4, 0)))
    second = np.concatenate([with_past * one, one], axis=1)
    if not refused:
        assert np.isfinite(found.draw(second, np.zeros((4, 0)))).all()
        return
    with pytest.raises(NoClosedForm, match="update 1 rounding errors outgrow"):
        found.draw(second, np.zeros((4, 0)))


def test_stein_corrects_a_wrong_guess() -> None:
    """The response to forces linear in ξ is found whatever was guessed, as far as the regulariser allows."""
    generator = np.random.default_rng(2)
    factor = np.tril(generator.standard_normal((6, 6))) + 3 * np.eye(6)
    response = generator.standard_normal((2, 6))
    found = corrected(response @ factor, np.zeros((2, 6)), factor, ridge=1e-9)
    np.testing.assert_allclose(found, response, atol=1e-6)
    assert np.abs(stein_residual(response @ factor, found, factor)).max() < 1e-6


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("loss", ["mse", "cross-entropy"])
def test_what_rows_write_into_the_output_layer(loss: str, bias: bool) -> None:
    """A row's own part by loops: its own gradient, and the mean pull of the others on what it wrote.

    What is common to all: the mean gradient over the rows, and their scatter about it. Three neurons; with a bias two,
    and a constant.
    """
    found = replace(problem(20, 80, 3, loss=loss, rate=0.5, momentum=0.3), both=True, bias=bias)
    generator = np.random.default_rng(1)
    c, count = found.outputs, 12
    layer = OutputLayer(found, np.zeros((3 - bias, c)), count)
    value = generator.standard_normal((count, 3))
    value[:, 3 - bias :] = np.sqrt(3)  # its product with c_2 is 1
    use = Use(generator.random(count), generator.random(count))
    own, velocity = np.zeros((count, 3, c)), np.zeros((count, 3, c))
    shared, shared_velocity = np.zeros((3, c)), np.zeros((3, c))
    for step in range(3):
        seen = residual(loss, generator.standard_normal((count, c)), np.eye(c)[np.zeros(count, int)])
        hidden = replace(activated("identity", value), value=value)
        rows = Rows(hidden, seen, value, layer.weights, value, found.scale)
        multipliers = generator.standard_normal(count)
        layer.advance(step, rows, use, multipliers)
        shared_velocity = 0.3 * shared_velocity
        for i in range(count):
            times = use.expected[i] / count + multipliers[i] * use.drawn[i] / np.sqrt(count * 80)
            shared_velocity += times * np.outer(value[i], seen.value[i]) / np.sqrt(3)
        shared = shared - 0.5 * shared_velocity
        kernel = np.zeros((3, c, 3, c))
        for i in range(count):
            curved = np.diag(seen.weight[i]) - np.outer(seen.pull[i], seen.pull[i])
            kernel += use.expected[i] * np.einsum("j,k,cd->jckd", value[i], value[i], curved) / (3 * count)
        for i in range(count):
            gradient = np.einsum("jckd,kd->jc", kernel, own[i])
            gradient += use.drawn[i] * np.outer(value[i], seen.value[i]) / np.sqrt(3) / 80
            velocity[i] = 0.3 * velocity[i] + gradient
            own[i] = own[i] - 0.5 * velocity[i]
        np.testing.assert_allclose(layer.weights - own, np.broadcast_to(shared, own.shape), atol=1e-12)
    assert np.abs(own).max() > 1e-4


def test_draws_of_output_weights() -> None:
    """Normal in their first two moments, and their controls of mean zero; both in both parametrizations.

    For the cross-entropy without their mean over outputs, which it does not see.
    """
    found = problem(m=3, loss="cross-entropy", init_variance=(1.0, 2.0))
    weights, _ = draws_of(found, 0, 4096)
    flat = weights.reshape(4096, -1)
    felt = np.kron(np.eye(3), np.eye(3) - 1 / 3)
    np.testing.assert_allclose(flat.T @ flat / 4096, 2 * felt, atol=0.05)
    assert np.abs(controls(found, weights).mean(axis=0)).max() < 0.1
    one = problem(m=5)
    assert np.abs(controls(one, draws_of(one, 0, 4096)[0]).mean(axis=0)).max() < 0.1
    size = (longest(one) ** 2).sum()
    lengths = (np.random.default_rng(0).standard_normal((400_000, 5)) ** 2).sum(axis=1)
    assert 10 < np.count_nonzero(lengths > size) < 90
    standard = problem_of(
        Setting(
            data=Data(kind="gaussian", spectrum=(1.0,) * 20, samples=40),
            network=Network(kind="mlp", hidden=(5,), init_variance=(2.0, 3.0)),
        )
    )
    assert (standard.s0, standard.sa, standard.scale) == pytest.approx((0.1, 0.6, 1.0))
    assert standard.both
    assert standard.effective_dimension == pytest.approx(20)
    assert rows_needed(one, 10) == 1024
    assert rows_needed(one, 100) == 2048


def test_what_controls_explain_is_no_error() -> None:
    """A mean that is linear in the controls has no error, and one with noise that of its noise."""
    generator = np.random.default_rng(0)
    features = generator.standard_normal((64, 2))

    def runs(noise: float) -> list[Solution]:
        tau = 1 + features @ [0.3, -0.2] + noise * generator.standard_normal(64)
        return [Solution(np.array([[0.5]]), np.array([[t - 0.5]]), np.zeros(0), np.ones((1, 1))) for t in tau]

    plain = averaged(runs(0.0), features, (0,), adjusted=False)
    assert plain.tau[0, 0] == pytest.approx(np.mean([run.tau[0, 0] for run in runs(0.0)]))
    exact = averaged(runs(0.0), features, (0,))
    np.testing.assert_allclose(exact.tau, 1, rtol=1e-12)
    assert exact.error.max() < 1e-12
    found = np.array(
        [(lambda a: (a.tau[0, 0], a.error[0, 0]))(averaged(runs(0.1), features, (0,))) for _ in range(400)]
    )
    assert found[:, 0].std() == pytest.approx(found[:, 1].mean(), rel=0.2)


def stopped(
    found: Problem, monkeypatch: pytest.MonkeyPatch, change: float, relative: float, places: tuple[float, ...] = (1.0,)
) -> int:
    """The draws of an average whose τ/s_0² is 1 + `change` at each place, with this standard error after 32 of them.

    The error of a place is `relative` to its τ, times the place's number.
    """
    noise = np.resize([1.0, -1.0], 1024)
    draws = [0]

    def solution(scale: float, value: float) -> Solution:
        tau = found.s0 * ((1 + change) * (1 + scale * value * np.array(places)))[None]
        return Solution(0.6 * tau, 0.4 * tau, np.zeros(0), np.ones_like(tau))

    def solve(*_: object, **keys: int) -> Solution:
        draws[0] = keys["seed"]
        return solution(scale, noise[keys["seed"]])

    weights, starts = draws_of(found, 0, averaging.rounds(found)[-1])
    features = controls(found, weights[:32])
    if found.explicit:
        features = averaging.explicit_controls(found, weights[:32], starts[:32])
    runs = [solution(1.0, noise[1 + number]) for number in range(32)]
    first = averaged(runs, features, (0,), adjusted=bool(found.explicit))
    scale = relative / float(first.error[0, 0] / (found.s0 * (1 + change)))
    monkeypatch.setattr(averaging, "solve", solve)
    answer = average(found, (0,), seed=0)
    assert answer.draws == draws[0]
    return answer.draws


@pytest.mark.parametrize(
    ("change", "relative", "draws"),
    [
        (1.0, 0.0099, 32),
        (1.0, 0.0101, 64),
        (1.0, 0.0139, 64),
        (1.0, 0.0150, 128),
        (1.0, 0.1, 128),
        (0.5, 0.006, 32),  # .009 of .5 of the initial variance
        (0.5, 0.007, 64),
        (0.0099, 0.0098, 32),  # what does not move need not be known as a share of itself
        (0.0101, 0.0098, 128),
    ],
)
def test_draws_are_added_until_tau_and_its_change_are_known(
    change: float, relative: float, draws: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Draws number 32, 64 or 128, until τ is known to 1 % and its change to 2 %.

    A change below 1 % of the initial variance need not be known as a share of itself.
    """
    assert stopped(problem(m=2, spectrum=(1.0,) * 20), monkeypatch, change, relative) == draws


@pytest.mark.parametrize(("share", "draws"), [(1.99, 32), (2.01, 64), (4.0, 128), (40.0, 256)])
def test_along_explicit_directions_two_per_cent_are_enough(
    share: float, draws: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Draws are added until an explicit direction is known to 2 % of τ; its error is `share` per cent after 32 draws.

    The other directions are known twice as well as they must be.
    """
    found = problem(41, 80, 2, spectrum=(*(1.0,) * 40, 20.0))
    assert stopped(found, monkeypatch, 1.0, 0.005, (1.0, 2 * share)) == draws


@pytest.mark.parametrize(("width", "helped"), [(4, False), (5, True)])
def test_more_than_four_output_weights_are_regressed(width: int, helped: bool) -> None:
    assert features_help(problem(m=width)) == helped
