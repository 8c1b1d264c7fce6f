"""Fourth moments of online training: against exact integration over rows, labels and init, and closed polynomials."""

import itertools

import numpy as np
import pytest
from scipy.special import roots_hermitenorm

from theory.errors import InvalidInput
from theory.linear.online import FORM, mean_square_limit, variances
from theory.linear.online_fourth import (
    Ratios,
    fourth_growth,
    fourth_limit,
    fourth_moments,
    label_fourth,
    moment_ratios,
)
from theory.setting import Data, Labels, Setting, Sphere, Student, Training, TwoPoint


def grid(points, count):
    """Nodes (n, count) and weights (n,): exact to degree 2·points − 1 in each of `count` standard normal numbers."""
    nodes, weights = roots_hermitenorm(points)
    weights = weights / weights.sum()
    product = np.array(list(itertools.product(range(points), repeat=count)), dtype=int).reshape(-1, count)
    return nodes[product], np.prod(weights[product], axis=1)


def integrated(training, s, initial, *, size, y2, wide=0.0):
    """E[w_i² w_j²] by Gauss–Hermite quadrature, exact: a step makes polynomials of degree 8 in a row's coordinates.

    Labels are ±√y2, and χ = 1 ± `wide`, each with probability ½.
    """
    d = len(s)
    starts, chances = grid(3, d)
    w = starts * np.sqrt(initial)
    rows, weights = grid(5, size * d)
    rows = rows.reshape(-1, size, d) * np.sqrt(s)
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=size))) * np.sqrt(y2)
    radii = (
        np.sqrt(np.array(list(itertools.product((1 - wide, 1 + wide), repeat=size)))) if wide else np.ones((1, size))
    )
    for k in range(training.readings[-1]):
        rate = training.learning_rate_at(k)
        new, mass = [], []
        for y in signs:
            for r in radii:
                x = rows * r[:, None]
                residual = np.einsum("abi,mi->mab", x, w) - y
                step = np.einsum("mab,abi->mai", residual, x) / size + training.weight_decay * w[:, None]
                new.append((w[:, None] - rate * step).reshape(-1, d))
                mass.append((chances[:, None] * weights / len(signs) / len(radii)).ravel())
        w, chances = np.concatenate(new), np.concatenate(mass)
    return np.einsum("m,mi,mj->ij", chances, w**2, w**2)


@pytest.mark.parametrize(
    ("spectrum", "size", "steps", "wide"),
    [
        ((0.5, 1.3), 1, 1, 0.0),
        ((0.5, 1.3), 1, 2, 0.0),
        ((0.5, 1.3), 2, 1, 0.0),
        ((0.5, 1.3), 1, 1, 0.6),
        ((0.5, 1.3), 2, 1, 0.6),
        ((0.7,), 3, 1, 0.0),
        ((0.7,), 4, 1, 0.0),
        ((0.7,), 2, 2, 0.0),
    ],
)
def test_moments_are_those_of_an_exact_integral(spectrum, size, steps, wide):
    training = Training(learning_rate=0.3, weight_decay=0.2, steps=steps)
    s, initial = np.array(spectrum), np.linspace(0.4, 0.9, len(spectrum))
    ratios = Ratios(*(((1 + wide) ** r + (1 - wide) ** r) / 2 for r in (2, 3, 4)))
    found = fourth_moments(training, s, initial, batch_size=size, sigma_y2=0.8, y4=0.64, ratios=ratios)[0]
    np.testing.assert_allclose(found, integrated(training, s, initial, size=size, y2=0.8, wide=wide), rtol=1e-11)


def test_learning_rate_drops_and_several_readings():
    s, initial = np.array([0.5, 1.3]), np.array([0.4, 0.9])
    training = Training(learning_rate=0.3, drops=((1, 0.5),), steps=(0, 1, 2))
    found = fourth_moments(training, s, initial, batch_size=1, sigma_y2=0.8, y4=0.64)
    np.testing.assert_allclose(found[0], np.outer(initial, initial) * (1 + 2 * np.eye(2)), rtol=1e-14)
    np.testing.assert_allclose(found[2], integrated(training, s, initial, size=1, y2=0.8), rtol=1e-11)


def test_fourth_moments_grow_with_those_of_labels_and_exceed_squares():
    """Heavier labels make heavier weights; no fourth moment is below the square of the second (Jensen's inequality)."""
    training = Training(learning_rate=0.1, steps=7)
    s, initial = np.array([0.5, 1.0, 2.0]), np.full(3, 0.2)
    less, more = (fourth_moments(training, s, initial, batch_size=3, sigma_y2=1.0, y4=y4)[0] for y4 in (1.0, 3.0))
    p = variances(training, s, initial, batch_size=3, sigma_y2=1.0)[0]
    assert np.all(more > less)
    assert np.all(np.diag(less) >= p**2)


@pytest.mark.parametrize("u", [0.1, 0.3766, 0.6])
def test_growth_in_one_direction_is_a_polynomial(u):
    found = fourth_growth(Training(learning_rate=u / 2), np.array([2.0]), batch_size=1)
    assert found == pytest.approx(1 - 4 * u + 18 * u**2 - 60 * u**3 + 105 * u**4, rel=1e-12)


def test_growth_is_the_rate_of_the_moments_and_the_limit_is_where_it_is_one():
    s = np.array([0.5, 1.0])
    training = Training(learning_rate=0.5, steps=(80, 81))
    before, after = fourth_moments(training, s, np.ones(2), batch_size=1, sigma_y2=1.0, y4=3.0)
    assert fourth_growth(training, s, batch_size=1) == pytest.approx(after[1, 1] / before[1, 1], rel=1e-9)
    limit = fourth_limit(Training(), s, batch_size=1)
    assert fourth_growth(Training(learning_rate=limit), s, batch_size=1) == pytest.approx(1, abs=1e-7)
    assert limit < mean_square_limit(Training(), s, batch_size=1)


def test_laws_of_rows_and_labels():
    rows = lambda radial: Data(kind="elliptical", spectrum=(1.0, 2.0, 3.0), radial=radial)  # noqa: E731
    assert moment_ratios(Data(kind="gaussian", spectrum=(1.0,))) == Ratios(1.0, 1.0, 1.0)
    # E χ^r of χ = (ν − 2)/χ²_ν: E (χ²_ν)^{−r} = 1/Π (ν − 2l)
    student = moment_ratios(rows(Student(dof=10.0)))
    assert (student.fourth, student.sixth, student.eighth) == pytest.approx((64 / 48, 512 / 192, 4096 / 384))
    assert moment_ratios(rows(Student(dof=7.0))).eighth == np.inf
    assert moment_ratios(rows(Student(dof=6.0))).sixth == np.inf
    sphere = moment_ratios(rows(Sphere()))
    assert (sphere.fourth, sphere.sixth, sphere.eighth) == pytest.approx((3 / 5, 9 / 35, 27 / 315))
    two = moment_ratios(rows(TwoPoint(k4=1.25)))
    assert (two.fourth, two.sixth, two.eighth) == pytest.approx((1.25, 1.75, 2.5625))
    assert label_fourth(Labels(variance=2.0)) == 12
    assert label_fourth(Labels(kind="rademacher", variance=2.0)) == 4
    assert label_fourth(Labels(kind="classes", classes=4)) == pytest.approx(0.25 * 0.75**4 + 0.75 * 0.25**4)


def online(**changes):
    values = {
        "data": Data(kind="gaussian", spectrum=(0.5, 1.0), samples="online"),
        "training": Training(learning_rate=0.6, batch_size=1, sampling="fresh", steps=60),
    }
    return Setting(**{**values, **changes})


def test_the_form_says_how_unequal_replicas_are():
    (reading,) = FORM.predict(online(), None).readings
    assert reading.tau == pytest.approx([7.716, 13.541], abs=1e-3)
    assert reading.relative_variance.max() > 1e40
    calm = online(training=Training(learning_rate=0.05, batch_size=1, sampling="fresh", steps=(0, 60)))
    start, end = FORM.predict(calm, None).readings
    assert start.relative_variance == pytest.approx([2, 2])  # squares of Gaussian numbers
    assert np.all((end.relative_variance > 2) & (end.relative_variance < 5))


def test_an_infinite_moment_of_the_rows_is_one_of_the_weights():
    data = Data(kind="elliptical", spectrum=(0.5, 1.0), samples="online", radial=Student(dof=7.0))
    training = Training(learning_rate=0.05, batch_size=1, sampling="fresh", steps=(0, 3))
    start, end = FORM.predict(online(data=data, training=training), None).readings
    assert start.relative_variance == pytest.approx([2, 2])
    assert np.all(np.isinf(end.relative_variance))


def test_nothing_is_said_with_momentum_or_where_it_takes_long():
    with_momentum = Training(learning_rate=0.05, momentum=0.9, batch_size=1, sampling="fresh", steps=3)
    assert FORM.predict(online(training=with_momentum), None).readings[0].relative_variance is None
    long = Training(learning_rate=1e-4, batch_size=1, sampling="fresh", steps=20_000_000)
    assert long.readings[-1] * 4 > 2**25
    for call in (fourth_moments, fourth_growth):
        rest = {"initial": np.ones(2), "sigma_y2": 1.0, "y4": 3.0} if call is fourth_moments else {}
        with pytest.raises(InvalidInput) as caught:
            call(with_momentum, np.ones(2), batch_size=1, **rest)
        assert caught.value.key == "training.momentum"
