"""A transfer experiment on disk: what training has left of every range of replicas, complete as soon as it exists.

    <store>/<digest of the experiment>/experiment.safetensors            what is trained
    <store>/<digest of the experiment>/upstream-000003.safetensors       where upstream training ended, range number 3
    <store>/<digest of the experiment>/downstream-000003.safetensors     all that was measured downstream, likewise
    <store>/<digest of the experiment>/downstream-of-000056-000003.safetensors

Upstream nothing depends on the number of replicas, so an experiment that grows goes on with the files that it has.
Weights that are drawn from the moments of other replicas do: their downstream files name the number, 56 above.
Downstream files also carry a hash of every replica's end of upstream training, and of these moments: they are of no use
to networks, or moments, with other bits. Files are written, and read, as those of an ensemble: see `simulate.store`.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from simulate.identity import experiment_digest
from simulate.networks import Shapes
from simulate.ranges import Range
from simulate.store import Damaged, read_file, require_device, require_resumed, write_file, written
from simulate.tiles import GPU_SPEED, RANGE_BYTES, RANGE_OPERATIONS
from simulate.transfer.readings import Measured
from simulate.transfer.upstream import Ends
from theory.setting import Experiment, Setting

# Part of every file: to be raised whenever one is laid out, or its replicas are trained, in another way.
FORMAT = "transfer 1"
EXPERIMENT = "experiment.safetensors"
# Seconds after which a file that is half-written was left by a kill: cases of a report that share an experiment may
# write it at the same time.
STALE = 3600

log = logging.getLogger(__name__)


class TransferStore:
    """The folder of one experiment.

    Attributes
    ----------
    tile : int
        How many replicas are trained as one batch. Off the CPU it follows from the memory that is free, and a resumed
        run takes the store's.
    """

    def __init__(self, folder: Path, digest: str, device: str, tile: int, *, weights: bool) -> None:
        self.folder = folder
        self.tile = tile
        self._weights = weights  # whether downstream files hold moments of first layers
        self._digest = digest
        self._device = device

    def upstream_path(self, here: Range) -> Path:
        return self.folder / f"upstream-{here.number:06d}.safetensors"

    def downstream_path(self, here: Range, total: int | None) -> Path:
        """`total` is the number of replicas, where weights are drawn from the moments of all others; else None."""
        of = "" if total is None else f"of-{total:06d}-"
        return self.folder / f"downstream-{of}{here.number:06d}.safetensors"

    def shards(self) -> list[Path]:
        """What is there, in order."""
        return sorted(path for part in ("downstream", "upstream") for path in self.folder.glob(f"{part}-*.safetensors"))

    def load_upstream(self, here: Range) -> Ends | None:
        """The first replicas of a range, all or fewer; None where there are none.

        A file that is not of this range is named in a warning, with the reason; so below.
        """
        tensors = self._load(self.upstream_path(here), self._about("upstream", here))
        return None if tensors is None else Ends.of(_cut(tensors, here))

    def save_upstream(self, here: Range, ends: Ends) -> None:
        self._save(self.upstream_path(here), self._about("upstream", here), ends.arrays())

    def load_downstream(
        self, here: Range, names: Sequence[str], marks: np.ndarray, total: int | None
    ) -> tuple[Measured, ...] | None:
        """What was measured after the treatments of these names; `marks` (R, 32) are those of all replicas."""
        path = self.downstream_path(here, total)
        tensors = self._load(path, self._about("downstream", here, weights=self._weights))
        if tensors is None:
            return None
        tensors = _cut(tensors, here)
        found = tensors["marks"]
        if not np.array_equal(found, marks[here.first : here.first + len(found)]):
            log.warning("%s: continues another upstream training; it is computed again", path)
            return None
        return tuple(
            Measured.of({key[len(name) + 1 :]: w for key, w in tensors.items() if key.startswith(f"{name}/")})
            for name in names
        )

    def save_downstream(
        self,
        here: Range,
        names: Sequence[str],
        marks: np.ndarray,
        total: int | None,
        measured: Sequence[Measured],
    ) -> None:
        tensors = {
            f"{name}/{key}": array
            for name, found in zip(names, measured, strict=True)
            for key, array in found.arrays().items()
        }
        tensors["marks"] = marks[here.first : here.last]
        about = self._about("downstream", here, weights=self._weights)
        self._save(self.downstream_path(here, total), about, tensors)

    def _about(self, part: str, here: Range, **more: Any) -> dict[str, Any]:
        known = {"digest": self._digest, "device": self._device, "tile": self.tile}
        return {**known, "part": part, "first": here.first, **more}

    def _save(self, path: Path, about: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        with written(self.folder):
            write_file(path, about, {name: np.ascontiguousarray(array) for name, array in tensors.items()}, FORMAT)

    def _load(self, path: Path, expected: dict[str, Any]) -> dict[str, np.ndarray] | None:
        try:
            about, tensors = read_file(path, FORMAT)
            for key, value in expected.items():
                if about.get(key) != value:
                    raise Damaged(f"belongs to another experiment ({key} {about.get(key)}, not {value})")
        except FileNotFoundError:
            return None
        except Damaged as error:
            log.warning("%s: %s; it is computed again", path, error)
            return None
        return tensors


def open_transfer_store(
    root: Path, experiment: Experiment, device: torch.device, tile: int, *, resume: bool, weights: bool = True
) -> TransferStore:
    """The store of an experiment: makes the folder, and removes what a kill has left half-written.

    Raises
    ------
    InvalidInput
        Where there are shards already and `resume` is false, they were computed on another kind of device, or the
        folder cannot be written.
    """
    digest = experiment_digest(experiment)
    store = TransferStore(root / digest, digest, device.type, tile, weights=weights)
    with written(root):
        store.folder.mkdir(parents=True, exist_ok=True)
        require_resumed(root, len(store.shards()), "experiment", resume=resume)
        _describe(store, experiment, device)
        for path in store.folder.glob(".*.tmp"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - STALE:
                    path.unlink()
    return store


def transfer_range_size(
    experiment: Experiment, shapes: Shapes, dimension: int, tile: int, most: int, device: str
) -> int:
    """How many replicas a file holds, a whole number of tiles: what a kill may cost, half a minute of a core if it can.

    At most `most`, or one tile. Operations are estimated as six per weight, row and update.
    """
    up, down = experiment.upstream_setting, experiment.downstream_setting
    weights, treatments = sum(map(math.prod, shapes)), len(experiment.treatment.each)
    operations = max(6 * weights * _rows_seen(up), 6 * weights * _rows_seen(down) * treatments, 1)
    moments = treatments * len(down.training.readings) * dimension * (dimension + 1)
    fits = min((1 if device == "cpu" else GPU_SPEED) * RANGE_OPERATIONS // operations, RANGE_BYTES // (8 * moments))
    return tile * max(int(min(fits, most)) // tile, 1)


def marks(ends: Ends, moments: Sequence[np.ndarray]) -> np.ndarray:
    """What downstream training of each replica begins with, hashed: (R, 32) of uint8.

    This is where its upstream training ended, and `moments`: sums over replicas that drawn weights depend on.
    """
    shared = hashlib.sha256()
    for array in moments:
        shared.update(np.ascontiguousarray(array).data)
    rows = []
    for replica, finite in enumerate(ends.finite.tolist()):
        hashed = shared.copy()
        hashed.update(bytes([finite]))
        for w in ends.parameters:
            hashed.update(w[replica].contiguous().numpy().data)
        rows.append(np.frombuffer(hashed.digest(), dtype=np.uint8))
    return np.stack(rows)


def _rows_seen(setting: Setting) -> int:
    return setting.batch_rows * setting.training.readings[-1]


def _cut(tensors: dict[str, np.ndarray], here: Range) -> dict[str, np.ndarray]:
    """Without the replicas that are not asked for."""
    return {name: array[: here.last - here.first] for name, array in tensors.items()}


def _describe(store: TransferStore, experiment: Experiment, device: torch.device) -> None:
    """Write what is trained, unless that is there; off the CPU the tile that is there is taken."""
    path = store.folder / EXPERIMENT
    try:
        about, _ = read_file(path, FORMAT)
        require_device(store.folder, about["device"], device.type)
        if device.type != "cpu":
            store.tile = about["tile"]
        if about["tile"] == store.tile:
            return
    except FileNotFoundError:
        pass
    except Damaged as error:
        log.warning("%s: %s; it is written again", path, error)
    values = msgspec.to_builtins(experiment)
    about = {"digest": path.parent.name, "device": device.type, "tile": store.tile}
    write_file(path, {**about, "experiment": values}, {}, FORMAT)
