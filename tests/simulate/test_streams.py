"""Streams of random numbers: independent of each other, and Philox as it is defined."""

import numpy as np

import simulate
from simulate.streams import Purpose, Streams
from theory.setting import Data, Setting


def test_streams_are_independent_of_each_other():
    setting = Setting(data=Data(kind="gaussian", spectrum=(0.5, 1.0, 1.0, 3.0), samples=20))
    inputs = simulate.replica_inputs(setting, [0, 1])
    assert not np.isin(inputs.x[0].numpy(), inputs.x[1].numpy()).any()
    # Rows and labels of one replica start from different streams, though both are Gaussian.
    streams = Streams(0)
    starts = [streams.at(purpose, 0).standard_normal() for purpose in Purpose]
    starts += [streams.at(purpose).standard_normal() for purpose in Purpose]
    starts += [Streams(1).at(purpose, 0).standard_normal() for purpose in Purpose]
    starts += [streams.at(purpose, 0, task).standard_normal() for purpose in Purpose for task in (1, 2)]
    assert len(set(starts)) == len(starts)


def test_streams_are_philox():
    key, counter = np.array([7, 3], dtype=np.uint64), np.array([0, 0, 0, Purpose.ORDER], dtype=np.uint64)
    fresh = np.random.Generator(np.random.Philox(key=key, counter=counter))
    streams = Streams(7)
    streams.at(Purpose.DATA, 3).integers(5, dtype=np.uint32)  # leaves half a word behind
    assert np.array_equal(streams.at(Purpose.ORDER, 3).integers(2**32, size=9), fresh.integers(2**32, size=9))
