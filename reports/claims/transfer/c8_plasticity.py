"""C8, plasticity: over successive random-label tasks the accuracy that is reached falls, and remedies restore it."""

from __future__ import annotations

from collections.abc import Mapping

from reports.claims.claim import Case, Claim, Context, Outcomes, Trial
from reports.claims.transfer.map_signs import CHANCE
from reports.claims.transfer.plasticity_effects import PlasticityEffects, measure_plasticity
from reports.claims.transfer.plasticity_figures import (
    map_figure,
    next_gains_table,
    remedies_table,
    slopes_table,
    tasks_figure,
)
from reports.claims.transfer.plasticity_judging import (
    SMALLEST,
    judge_anew,
    judge_axes,
    judge_next_signs,
    judge_remedies,
    judge_slope,
)
from reports.claims.transfer.plasticity_points import (
    COMPARED,
    DECAY,
    EPOCHS,
    FACTORS,
    LOWER,
    MAP,
    RATES,
    READ,
    ROWS,
    TASKS,
    WIDTHS,
    Fate,
    TaskPoint,
    expected_course,
)
from reports.findings import Exhibits, Judgement
from reports.judging.rules import SHARE


def trials(context: Context) -> Mapping[str, Trial[TaskPoint]]:
    """The points of the map, without a remedy and with a new network per task; then those of all remedies."""
    return {
        point.name: Trial(
            point.task(context.replicas(point.replicas)), point, "asymptotic" if expected_course(point) else "outside"
        )
        for point in (*MAP, *COMPARED)
    }


def predict(case: Case[TaskPoint]) -> Fate | None:
    """What becomes of plasticity; nothing of points that are only shown.

    What linearisations say is not known before the networks are trained.
    """
    return expected_course(case.study)


def measure(case: Case[TaskPoint], context: Context) -> PlasticityEffects:
    """The networks of a point on all tasks, and what linearised training predicts of them."""
    return measure_plasticity(case, context)


def decide(case: Case[TaskPoint], prediction: Fate | None, measured: PlasticityEffects) -> tuple[Judgement, ...]:
    """The slope over tasks, where one is predicted, and the remedies where they are compared."""
    slope = () if prediction is None else (judge_slope(measured, prediction),)
    return (*slope, *judge_remedies(measured)) if case.study.compared else slope


PlasticityOutcomes = Outcomes[TaskPoint, Fate | None, PlasticityEffects]


def conclude(outcomes: PlasticityOutcomes) -> tuple[tuple[Judgement, PlasticityOutcomes], ...]:
    """Judge the whole map: what width, init and rate do to slopes, the control, and the signs of gains."""
    found = _found(outcomes, compared=False)
    if not found:
        return ()
    mapped = tuple(outcome for outcome in outcomes if not outcome.case.study.compared)
    return tuple((judgement, mapped) for judgement in (*judge_axes(found), judge_anew(found), *judge_next_signs(found)))


def _found(outcomes: PlasticityOutcomes, *, compared: bool) -> dict[TaskPoint, PlasticityEffects]:
    """What is found at the points of the map, or where remedies are compared; networks that diverged are not there."""
    return {o.case.study: o.measurement for o in outcomes if o.case.study.compared == compared}


def illustrate(outcomes: PlasticityOutcomes) -> Exhibits:
    """Slopes and gains over the map, remedies by rank; accuracy over tasks."""
    mapped, compared = (_found(outcomes, compared=each) for each in (False, True))
    shown = [Exhibits()]
    if mapped:
        shown.append(Exhibits((slopes_table(mapped), next_gains_table(mapped)), (map_figure(mapped),)))
    if compared:
        shown.append(Exhibits((remedies_table(compared),), (tasks_figure(compared),)))
    return Exhibits(
        tuple(table for each in shown for table in each.tables),
        tuple(figure for each in reversed(shown) for figure in each.figures),
    )


CLAIM = Claim(
    id="C8",
    title="Plasticity over successive tasks",
    statement="A network that is trained on one set of random labels after another reaches less and less accuracy in "
    "the same number of epochs, the more so the narrower it is and the larger its initial weights and learning rate. "
    "Decay towards the initial weights helps more than dead units drawn anew between tasks, and these help more than "
    "layers rescaled to their initial norms.",
    reference="arXiv:2006.10455 (transfer from random labels); loss of plasticity: arXiv:2306.13812, "
    "arXiv:2303.01486; remedies: arXiv:2308.11958 (decay towards the init), arXiv:2302.12902 (dead units)",
    method=f"An MLP 64-{LOWER}-width-10 on {ROWS} digits, {TASKS} tasks with random labels of their own on the same "
    f"rows, {EPOCHS} epochs each by SGD with momentum 0.9, which is reset at every task. The map: upper widths "
    f"{', '.join(map(str, WIDTHS))}, {', '.join(f'{factor:g}' for factor in FACTORS)} times He's standard deviation, "
    f"learning rates {' and '.join(f'{rate:g}' for rate in RATES)}. In every replica the slope of the accuracy at the "
    "end of a task is taken over tasks by least squares. Plasticity is lost if the 95 % interval of its mean lies "
    f"below 0, gained if it lies above, and kept if it lies within ± {SMALLEST:g} per task, the smallest slope that "
    "counts. What is expected was fixed by two pilot seeds: lost from He's standard deviation on, gained at the "
    "smallest init in the wider networks; other points are only shown. Slopes at both ends of each axis are compared "
    "over the other two. A new network per task is the control, whose mean slope must lie within the same bound. "
    "Remedies are compared in pairs, on the same rows, labels, batches and init, in three times as many replicas; "
    "decay adds "
    f"${DECAY.strength / 2:g}\\,\\|W-W_0\\|^2$ to the loss. The gain of a task is the mean train accuracy less that of "
    "a new network, averaged over its steps, or the mean loss of the new network less its own; its sign is predicted "
    "by linearised training of both networks where the task begins, with the same optimizer, labels and batches. Tasks "
    "of one point share their networks, so the signs of points are counted, for the mean of tasks "
    f"{', '.join(map(str, READ))}; the counts of each of these tasks are in a note. Loss is judged beside accuracy, "
    f"which on {ROWS} rows moves in steps of a sixtieth: at pilot seeds 101 to 103 64 of 72 signs were decided in "
    f"loss, 49 "
    f"in "
    "accuracy. It holds where Clopper and Pearson's interval of the share that is right among decided signs lies "
    f"above {SHARE:g}, shuffled predictions do as well with a probability below {CHANCE:g}, and no constant sign does "
    "as well. Accuracy cannot fall below chance: where it is low from the beginning, slopes are small.",
    trials=trials,
    predict=predict,
    measure=measure,
    decide=decide,
    illustrate=illustrate,
    conclude=conclude,
)
