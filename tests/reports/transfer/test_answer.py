"""The answer in words: every verdict can be reached, and a wrong prediction is called wrong."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from reports.transfer.answer import answers, of_any_task, predict_effect
from reports.transfer.condition import Condition
from reports.transfer.study import Estimated, Measure, TransferStudy, TreatmentStudy
from tests.simulate.transfer.experiments import small
from theory.testing import paired_mean
from theory.transfer import KernelNumbers, MeanGain

EXPERIMENT = small(kinds=("scratch", "pretrained"))
SPREAD = np.array([-1.5, -0.5, 0.0, 0.5, 1.5])


def studied(gain: float, noise: float = 0.005, measure: str = "mean accuracy") -> TransferStudy:
    """A study of one treatment that differs from scratch by `gain`."""
    base = Estimated(0.5, 0.01)
    names = (measure, "mean loss") if measure != "mean loss" else (measure,)
    difference = paired_mean(gain + noise * SPREAD)
    return TransferStudy(
        None,
        "pretrained",
        tuple(
            TreatmentStudy(kind, tuple(Measure(name, base, found, None) for name in names), ())
            for kind, found in (("scratch", None), ("pretrained", difference))
        ),
    )


def gains(mean: float, noise: float = 0.001) -> MeanGain:
    each = mean + noise * SPREAD
    return MeanGain(each, mean, float(each.std(ddof=1) / np.sqrt(5)))


def foretold(mean: float, by_kernels: float | None = None, trace: float = 2.0, noise: float = 0.001) -> Condition:
    before, after = (
        KernelNumbers(size * (1 + 0.01 * spread), 10 + spread, 1 + 0 * spread)
        for size, spread in ((1.0, SPREAD), (trace, np.abs(SPREAD) - 0.8))
    )
    kernels = gains(mean if by_kernels is None else by_kernels)
    return Condition("pretrained", gains(mean, noise), gains(mean), kernels, before, after, 5, 0)


def answer(gain: float, found: Condition | None = None, **options):
    (only,) = answers(studied(gain, **options), None if found is None else (predict_effect(EXPERIMENT, found),))
    return only


@pytest.mark.parametrize(
    ("gain", "noise", "effect"),
    [
        (0.04, 0.005, "helps"),
        (-0.04, 0.005, "hurts"),
        (0.001, 0.002, "absent"),
        (0.001, 0.02, "undecided"),
        (0.02, 0.02, "undecided"),
    ],
)
def test_it_is_decided_by_the_interval_of_pairs(gain, noise, effect):
    found = answer(gain, noise=noise)
    assert found.effect == effect
    assert effect in found.text
    assert f"{gain:+.4f} in mean accuracy" in found.text
    assert found.predicted is found.agrees is None


def test_a_lower_loss_helps():
    found = answer(-0.2, measure="mean loss")
    assert (found.effect, found.measure) == ("helps", "mean loss")
    assert found.gain.mean == pytest.approx(0.2)
    assert found.gain.low < found.gain.mean < found.gain.high
    assert "-0.2 in mean loss [-0.20" in found.text
    assert found.bound == pytest.approx(0.005)


def test_one_replica_is_undecided():
    (only,) = answers(replace(studied(0.1), treatments=tuple(
        replace(each, measures=tuple(replace(measure, difference=None) for measure in each.measures))
        for each in studied(0.1).treatments
    )))  # fmt: skip
    assert (only.effect, only.gain) == ("undecided", None)
    assert "single replica" in only.text


def test_what_does_not_vary_is_absent_only_at_zero():
    assert answer(0.0, noise=0.0).effect == "absent"
    assert answer(0.25, noise=0.0).effect == "undecided"


@pytest.mark.parametrize(
    ("mean", "agrees", "words"),
    [
        (0.041, True, "The sign is right."),
        (0.2, True, "the size is not"),
        (-0.03, False, "That sign is wrong: the treatment helps."),
    ],
)
def test_the_prediction_is_held_against_it(mean, agrees, words):
    found = answer(0.04, foretold(mean))
    assert found.agrees is agrees
    assert words in found.text


def test_nothing_is_agreed_on_where_one_is_undecided():
    assert answer(0.04, foretold(0.0005, noise=0.01)).agrees is None
    assert answer(0.001, foretold(0.04), noise=0.02).agrees is None


def test_the_reason_is_the_kernel_or_the_outputs():
    kernel = predict_effect(EXPERIMENT, foretold(0.043, trace=1.8))
    assert "mostly through the tangent kernel" in kernel.text
    assert "centred trace is 1.8 [" in kernel.text
    for alone in (-0.01, 0.01):
        outputs = predict_effect(EXPERIMENT, foretold(0.043, alone))
        assert "mostly through the outputs that training starts with" in outputs.text
        assert f"{alone:+.4f}" in outputs.text
    still = predict_effect(EXPERIMENT, foretold(0.0005, noise=0.01))
    assert still.effect == "undecided"
    assert "mostly through" not in still.text


def test_hypotheses_that_are_broken_are_named():
    adam = msgspec.structs.replace(
        EXPERIMENT,
        downstream=msgspec.structs.replace(
            EXPERIMENT.downstream,
            training=msgspec.structs.replace(EXPERIMENT.downstream.training, optimizer="adam", momentum=0.0),
        ),
    )
    found = predict_effect(adam, foretold(0.04))
    assert found.effect == "helps"
    assert found.kernels is found.by_kernels is None
    assert "those of adam are not" in found.text
    none = predict_effect(EXPERIMENT, replace(foretold(0.04), accuracy=None, loss=None, by_kernels=None))
    assert none.effect is none.mean is None
    assert none.text.startswith("The theory does not apply: linearised training must converge")
    assert "2 of 5 ends above" in predict_effect(EXPERIMENT, replace(foretold(0.04), unstable=2)).text
    some = foretold(0.04)
    some.accuracy.each[0] = np.nan
    assert "1 of 5 networks diverges" in predict_effect(EXPERIMENT, some).text
    assert answer(0.04, replace(foretold(0.04), accuracy=None, loss=None, by_kernels=None)).effect == "helps"


def test_one_output_has_no_kernel_numbers():
    found = predict_effect(EXPERIMENT, replace(foretold(0.04), accuracy=None, before=None, after=None))
    assert (found.measure, found.kernels) == ("mean loss", None)
    assert "there is one output" in found.text


def test_a_single_network_is_predicted_without_an_interval():
    one = replace(foretold(0.04), accuracy=MeanGain(np.array([0.04]), 0.04, None), loss=None)
    found = predict_effect(EXPERIMENT, one)
    assert (found.effect, found.gain, found.mean) == ("helps", None, 0.04)


def test_what_kernels_say_of_any_task_stands_beside_the_prediction():
    condition = foretold(0.04)
    faster, slower = (
        replace(condition, after=replace(condition.after, geometric_mean=np.full(5, size))) for size in (3.0, 0.5)
    )
    for found, words, size in ((faster, "faster", np.log(3.0)), (slower, "more slowly", np.log(0.5))):
        each = predict_effect(EXPERIMENT, found)
        assert each.fresh_task.mean == pytest.approx(size)
        assert f"A fresh task would be learned {words} than from scratch" in of_any_task(each)
        assert answer(0.04, found).text.endswith(f"The sign is right.{of_any_task(each)}")
    unknown = replace(condition, before=None, after=None)
    assert predict_effect(EXPERIMENT, unknown).fresh_task is None
    assert of_any_task(predict_effect(EXPERIMENT, unknown)) == ""
