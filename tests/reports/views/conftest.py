"""What tests of views share."""

import numpy as np
import pytest

VARIANCES = np.array([1.0, 2.0, 4.0, 8.0])


@pytest.fixture
def files(tmp_path):
    """Rows and images, and layers that are aligned with them or not."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.standard_normal((3000, 4)) * np.sqrt(VARIANCES))
    for r in range(5):
        np.save(tmp_path / f"w{r}.npy", rng.standard_normal((200, 4)) / np.sqrt(VARIANCES))
    np.save(tmp_path / "few.npy", rng.standard_normal((2, 4)))
    np.save(tmp_path / "images.npy", rng.integers(0, 256, (30, 6, 7, 3), dtype=np.uint8))
    np.save(tmp_path / "filters.npy", rng.standard_normal((2, 3, 3, 64)))
    return tmp_path
