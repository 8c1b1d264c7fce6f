"""Where mini-batches of fixed rows settle, and how far they still are: against the recursion, step by step."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles.linear import OPTIMIZERS, fixed_setting, rows_with_spectrum
from theory.catalogue import FORMS, candidates, predict
from theory.eigenspaces import eigenspaces
from theory.errors import InvalidInput, NoClosedForm
from theory.linear import mini_batch, stationary
from theory.linear.eigenbasis import in_eigenbasis
from theory.linear.mean_square import Resolvent, contracting_matrices, flattened, growth, mean_square_map
from theory.linear.stationary import remainder, stationary_state
from theory.setting import Data, Labels, Network, Setting, Training

NAME = "linear-stationary"

# ---- where it settles


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("n", "d", "sampling"), [(12, 3, "fresh"), (4, 6, "replacement")])
def test_the_stationary_state_is_where_the_recursion_ends(sampling: str, optimizer: str, n: int, d: int) -> None:
    generator = np.random.default_rng([n, d, 5])
    rows = rows_with_spectrum(generator, n, np.array([0.0] * (d - min(n, d)) + [0.5] * (min(n, d) - 2) + [1.0, 1.0]))
    training = Training(learning_rate=0.2, batch_size=3, sampling=sampling, steps=1, **OPTIMIZERS[optimizer])
    setting = fixed_setting(rows, training, network=Network(init_spectrum=tuple(np.linspace(0.1, 1, d))))
    state = stationary_state(setting, rows)
    steps = int(60 / training.learning_rate_at(10))
    late = msgspec.structs.replace(setting, training=msgspec.structs.replace(training, steps=steps))
    expected = predict(late, rows=rows).readings[0].second_moment
    assert expected is not None
    np.testing.assert_allclose(state.second_moment, expected, rtol=0, atol=1e-10 * np.abs(expected).max())
    values = np.linalg.eigvalsh(state.noise)
    assert values[0] > -1e-14 * max(1.0, values[-1])
    if n < d and training.weight_decay == 0:
        # the rows can be interpolated: where descent ends, every batch agrees
        np.testing.assert_allclose(state.noise, 0, atol=1e-13 * np.abs(expected).max())
    else:
        assert values[-1] > 1e-4


def test_one_step_more_changes_nothing() -> None:
    """U = A U A + η²C(U), written out in the coordinates of the data."""
    rows = np.random.default_rng(1).standard_normal((15, 4))
    setting = fixed_setting(rows, Training(learning_rate=0.1, batch_size=2, sampling="replacement", weight_decay=0.2))
    state = stationary_state(setting, rows)
    p, s, eta, n = state.second_moment, rows.T @ rows / 15, 0.1, 15
    h = s + 0.2 * np.eye(4)
    q = np.linalg.inv(h) @ rows.T / n
    r = rows @ p @ rows.T - rows @ q - q.T @ rows.T + np.eye(n)
    a = np.eye(4) - eta * h
    noise = (n / 2) / n**2 * (rows.T @ np.diag(r.diagonal()) @ rows - rows.T @ r @ rows / n)
    after = a @ p @ a + eta / n * (a @ q @ rows + (a @ q @ rows).T) + eta**2 / n * s + eta**2 * noise
    np.testing.assert_allclose(after, p, rtol=0, atol=1e-15 * 50)


def test_the_limit_of_stability_is_where_the_recursion_grows() -> None:
    """Just below the largest stable rate there is a state; just above there is none, and the recursion explodes."""
    rows = np.random.default_rng(2).standard_normal((10, 3))

    def setting(rate: float, steps: int = 1) -> Setting:
        return fixed_setting(rows, Training(learning_rate=rate, batch_size=1, sampling="fresh", steps=steps))

    def stable(rate: float) -> bool:
        try:
            stationary_state(setting(rate), rows)
        except InvalidInput:
            return False
        return True

    low, high = 0.01, 2.0
    while high - low > 1e-6 * low:
        low, high = ((low + high) / 2, high) if stable((low + high) / 2) else (low, (low + high) / 2)
    assert high < 2 / np.linalg.eigvalsh(rows.T @ rows / 10)[-1]  # full-batch training is still stable
    # the growth of U over 2,000 steps, just inside and just outside
    inside = predict(setting(low * 0.98, 2000), rows=rows).readings[0].second_moment
    assert inside is not None
    np.testing.assert_allclose(inside, stationary_state(setting(low * 0.98), rows).second_moment, rtol=1e-6)
    outside = predict(setting(high * 1.02, 2000), rows=rows).readings[0].tau
    assert outside.max() > 1e3 * stationary_state(setting(low * 0.98), rows).second_moment.max()


def test_what_has_no_stationary_state() -> None:
    rows = np.random.default_rng(2).standard_normal((10, 3))
    for training, key in (
        (Training(batch_size=2, learning_rate=5.0, sampling="fresh"), "training.learning_rate"),
        (Training(batch_size=2), "setting"),
        (Training(), "setting"),
    ):
        with pytest.raises(InvalidInput) as caught:
            stationary_state(fixed_setting(rows, training), rows)
        assert caught.value.key == key
    many = np.random.default_rng(3).standard_normal((300, 101))
    with pytest.raises(InvalidInput, match="more than 100 directions"):
        stationary_state(fixed_setting(many, Training(batch_size=2, sampling="fresh")), many)
    with pytest.raises(InvalidInput, match="rows"):
        stationary_state(fixed_setting(rows, Training(batch_size=2, sampling="fresh")), rows[:5])


def test_rows_that_are_all_zero() -> None:
    rows = np.zeros((4, 2))
    setting = fixed_setting(rows, Training(batch_size=2, sampling="fresh", steps=5))
    np.testing.assert_array_equal(stationary_state(setting, rows).second_moment, np.eye(2) / 2)
    assert predict(setting, rows=rows, formula=NAME).readings[0].tau.tolist() == [0.5]


# ---- how far it still is


@st.composite
def trainings(draw: st.DrawFn) -> tuple[Setting, np.ndarray]:
    """A setting of any optimizer and rows for it, n above and below d, repeated and zero eigenvalues."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, d = draw(st.integers(2, 12)), draw(st.integers(1, 7))
    rows = generator.standard_normal((n, d)) * np.sqrt(generator.choice([0.0, 0.3, 1.0, 2.0], d))
    sampling = draw(st.sampled_from(["fresh", "replacement"]))
    options = dict(OPTIMIZERS[draw(st.sampled_from(sorted(OPTIMIZERS)))])
    if "drops" in options:
        options["drops"] = ((draw(st.integers(0, 200)), draw(st.sampled_from([0.2, 0.5, 2.0]))),)
    training = Training(
        learning_rate=draw(st.sampled_from([0.02, 0.1, 0.3])),
        batch_size=draw(st.integers(1, n - 1 if sampling == "fresh" else n)),
        sampling=sampling,
        steps=(0, 1, 7, 30, 150, 600),
        **options,
    )
    anisotropic = draw(st.booleans())
    network = Network(
        init_spectrum=tuple(generator.uniform(0, 2, d)) if anisotropic else (),
        init_variance=draw(st.sampled_from([0.0, 0.1, 1.0, 30.0])),
        parametrization=draw(st.sampled_from(["standard", "ntk"])),
    )
    return fixed_setting(rows, training, network=network, labels=Labels(variance=1.5)), rows


@given(trainings())
@settings(max_examples=20, deadline=None)
def test_what_is_left_of_the_start_is_bounded(case: tuple[Setting, np.ndarray]) -> None:
    """The bound holds at every step, early ones included, for any optimizer, rows, start and schedule."""
    setting, rows = case
    try:
        state = stationary_state(setting, rows)
    except NoClosedForm:  # unstable in mean square
        return
    turn, reached = state.basis.spaces.basis, state.basis.reached
    limit = np.diag(turn.T @ state.second_moment @ turn)[reached]
    for reading, bound in zip(mini_batch.predict(setting, rows).readings, remainder(state), strict=True):
        moment = reading.second_moment
        assert moment is not None
        left = np.abs(np.diag(turn.T @ moment @ turn)[reached] - limit)
        rounding = 1e-11 * np.abs(moment).max()
        assert np.all(left <= bound * (1 + 1e-9) + rounding), (reading.step, left, bound)


@given(trainings())
@settings(max_examples=60, deadline=None)
@pytest.mark.slow
def test_the_error_is_within_the_budget(case: tuple[Setting, np.ndarray]) -> None:
    setting, rows = case
    try:
        stationary_state(setting, rows)
    except NoClosedForm:  # unstable in mean square: the recursion may overflow
        return
    for exact in mini_batch.predict(setting, rows).readings:
        training = msgspec.structs.replace(setting.training, steps=exact.step)
        try:
            settled = predict(msgspec.structs.replace(setting, training=training), rows=rows, formula=NAME)
        except NoClosedForm:
            continue
        assert settled.error_budget is not None
        assert 0.02 <= settled.error_budget <= 0.5
        tau, known = settled.readings[0].tau, exact.tau
        assert np.all(np.abs(tau - known) <= settled.error_budget * np.minimum(tau, known) + 1e-300)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_budget_falls_to_its_least_and_the_error_with_it(optimizer: str) -> None:
    """Long after the start the form is the recursion, whole matrix and all; the budget is not needlessly wide."""
    rows = np.random.default_rng(4).standard_normal((30, 4))
    options = {**OPTIMIZERS[optimizer], **({"drops": ((20, 0.5),)} if "drops" in OPTIMIZERS[optimizer] else {})}
    base = Training(learning_rate=0.1, batch_size=3, sampling="fresh", steps=(200, 600, 3000), **options)
    setting = fixed_setting(rows, base)
    exact = predict(setting, rows=rows)
    assert exact.formula == "linear-mini-batch"
    late = msgspec.structs.replace(setting, training=msgspec.structs.replace(base, steps=3000))
    settled = predict(late, rows=rows, formula=NAME)
    assert (settled.status, settled.error_budget) == ("asymptotic", 0.02)
    np.testing.assert_allclose(settled.readings[0].second_moment, exact.readings[-1].second_moment, atol=1e-12)
    state = stationary_state(setting, rows)
    bounds = remainder(state)
    assert np.all(bounds[1] <= np.maximum(bounds[0] / 2, 1e-13))
    # bounds are not needlessly wide where there is something left
    turn, moment = state.basis.spaces.basis, exact.readings[0].second_moment
    assert moment is not None
    left = np.abs(np.diag(turn.T @ (moment - state.second_moment) @ turn))
    assert bounds[0].max() < max(1000 * left.max(), 1e-8)


def test_matrices_that_contract_come_close_to_the_spectral_radius() -> None:
    """The spectral radius of the map, written out as a matrix, is below every ρ, and the last ρ is next to it."""
    rows = np.random.default_rng(6).standard_normal((9, 3))
    for options in ({}, {"momentum": 0.6, "nesterov": True}):
        training = Training(learning_rate=0.1, batch_size=2, sampling="fresh", weight_decay=0.1, **options)  # type: ignore[arg-type]
        step = mean_square_map(in_eigenbasis(fixed_setting(rows, training), rows), 0)
        resolvent = Resolvent(step)
        blocks = resolvent.identity.shape[0]
        shape, size = (blocks, blocks, 3, 3), blocks**2 * 9
        columns = []
        for unit in np.eye(size):
            z = unit.reshape(shape)
            columns.append(step((z + z.transpose(1, 0, 3, 2)) / 2).ravel())
        radius = np.abs(np.linalg.eigvals(np.array(columns).T)).max()
        ratios = [growth(step, v) for v in contracting_matrices(resolvent, 40)]
        assert all(radius <= ratio * (1 + 1e-9) < 1 for ratio in ratios)
        assert np.all(np.diff(ratios) <= 1e-9)
        assert ratios[-1] == pytest.approx(radius, abs=1e-4)
        settled = resolvent(resolvent.identity)
        np.testing.assert_allclose(settled - step(settled), resolvent.identity, atol=1e-10)
        assert np.linalg.eigvalsh(flattened(settled))[0] >= 1


# ---- the door


def test_it_is_never_preferred() -> None:
    """The exact recursion applies wherever this form does, so that no setting has a form only by it."""
    names = [form.name for form in FORMS]
    assert names.index(NAME) > names.index("linear-mini-batch")
    fixed = Data(kind="gaussian", spectrum=(1.0, 2.0), samples=6, fixed=True)
    for data in (fixed, msgspec.structs.replace(fixed, fixed=False)):
        for sampling in ("epochs", "fresh", "replacement"):
            for size in ("full", 6, 4, 1):
                for network in (Network(), Network(kind="mlp", hidden=(3,))):
                    training = Training(batch_size=size, sampling=sampling)  # type: ignore[arg-type]
                    setting = Setting(data=data, training=training, network=network)
                    if stationary.refusal(setting) is None:
                        assert candidates(setting)[0].name == "linear-mini-batch"


def test_what_it_refuses() -> None:
    rows = np.random.default_rng(2).standard_normal((10, 3))
    early = fixed_setting(rows, Training(batch_size=2, learning_rate=0.1, sampling="fresh", steps=(3, 4000)))
    with pytest.raises(NoClosedForm, match=r"by step 3 up to .* of τ may be left of the start") as caught:
        predict(early, rows=rows, formula=NAME)
    assert caught.value.key == "training.steps"
    unstable = fixed_setting(rows, Training(batch_size=2, learning_rate=5.0, sampling="fresh"))
    with pytest.raises(NoClosedForm, match="unstable in mean square"):
        predict(unstable, rows=rows, formula=NAME)
    silent = fixed_setting(rows, Training(batch_size=2, sampling="fresh"), labels=Labels(variance=0.0))
    with pytest.raises(NoClosedForm, match=r"labels\.variance = 0"):
        predict(silent, rows=rows, formula=NAME)
    full = fixed_setting(rows, Training())
    with pytest.raises(NoClosedForm, match="the full batch is not drawn"):
        predict(full, rows=rows, formula=NAME)


def test_directions_without_rows_are_kept_exactly() -> None:
    rows = np.random.default_rng(3).standard_normal((3, 5))
    training = Training(batch_size=1, learning_rate=0.1, sampling="fresh", weight_decay=0.05, steps=700)
    setting = fixed_setting(rows, training)
    settled, exact = predict(setting, rows=rows, formula=NAME), predict(setting, rows=rows)
    assert eigenspaces(rows.T @ rows / 3).multiplicity[0] == 2
    assert settled.readings[0].tau[0] == pytest.approx(0.2 * 0.995**1400, rel=1e-12)
    np.testing.assert_allclose(settled.readings[0].tau, exact.readings[0].tau, rtol=0.02)
