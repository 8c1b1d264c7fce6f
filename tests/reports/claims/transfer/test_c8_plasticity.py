"""Claim C8 can say no: of slopes, of remedies, of what the axes do, of the control, of predicted signs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from reports.claims.claim import Case, Context, Outcome
from reports.claims.transfer import plasticity_judging
from reports.claims.transfer.c8_plasticity import CLAIM
from reports.claims.transfer.plasticity_effects import PlasticityEffects
from reports.claims.transfer.plasticity_points import COMPARED, MAP, READ, TASKS, TaskPoint, expected_course
from reports.judging.needed import by_interval
from reports.typesetting.figures import render

CASES = {case.study: case for case in CLAIM.cases(Context(seed=999))}
TIMES = np.arange(TASKS) - (TASKS - 1) / 2
LOST, GAINED = TaskPoint(16, 2.0, 0.02), TaskPoint(96, 0.35, 0.04)


def made(
    slope: float,
    helps: tuple[float, ...] = (0.0,),
    gain: float = 0.0,
    predicted: float | None = None,
    noise: float = 0.002,
) -> PlasticityEffects:
    """Eight replicas of this slope over tasks, remedies that help by so much from the second task on, and gains."""
    generator = np.random.default_rng(5)

    def noisy(shape: tuple[int, ...], size: float = noise) -> np.ndarray:
        return np.asarray(size * generator.standard_normal(shape))

    names = ("none", "rescaled", "revived", "decay 0.03", "anew") if len(helps) > 1 else ("none", "anew")
    own = 0.6 + np.outer(slope + noisy((8,)), TIMES)
    levels = [own, *(own + help + noisy((8, 1)) for help in helps[:-1]), 0.6 + noisy((8, TASKS))]
    reached = np.stack(levels)
    during = np.stack([level * 0 + 0.5 for level in levels]) + noisy(reached.shape)
    during[0] += gain
    foreseen = np.full((len(READ), 8), gain if predicted is None else predicted)
    return PlasticityEffects(
        remedies=names,
        accuracy=reached,
        loss=1 - reached,
        mean_accuracy=during,
        mean_loss=1 - during,
        alive=np.full(reached.shape, 0.7) + noisy(reached.shape),
        predicted=foreseen,
        predicted_loss=foreseen,
        replicas=8,
        diverged=0,
    )


HELPS = (0.05, 0.15, 0.3, 0.0)  # of rescaled, revived, decay, and a new network


def verdicts(case: Case, measured: PlasticityEffects) -> list[str]:
    return [judgement.verdict for judgement in CLAIM.decide(case, CLAIM.predict(case), measured)]


@pytest.mark.parametrize(
    ("point", "slope", "noise", "verdict"),
    [
        (LOST, -0.03, 0.002, "holds"),
        (LOST, 0.03, 0.002, "refuted"),
        (LOST, -0.002, 0.001, "refuted"),  # a loss, and none that counts
        (LOST, 0.0, 0.001, "refuted"),
        (LOST, -0.01, 0.05, "undecided"),
        (GAINED, 0.03, 0.002, "holds"),
        (GAINED, -0.03, 0.002, "refuted"),
        (GAINED, 0.002, 0.001, "refuted"),
    ],
)
def test_slopes(point, slope, noise, verdict):
    assert verdicts(CASES[point], made(slope, noise=noise)) == [verdict]


def test_the_first_and_the_last_task_are_told():
    """Means over replicas, of which there are as many as tasks."""
    measured = made(-0.03)
    measured.accuracy[0, 0] += 0.1
    (judged,) = CLAIM.decide(CASES[LOST], CLAIM.predict(CASES[LOST]), measured)
    first, last = (measured.accuracy[0, :, task].mean() for task in (0, -1))
    assert judged.note.startswith(f"lost: accuracy {first:.3f} in the first task, {last:.3f} in the last")
    assert judged.standard_error == measured.slope().standard_error


def test_what_diverges_or_does_not_vary_holds_nothing():
    assert verdicts(CASES[LOST], replace(made(-0.03), diverged=1)) == ["undecided"]
    still = made(-0.03)
    still = replace(still, accuracy=np.repeat(still.accuracy[:, :1], 8, axis=1))
    assert verdicts(CASES[LOST], still) == ["undecided"]


def test_points_that_the_pilot_left_open_are_only_shown():
    for point in MAP:
        expected = expected_course(point)
        assert CASES[point].kind == ("asymptotic" if expected else "outside")
        assert len(verdicts(CASES[point], made(-0.03))) == (expected is not None)
    assert {expected_course(point) for point in MAP} == {"lost", "gained", None}


def test_remedies_and_their_ranks():
    case = CASES[COMPARED[0]]
    assert verdicts(case, made(-0.03, HELPS)) == ["holds"] * 6
    harmful = made(-0.03, tuple(-help for help in HELPS))
    assert verdicts(case, harmful) == ["holds", *["refuted"] * 5]
    assert verdicts(case, made(-0.03, (0.15, 0.05, 0.3, 0.0))) == ["holds"] * 4 + ["refuted", "holds"]
    assert verdicts(case, made(-0.03, (0.05, 0.3, 0.15, 0.0))) == ["holds"] * 5 + ["refuted"]
    idle = made(-0.03, (0.0, 0.0, 0.0, 0.0))
    assert "holds" not in verdicts(case, idle)[1:]


def outcomes(effects_of: Callable[[TaskPoint], PlasticityEffects], compared: bool = False) -> tuple[Outcome, ...]:
    points = (*MAP, *COMPARED) if compared else MAP
    return tuple(Outcome(CASES[p], CLAIM.predict(CASES[p]), effects_of(p), ()) for p in points)


def as_claimed(point: TaskPoint) -> PlasticityEffects:
    """Slopes that fall with the init and the rate and rise with the width; gains of both signs, well predicted."""
    slope = 0.03 + 0.0001 * point.width - 0.04 * point.factor - point.rate
    gain = 0.1 if point.factor < 1 else -0.1
    return made(slope, HELPS, gain) if point.compared else made(slope, gain=gain)


def concluded(effects_of: Callable[[TaskPoint], PlasticityEffects]) -> list[str]:
    return [judgement.verdict for judgement, _ in CLAIM.conclude(outcomes(effects_of))]


def test_over_the_map():
    assert concluded(as_claimed) == ["holds"] * 6
    judged = CLAIM.conclude(outcomes(as_claimed, compared=True))
    assert {judgement.about for judgement, _ in judged} == {"all points of the map"}
    assert all(len(of) == len(MAP) for _, of in judged)
    assert CLAIM.conclude(()) == ()


def test_axes_that_do_the_opposite_are_refuted():
    def turned(point):
        return made(-(0.03 + 0.0001 * point.width - 0.04 * point.factor - point.rate), gain=0.1)

    assert concluded(turned)[:3] == ["refuted"] * 3
    assert "holds" not in concluded(lambda point: made(0.0, noise=0.01))[:3]


def test_the_control_sees_what_is_carried_on_unnoticed():
    """New networks whose accuracy falls from task to task are no new networks."""

    def leaking(point):
        measured = as_claimed(point)
        measured.accuracy[1] += -0.02 * TIMES
        return measured

    assert concluded(leaking)[3] == "refuted"
    assert concluded(lambda point: replace(as_claimed(point), diverged=1))[3] == "undecided"


def test_wrong_shuffled_and_constant_signs_do_not_hold():
    def foreseen(sign_of: Callable[[TaskPoint], float]) -> list[str]:
        def effects(point):
            gain = 0.1 if point.factor < 1 else -0.1
            return made(-0.03, gain=gain, predicted=0.1 * sign_of(point))

        return concluded(effects)[4:]

    assert foreseen(lambda point: 1.0 if point.factor < 1 else -1.0) == ["holds"] * 2
    assert foreseen(lambda point: -1.0 if point.factor < 1 else 1.0) == ["refuted"] * 2
    assert "holds" not in foreseen(lambda point: 1.0)
    assert foreseen(lambda point: 1.0 if point.rate > 0.03 else -1.0) == ["refuted"] * 2  # right in half of them
    assert foreseen(lambda point: np.nan) == ["refuted"] * 2
    signs = dict(zip(MAP, np.random.default_rng(4).permutation(np.repeat([1.0, -1.0], len(MAP) // 2)), strict=True))
    assert "holds" not in foreseen(lambda point: signs[point])  # of other points
    few = outcomes(as_claimed)[:10]
    assert [judgement.verdict for judgement, _ in CLAIM.conclude(few)][-2:] == ["undecided"] * 2


def test_loss_and_accuracy_are_judged_by_their_own_gains_and_predictions():
    def effects(point):
        right = as_claimed(point)
        return replace(right, predicted_loss=-right.predicted_loss)

    assert concluded(effects)[4:] == ["refuted", "holds"]

    def turned(point):
        right = as_claimed(point)
        return replace(right, mean_loss=-right.mean_loss)

    assert concluded(turned)[4:] == ["refuted", "holds"]
    loss, _ = [judgement for judgement, _ in CLAIM.conclude(outcomes(as_claimed))][4:]
    assert "in loss" in loss.quantity
    assert "task 2: 24 of 24 right; task 5: 24 of 24 right; task 10: 24 of 24 right" in loss.note


def test_what_is_undecided_says_how_much_more_it_needs():
    few = [judgement for judgement, _ in CLAIM.conclude(outcomes(as_claimed)[:10])][-1]
    assert "would need about 20 points" in few.note
    (near,) = CLAIM.decide(CASES[GAINED], "gained", made(0.001, noise=0.012))
    assert near.verdict == "undecided"
    assert "would need about" in near.note


def test_constants_do_not_hold_where_all_gains_have_one_sign():
    assert concluded(lambda point: made(-0.03, gain=-0.1))[4:] == ["undecided"] * 2


def test_tables_and_figures_show_every_point_and_the_best_remedy_first():
    shown = CLAIM.illustrate(outcomes(as_claimed, compared=True))
    slopes, gains, remedies = shown.tables
    assert len(slopes.rows) == len(gains.rows) == len(MAP)
    assert [row[1] for row in remedies.rows][:5] == ["decay 0.03", "revived", "rescaled", "anew", "none"]
    assert len(gains.columns) == 3 + 2 * len(READ)
    assert [len(figure.panels) for figure in shown.figures] == [len(COMPARED), 3]
    assert all(render(figure).svg for figure in shown.figures)


def test_points_whose_networks_diverged_leave_gaps():
    some = tuple(outcome for outcome in outcomes(as_claimed) if outcome.case.study.width > 16)
    assert len(CLAIM.illustrate(some).tables[0].rows) == len(some)
    assert len(CLAIM.conclude(some)) == 6
    alone = tuple(outcome for outcome in some if outcome.case.study == GAINED)
    assert len(CLAIM.conclude(alone)) == 3  # no axis has two ends
    assert all(render(figure).svg for figure in CLAIM.illustrate(some).figures)
    assert CLAIM.illustrate(()).tables == ()


def test_remedies_are_compared_in_later_tasks_by_intervals_that_hold_together():
    measured = made(-0.03, HELPS)
    measured.accuracy[1:, :, 0] += 0.2  # of the first task nothing is asked
    slope, *found = CLAIM.decide(CASES[COMPARED[0]], CLAIM.predict(CASES[COMPARED[0]]), measured)
    pairs = [
        ("rescaled", "none"),
        ("revived", "none"),
        ("decay 0.03", "none"),
        ("revived", "rescaled"),
        ("decay 0.03", "revived"),
    ]
    for judgement, (remedy, other) in zip(found, pairs, strict=True):
        expected = measured.help(remedy, other, confidence=0.99)
        assert judgement.quantity == f"accuracy reached in tasks 2 to 10, {remedy} minus {other}"
        assert judgement.measurement == pytest.approx(expected.mean)
        assert judgement.interval == pytest.approx((expected.low, expected.high))
        levels = [measured.accuracy[measured.of(name), :, 1:].mean() for name in (remedy, other)]
        assert judgement.note == f"{levels[0]:.3f} with {remedy} and {levels[1]:.3f} with {other}"
    assert slope.interval == (measured.slope().low, measured.slope().high)


@pytest.mark.parametrize(
    ("slope", "bounds"), [(0.0028, (0.0,)), (-0.0028, (0.0,)), (0.0021, (-0.005, 0.005)), (-0.0021, (-0.005, 0.005))]
)
def test_what_is_nearer_to_being_decided_says_what_is_needed(slope, bounds):
    """From half of the smallest slope that counts on, the need is to exclude 0; below, it is to exclude such slopes."""
    measured = made(slope, noise=0.008)
    measured.accuracy[0] += (slope - measured.slope().mean) * TIMES
    (judged,) = CLAIM.decide(CASES[GAINED], "gained", measured)
    found = measured.slope()
    assert found.mean == pytest.approx(slope)
    assert judged.verdict == "undecided"
    assert judged.note.endswith(by_interval(8, found.low, found.high, bounds))


def test_ends_of_axes_and_the_control_are_means_over_their_points():
    measured = {point: as_claimed(point) for point in MAP}
    found = {j.quantity: j for j, _ in CLAIM.conclude(outcomes(measured.__getitem__))}
    for axis in ("width", "factor", "rate"):
        ends = [end({getattr(point, axis) for point in MAP}) for end in (min, max)]
        low, high = ([each.slope() for point, each in measured.items() if getattr(point, axis) == end] for end in ends)
        judged = found[f"slope over tasks at the largest {axis} minus that at the smallest"]
        means = [np.mean([each.mean for each in side]) for side in (high, low)]
        assert judged.measurement == pytest.approx(means[0] - means[1])
        error = np.sqrt(sum(each.standard_error**2 for each in (*low, *high))) / len(low)
        assert judged.standard_error == pytest.approx(error)
        assert judged.note.startswith(f"{means[0]:+.4f} against {means[1]:+.4f} per task, over {len(low)} points each")
    control = found["slope of the accuracy reached over tasks, a new network per task"]
    slopes = [each.slope("anew") for each in measured.values()]
    assert control.prediction == 0.0
    assert control.measurement == pytest.approx(np.mean([each.mean for each in slopes]))
    error = np.sqrt(sum(each.standard_error**2 for each in slopes)) / len(MAP)
    assert control.standard_error == pytest.approx(error)
    assert control.interval is not None
    assert control.interval == pytest.approx(
        (control.measurement - 1.96 * error, control.measurement + 1.96 * error), abs=0.03 * error
    )


def test_new_networks_that_all_do_the_same_leave_the_control_undecided():
    def still(point):
        measured = as_claimed(point)
        measured.accuracy[1] = 0.6
        return measured

    control = [judgement for judgement, _ in CLAIM.conclude(outcomes(still))][3]
    assert (control.verdict, control.interval, control.standard_error) == ("undecided", None, None)


def test_a_slope_of_just_half_of_what_counts_needs_not_to_count(monkeypatch):
    measured = made(0.0028, noise=0.008)
    found = measured.slope()
    half = abs(found.mean)
    for size, bounds in ((2 * half, (-2 * half, 2 * half)), (float(np.nextafter(2 * half, 0)), (0.0,))):
        monkeypatch.setattr(plasticity_judging, "SMALLEST", size)
        judged = plasticity_judging.judge_slope(measured, "gained")
        assert judged.verdict == "undecided"
        assert judged.note.endswith(by_interval(8, found.low, found.high, bounds))
