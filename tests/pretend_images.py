"""Images made up in the layout of CIFAR-10's binary version."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write(folder: Path, *, batches: int = 5, rows: int = 12, classes: int = 10, surplus: int = 0) -> Path:
    """Batches of smooth noise, whose patches are far from isotropic."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    for batch in range(batches):
        noise = generator.standard_normal((rows, 3, 8, 8)).repeat(4, axis=2).repeat(4, axis=3)
        noise += 0.3 * generator.standard_normal((rows, 3, 32, 32))
        pixels = np.clip(120 + 40 * noise, 0, 255).astype(np.uint8).reshape(rows, 3 * 32 * 32)
        labels = (np.arange(rows) % classes).astype(np.uint8)
        content = np.column_stack([labels, pixels]).tobytes() + bytes(surplus)
        (folder / f"data_batch_{batch + 1}.bin").write_bytes(content)
    return folder
