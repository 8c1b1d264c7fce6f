"""Building a setting is cheap: what its fields are is read once for each kind of struct."""

import msgspec
import pytest

from theory.checked import Checked, fields_of
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training


def test_fields_are_read_once(monkeypatch):
    made = Data(kind="gaussian", spectrum=(1.0, 2.0))  # every kind has been read by now
    Setting(data=made, labels=Labels(), network=Network(), training=Training(), ensemble=Ensemble())

    def unwanted(kind):
        pytest.fail(f"the fields of {kind.__name__} are read anew")

    monkeypatch.setattr(msgspec.structs, "fields", unwanted)
    again = Data(kind="gaussian", spectrum=(1.0, 3.0))
    assert again != made
    assert again.departs("spectrum")
    assert Setting(data=again, network=Network(kind="mlp", hidden=(4,))).network.widths == (4,)


def test_fields_are_those_of_the_struct():
    class Pair(Checked, frozen=True, kw_only=True):
        a: int
        b: float = 2.0

    assert [(field.name, field.type) for field in fields_of(Pair)] == [("a", int), ("b", float)]
    assert Pair(a=1).departs("a")
    assert not Pair(a=1).departs("b")
