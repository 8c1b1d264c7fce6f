"""Claims about f on images, and that they can say no."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

import simulate
from reports.campaign import judge
from reports.claims.claim import Case, Context
from reports.claims.shape import b3_images
from theory.eigenspaces import eigenspaces, transfer_function

QUICK = Context(seed=5)


def with_training(case: Case, replicas: int, **training) -> Case:
    """The case with fewer replicas and another training."""
    setting = case.setting
    changed = msgspec.structs.replace(
        setting,
        training=msgspec.structs.replace(setting.training, **training),
        ensemble=msgspec.structs.replace(setting.ensemble, replicas=replicas),
    )
    return replace(case, setting=changed)


def test_f_on_images_is_the_transfer_function_of_each_network():
    case = with_training(b3_images.cases(QUICK)[2], 4, steps=(0, 8, 16, 24, 40))
    measured = b3_images.measure(case, QUICK)
    simulation = simulate.run(case.setting)
    spaces = eigenspaces(simulation.data_moment, gap=1e-9)
    for t, reading in enumerate(simulation.readings):
        np.testing.assert_allclose(measured.f[t], transfer_function(spaces, reading.second_moments), rtol=1e-12)
    middle = np.sqrt(measured.sigma[0] * measured.sigma[-1])
    assert np.all(np.abs(np.log(measured.sigma / middle)) >= abs(np.log(measured.sigma[measured.middle] / middle)))
    assert b3_images.decide(case, "rises", measured)[0].verdict == "holds"


@pytest.mark.parametrize(
    ("decades", "verdicts"),
    [
        ([1.2, 1.3, 1.25], ["holds", "holds"]),
        ([0.4, 0.5, 0.6], ["holds", "refuted"]),
        ([0.8, 1.0, 1.2], ["holds", "undecided"]),
        ([-0.5, 0.0, 0.6], ["undecided", "undecided"]),
        ([-0.4, -0.5, -0.45], ["refuted", "refuted"]),
    ],
)
def test_a_rise_can_be_refuted(decades, verdicts):
    small = b3_images.cases(QUICK)[2]
    f = np.stack([np.ones((3, 3)), np.broadcast_to(10 ** np.array(decades)[:, None], (3, 3))])
    measured = b3_images.Measured(np.array([0.1, 1.0, 10.0]), f, replicas=3, diverged=0)
    findings = b3_images.decide(small, "rises", measured)
    assert [finding.verdict for finding in findings] == verdicts
    assert findings[0].interval[0] < findings[0].measurement == pytest.approx(np.mean(decades))
    assert len(b3_images.decide(b3_images.cases(QUICK)[0], "rises", measured)) == 1
    diverged = b3_images.decide(small, "rises", replace(measured, diverged=1))
    assert "holds" not in {finding.verdict for finding in diverged}


@pytest.mark.slow
@pytest.mark.parametrize("claim", [b3_images])
def test_whole_claims(claim):
    """At another seed than the report's: nothing that is judged is refuted, and the untrained are not called."""
    report = judge(claim.CLAIM, Context(seed=999))
    assert report.tables
    assert report.figures
    assert "refuted" not in {finding.verdict for finding in report.findings}
    assert all(f.verdict == "holds" for f in report.findings if f.kind == "exact")
