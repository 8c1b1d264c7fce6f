"""Records go to plain values and arrays and come back as they were; nothing else than the declared type is read."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from reports.codec import Unreadable, pack, unpack
from reports.findings import Column
from theory.setting import Data, Setting


@dataclass(frozen=True, eq=False)
class Inner:
    curve: np.ndarray
    kind: Literal["a", "b"]


@dataclass(frozen=True, eq=False)
class Other:
    count: int


@dataclass(frozen=True, eq=False)
class Outer:
    name: str
    value: float
    pair: tuple[float, float] | None
    many: tuple[Inner, ...]
    either: Inner | Other
    by_name: dict[str, tuple[int, bool]]
    setting: Setting


def example(**changes):
    values = {
        "name": "é",
        "value": float("nan"),
        "pair": (1.0, float("-inf")),
        "many": (Inner(np.arange(3), "a"), Inner(np.zeros((0, 2)), "b")),
        "either": Other(3),
        "by_name": {"x": (1, True)},
        "setting": Setting(data=Data(kind="gaussian", spectrum=(1.0, 2.0))),
    }
    return Outer(**{**values, **changes})


def again(value, kind):
    plain, arrays = pack(value)
    return unpack(json.loads(json.dumps(plain)), arrays, kind)


def test_a_record_comes_back_as_it_was():
    found = again(example(), Outer)
    assert isinstance(found, Outer)
    assert np.isnan(found.value)
    assert found.pair == (1.0, float("-inf"))
    np.testing.assert_array_equal(found.many[0].curve, np.arange(3))
    assert found.many[1].curve.shape == (0, 2)
    assert found.many[1].curve.dtype == np.float64
    assert (found.either.count, found.by_name) == (3, {"x": (1, True)})
    assert found.setting == example().setting


def test_members_of_a_union_are_told_apart():
    assert isinstance(again(example(either=Inner(np.ones(1), "b")), Outer).either, Inner)
    assert again(None, float | str | None) is None
    assert again("x", float | str | None) == "x"
    assert again(2.5, float | str | None) == 2.5
    assert again((1, 2), tuple[int, int] | None) == (1, 2)


@given(st.floats(), st.integers(-(2**60), 2**60), st.text(), st.booleans())
def test_scalars_keep_their_bits(real, whole, text, truth):
    kind = tuple[float, int, str, bool]
    found = again((real, whole, text, truth), kind)
    assert repr(found) == repr((real, whole, text, truth))


@given(
    arrays_of.arrays(st.sampled_from([np.float64, np.float32, np.int64, np.bool_]), arrays_of.array_shapes(min_side=0))
)
def test_arrays_keep_their_bits(array):
    found = again(array, np.ndarray)
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize(
    ("plain", "kind", "place"),
    [
        ({"@": "Inner", "curve": {"array": "/curve"}, "kind": "c"}, Inner, r"record\.kind"),
        ({"@": "Inner", "kind": "a"}, Inner, "record"),
        ({"@": "Other", "count": "3"}, Other, r"record\.count"),
        ({"@": "Other", "count": True}, Other, r"record\.count"),
        ({"@": "Other", "count": 3, "more": 1}, Other, "record"),
        ({"@": "os.system", "count": 3}, Other, "record"),
        ({"@": "Setting"}, Inner | Other, "record"),
        ([1, 2, 3], tuple[int, int], "record"),
        (5, tuple[int, ...], "record"),
        ({"array": "/elsewhere"}, np.ndarray, "record"),
        ({"data": {"kind": "no such data"}}, Setting, "record"),
    ],
)
def test_what_is_not_of_the_declared_type_is_refused(plain, kind, place):
    with pytest.raises(Unreadable, match=place):
        unpack(plain, {"/curve": np.ones(2)}, kind)


def test_a_record_may_lack_a_field_that_has_got_a_default_since():
    older = {"@": "Column", "heading": "x", "kind": "number", "digits": 3}
    assert unpack(older, {}, Column) == Column("x")


def test_what_cannot_be_kept_is_a_mistake_of_the_program():
    for wrong in (object(), lambda: 0, np.array(["a"], dtype=object)[0:0].dtype):
        with pytest.raises(TypeError, match="cannot be kept"):
            pack({"a": wrong})


def test_every_field_is_kept():
    plain, _ = pack(example())
    assert plain.keys() == {"@", *(field.name for field in dataclasses.fields(Outer))}
