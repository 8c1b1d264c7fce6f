"""When features have left the data's eigenspaces."""

from __future__ import annotations

import numpy as np
import pytest

from reports.claims.alignment.feature_networks import LEFT
from tests.reports.claims.alignment.courses import course


def test_the_moment_is_interpolated_and_must_be_for_good():
    assert course([1.0, 0.95, 0.8], [1.0] * 3, [1.0] * 3).left == pytest.approx(4 + 2 * (0.95 - LEFT) / 0.15)
    assert course([0.8, 0.95, 0.8], [1.0] * 3, [1.0] * 3).left == pytest.approx(4 + 2 * (0.95 - LEFT) / 0.15)
    assert np.isinf(course([0.8, 0.8, 0.95], [1.0] * 3, [1.0] * 3).left).all()
    assert (course([0.8, 0.8, 0.7], [1.0] * 3, [1.0] * 3).left == 2).all()
