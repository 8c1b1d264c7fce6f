"""How trained first-layer weights overlap with the initial ones: the readings for the decomposition of f.

An ensemble's sums do not contain the initial weights, so the same replicas as in :func:`simulate.run` are trained
again, and only three numbers per replica and direction are kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from simulate import kernels
from simulate.devices import one_thread, resolve
from simulate.inputs import Draws
from simulate.kernels import Kernel
from simulate.tiles import tile_size
from theory.setting import InvalidInput, Setting


@dataclass(frozen=True, eq=False)
class InitialOverlaps:
    """Means over the units of a replica of w_0², w_0 w_t and w_t² along the eigendirections of the data.

    Attributes
    ----------
    setting : Setting
    data_moment : ndarray, shape (d, d)
        The matrix whose eigenvectors are the v_k, as in :class:`simulate.Simulation`.
    eigenvalues : ndarray, shape (d,)
        The eigenvalues of `data_moment`, ascending; equal ones are repeated, and along them only sums are determined.
    initial : ndarray, shape (R, d)
        (1/m) Σ_j (v_k·w_j(0))².
    cross, trained : ndarray, shape (R, T, d)
        (1/m) Σ_j (v_k·w_j(0)) (v_k·w_j(t)) and (1/m) Σ_j (v_k·w_j(t))², at every reading.
    width : int
        m.
    replicas, diverged : int
        How many were trained, and how many of them ended with numbers that are not finite: these are in no array.
    """

    setting: Setting
    data_moment: np.ndarray
    eigenvalues: np.ndarray
    initial: np.ndarray
    cross: np.ndarray
    trained: np.ndarray
    width: int
    replicas: int
    diverged: int


@one_thread()
def initial_overlaps(
    setting: Setting, *, replicas: int | None = None, device: str = "cpu", kernel: str | Kernel | None = None
) -> InitialOverlaps:
    """Train the replicas of a setting and compute the overlaps of their first-layer weights with the initial ones.

    Parameters
    ----------
    setting : Setting
    replicas : int or None
        Replaces ``setting.ensemble.replicas``; the first replicas are the same.
    device : str
        "cpu", "cuda", "cuda:N" or "auto".
    kernel : as in :func:`simulate.run`

    Raises
    ------
    InvalidInput
        If data cannot be read or do not fit, or no kernel trains the network.

    Examples
    --------
    >>> from theory.setting import Data, Training
    >>> data = Data(kind="gaussian", spectrum=(1.0, 2.0), samples=8)
    >>> found = initial_overlaps(Setting(data=data, training=Training(steps=(0, 5))), replicas=10)
    >>> found.cross.shape, bool(np.allclose(found.cross[:, 0], found.initial))
    ((10, 2, 2), True)
    """
    total = setting.ensemble.replicas if replicas is None else replicas
    if total < 1:
        raise InvalidInput("replicas", total, "must be at least 1")
    chosen = kernels.choose_kernel(setting, kernel) if kernel is None or isinstance(kernel, str) else kernel
    draws, place = Draws(setting), resolve(device)
    tile = tile_size(setting, draws, place, chosen)
    eigenvalues, basis = np.linalg.eigh(draws.data_moment)
    directions = torch.from_numpy(basis).to(place)
    dtype = getattr(torch, setting.ensemble.dtype)
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for first in range(0, total, tile):
        slots = [r if r < total else None for r in range(first, first + tile)]
        inputs = draws.take(slots).to(place, dtype)
        start = _along(inputs.parameters[0], directions)
        ends = [_along(each[0], directions) for each in chosen.train(setting, inputs).values()]
        here = min(tile, total - first)
        moments = (
            _mean(start, start),
            np.stack([_mean(start, end) for end in ends], axis=1),
            np.stack([_mean(end, end) for end in ends], axis=1),
        )
        parts.append((moments[0][:here], moments[1][:here], moments[2][:here]))
    initial, cross, trained = (np.concatenate(each) for each in zip(*parts, strict=True))
    kept = np.isfinite(trained).all(axis=(1, 2)) & np.isfinite(cross).all(axis=(1, 2))
    return InitialOverlaps(
        setting=setting,
        data_moment=draws.data_moment,
        eigenvalues=eigenvalues,
        initial=initial[kept],
        cross=cross[kept],
        trained=trained[kept],
        width=draws.shapes[0][0],
        replicas=total,
        diverged=int(np.count_nonzero(~kept)),
    )


def _along(weights: Tensor, directions: Tensor) -> Tensor:
    """(R, m, d) in the eigenbasis of the data, in double precision."""
    return weights.double() @ directions


def _mean(a: Tensor, b: Tensor) -> np.ndarray:
    """Products, averaged over units: (R, m, d) → (R, d)."""
    found: np.ndarray = (a * b).mean(dim=1).cpu().numpy()
    return found
