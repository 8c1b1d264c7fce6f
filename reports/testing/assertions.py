"""Assertions for test suites: each raises AssertionError with the relevant numbers."""

from __future__ import annotations

from typing import Any

from reports.check import check
from reports.judging.verify import verify
from theory.arrays import Array
from theory.containment import containment
from theory.eigenspaces import Eigenspaces
from theory.setting import Setting


def assert_aligned(weights: Any, rows: Any, **options: Any) -> None:
    """Assert that the weights of a layer are aligned with its input, as judged by `check`.

    The verdict allows for sampling noise. Its tests have level 0.01, so about one in a hundred samples of exactly
    aligned weights fails: fix the seeds in a test.

    Parameters
    ----------
    weights : array or tensor, or a list of them
        (m, d) of a dense layer, or filters; several are independent trainings.
    rows : array or tensor
        The layer's input, (n, d) or images.
    options
        Options of `check`: `center`, `seed`, `transposed` and others.

    Raises
    ------
    AssertionError
        If the verdict of `check` is not "aligned"; the message is its explanation.

    Examples
    --------
    >>> import numpy as np
    >>> generator = np.random.default_rng(0)
    >>> scales = np.array([0.5, 1.0, 2.0, 4.0])
    >>> rows = generator.standard_normal((2000, 4)) * scales
    >>> assert_aligned(generator.standard_normal((500, 4)) / scales, rows)
    """
    found = check(weights, rows, **options)
    if found.verdict != "aligned":
        raise AssertionError(str(found))


def assert_contained(first: Eigenspaces | Array, second_moment: Array, /, **options: Any) -> None:
    """Assert that each eigenspace of A lies in one of B (B is aligned with A), up to rounding or the errors given.

    Use it for matrices that are known exactly, such as the Σ_w of a closed form, and `assert_aligned` for samples.

    Parameters
    ----------
    first : Eigenspaces, or Array of shape (d, d)
        A.
    second_moment : Array, shape (d, d)
        B.
    options
        Options of `theory.containment.containment`: `tolerance`, `error_a`, `error_b`.

    Raises
    ------
    AssertionError
        If an eigenspace is not contained, or that is undecided; the message gives leakage and anisotropy of every such
        eigenspace.

    Examples
    --------
    >>> import numpy as np
    >>> assert_contained(np.diag([1.0, 2.0, 2.0]), np.diag([5.0, 3.0, 3.0]))
    >>> assert_contained(np.diag([1.0, 2.0, 2.0]), np.diag([5.0, 3.0, 4.0]))
    Traceback (most recent call last):
    AssertionError: eigenvalue 2 (multiplicity 2): not contained, leakage 0, anisotropy 0.1
    """
    found = containment(first, second_moment, **options)
    rows = zip(
        found.verdicts,
        found.spaces.eigenvalues,
        found.spaces.multiplicity,
        found.leakage,
        found.anisotropy,
        strict=True,
    )
    wrong = [
        f"eigenvalue {float(eigenvalue):.4g} (multiplicity {multiplicity}): {verdict}, leakage {leakage:.2g}, "
        f"anisotropy {anisotropy:.2g}"
        for verdict, eigenvalue, multiplicity, leakage, anisotropy in rows
        if verdict != "contained"
    ]
    if wrong:
        raise AssertionError("\n".join(wrong))


def assert_holds(setting: Setting, *, formula: str | None = None) -> None:
    """Assert that the closed form of a setting agrees with a simulation at every step, with sufficient power.

    The setting's seed fixes the outcome. A correct formula is refuted with a probability below 1e-6 per reading.

    Raises
    ------
    AssertionError
        Unless `verify` finds that all readings hold; the message has one line per reading. `undecided` also fails; its
        reason says how many replicas would decide.
    NoClosedForm
        If no formula applies.

    Examples
    --------
    >>> from theory.setting import Data, Ensemble, Training
    >>> data = Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples=40, fixed=True)
    >>> training = Training(learning_rate=0.1, steps=20)
    >>> assert_holds(Setting(data=data, training=training, ensemble=Ensemble(replicas=50_000)))
    """
    found = verify(setting, formula=formula)
    if not found.convinced:
        lines = [
            f"step {reading.step}: {reading.verdict}, largest relative error {reading.max_relative_error:.2g}"
            + (f" ({reading.reason})" if reading.reason else "")
            for reading in found.comparison
        ]
        raise AssertionError("\n".join([f"{found.prediction.formula} on {found.replicas:,} replicas", *lines]))
