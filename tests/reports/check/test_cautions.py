"""Each caution is printed where it applies, names the right numbers, and is silent at its bound."""

import numpy as np
import pytest

from reports.check.cautions import cautions
from reports.check.independence import FEWEST, Relation
from reports.check.mean import MeanTest
from reports.check.moments import DataMoment
from reports.check.weights import WeightVectors

DIMENSION = 3


def dense(m: int = 20, d: int = DIMENSION, *, integers: bool = False) -> WeightVectors:
    return WeightVectors(np.ones((m, d)), None, integers=integers)


def moment(
    *, counts: tuple[int, ...] = (50, 50), mean: float = 0.0, varies: tuple[bool, ...] = (True,) * DIMENSION
) -> DataMoment:
    """Rows of variance 1 about zero, whose mean has the given square."""
    groups, d = len(counts), sum(varies)
    means = np.zeros((groups, d))
    means[:, 0] = np.sqrt(mean)
    return DataMoment(np.tile(np.eye(d), (groups, 1, 1)), means, np.array(counts), sum(counts), np.array(varies))


def said(layers=None, data=None, **changes) -> str:
    """All cautions of a layer of full rank whose vectors all count, or of what is changed."""
    layers = [dense()] if layers is None else layers
    values = {
        "alive": sum(len(layer.vectors) for layer in layers),
        "joined": (),
        "ridge": 0.0,
        "draws": 999,
    }
    return " | ".join(cautions(layers, moment() if data is None else data, **{**values, **changes}))


def relation(one: int, other: int, *, in_place: bool = True) -> Relation:
    return Relation((one, other), 0.5, 0.25, in_place)


def test_an_ordinary_layer_is_told_only_what_its_networks_allow():
    assert said().count(" | ") == 0
    assert said().startswith("one network: ")
    assert said([dense(), dense()], given=2).startswith("the test of exact alignment assumes independent trainings")


@pytest.mark.parametrize(
    ("pairs", "listed", "more"), [(1, 1, ""), (3, 3, ""), (4, 3, "and 1 more pairs"), (5, 3, "and 2 more pairs")]
)
def test_three_related_pairs_are_named_and_the_others_counted(pairs, listed, more):
    text = said(related=[relation(1, k + 2) for k in range(pairs)], given=6)
    assert text.count("correlate by 0.5 one by one") == listed
    assert "stay within 0.25" in text
    assert "so 1 of 6 networks count" in text
    assert more in text
    assert ("more pairs" in text) == bool(more)


def test_a_permuted_copy_is_named_after_its_original():
    assert "3 is like a permuted copy of 2:" in said(related=[relation(2, 3, in_place=False)], given=3)


@pytest.mark.parametrize(("m", "given", "trusted"), [(FEWEST - 1, 2, True), (FEWEST, 2, False), (FEWEST - 1, 1, False)])
def test_few_vectors_leave_independence_to_trust(m, given, trusted):
    text = said([dense(m)] + [dense(40)] * (given - 1), given=given)
    assert (f"{m} weight vectors are too few to detect" in text) == trusted


def test_a_ridge_and_dead_vectors_are_said():
    assert "regularised by 0.01 of" in said(ridge=0.01)
    assert "4 of 40 weight vectors are zero" in said([dense(), dense()], alive=36, given=2)


def test_integers_are_said_of_any_network():
    assert "the weights are integers" in said([dense(), dense(integers=True)], given=2)


@pytest.mark.parametrize(
    ("kernel", "named"),
    [
        ((3, 3, 4), False),
        ((3, 3, 9), False),
        ((3, 2, 7), True),
        ((3, 7, 2), True),
        ((3, 1, 5), False),
        ((9, 2, 3), False),
        ((2, 3, 8), False),
    ],
)
def test_long_filters_may_be_stored_the_other_way_round(kernel, named):
    filters = WeightVectors(np.ones((8, int(np.prod(kernel)))), kernel)
    text = said([filters], moment(varies=(True,) * filters.vectors.shape[1]))
    assert (f"filters of {kernel[1]} × {kernel[2]}" in text) == named


def test_square_dense_layers_may_be_transposed():
    assert "the weights are square" in said([dense(DIMENSION)])
    assert "square" not in said([dense(DIMENSION + 1)])


def test_coordinates_that_never_vary_are_counted():
    text = said(data=moment(varies=(True, False, True, False)))
    assert "2 coordinates never vary" in text


def test_few_samples_and_few_groups_are_said():
    assert "one sample only" in said(data=moment(counts=(50,)))
    assert "3 data vectors in 3 dimensions" in said(data=moment(counts=(1, 2)))
    assert "2 data vectors in 3 dimensions" in said(data=moment(counts=(2,)))
    assert "hardly determine" not in said(data=moment(counts=(2, 2)))


def test_unless_told_otherwise_one_network_was_given():
    assert "too few to detect" not in said([dense(FEWEST - 1)])
    assert "so 1 of 1 networks count" in said(related=[relation(1, 2)])


@pytest.mark.parametrize(("groups", "more"), [(1, ""), (4, ""), (5, " and 1 more groups;"), (6, " and 2 more groups;")])
def test_four_merged_groups_are_listed_and_the_others_counted(groups, more):
    text = said(joined=[(k + 1.0, k + 1.5, k + 2) for k in range(groups)])
    assert text.count(" to ") >= min(groups, 4)
    assert "1 to 1.5 (2)" in text
    assert ("4 to 4.5 (5)" in text) == (groups >= 4)
    assert "5 to 5.5" not in text
    assert more in text
    assert ("more groups" in text) == bool(more)


@pytest.mark.parametrize(("draws", "smallest"), [(9, "0.1"), (99, "0.01"), (998, "0.001"), (999, None)])
def test_few_draws_bound_the_p_value(draws, smallest):
    text = said(draws=draws)
    assert ("no p-value is below" in text) == (smallest is not None)
    assert smallest is None or text.endswith(f"below {smallest}")


@pytest.mark.parametrize(
    ("mean", "words"),
    [
        (MeanTest(0.5, 1, 2), "of the 1 of 3 directions along which it lies: exact alignment in the others is not rej"),
        (MeanTest(0.01, 2, 1), "is rejected (p = 0.01)"),
        (MeanTest(0.011, 2, 1), "is not rejected (p = 0.011)"),
        (MeanTest(1.0, 3, 0), "exact alignment is not what it predicts"),
    ],
)
def test_what_the_theorem_says_of_data_with_a_mean(mean, words):
    text = said(data=moment(mean=0.5 * DIMENSION), mean=mean)
    assert "the mean makes up 50% of the data's second moment" in text
    assert words in text


def test_a_mean_that_counts_as_none_is_not_said():
    assert "the mean makes up" not in said(data=moment(mean=1.5))
