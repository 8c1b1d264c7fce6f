"""A transfer experiment on disk: what training has left of every range of replicas, complete as soon as it exists.

    <store>/<digest of the experiment>/experiment.safetensors            what is trained
    <store>/<digest of the experiment>/upstream-000003.safetensors       where upstream training ended, range number 3
    <store>/<digest of the experiment>/downstream-000003.safetensors     all that was measured downstream, likewise
    <store>/<digest of the experiment>/downstream-of-000056-000003.safetensors

Upstream nothing depends on the number of replicas, nor downstream after most treatments, so an experiment that grows
goes on with the files that it has. Weights that are drawn from the moments of other replicas do: what is measured after
such treatments is in files of its own, which name the number, 56 above. Downstream files also carry a hash of every
replica's end of upstream training, and of these moments: they are of no use to networks, or moments, with other bits.
Files are written, and read, as those of an ensemble: see `simulate.store`.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from simulate.identity import experiment_digest
from simulate.networks import Shapes
from simulate.ranges import Range
from simulate.store import (
    ENSEMBLE,
    Damaged,
    find_folder,
    laid_out,
    read_file,
    require_device,
    require_resumed,
    write_file,
    written,
)
from simulate.tiles import GPU_SPEED, RANGE_BYTES, RANGE_OPERATIONS
from simulate.transfer.readings import ReplicaReadings
from simulate.transfer.upstream import Ends
from theory.setting import Experiment, InvalidInput, Setting

# The name of the format in every file: to be raised whenever a file is laid out, or its replicas are
# trained, in another way.
FORMAT = "transfer 1"
# The name of the file that describes an experiment.
EXPERIMENT = "experiment.safetensors"
# The age in seconds from which on a half-written file was left by a kill: cases of a report that share an experiment
# may write it at the same time.
STALE = 3600

log = logging.getLogger(__name__)
T = TypeVar("T")


class TransferStore:
    """The folder of one experiment.

    Attributes
    ----------
    folder : Path
    digest : str
        See `simulate.identity.experiment_digest`.
    tile : int
        How many replicas are trained as one batch. Off the CPU it follows from the memory that is free, and a resumed
        run takes the store's.
    """

    def __init__(self, folder: Path, digest: str, device: str, tile: int, *, weights: bool) -> None:
        self.folder = folder
        self.digest = digest
        self.tile = tile
        self._weights = weights  # whether downstream files hold moments of first layers
        self._device = device

    def upstream_path(self, here: Range) -> Path:
        return self.folder / f"upstream-{here.number:06d}.safetensors"

    def downstream_path(self, here: Range, total: int | None) -> Path:
        """`total` is the number of replicas, if weights are drawn from the moments of all others; otherwise None."""
        of = "" if total is None else f"of-{total:06d}-"
        return self.folder / f"downstream-{of}{here.number:06d}.safetensors"

    def shards(self) -> list[Path]:
        """What is there, in order."""
        return sorted(path for part in ("downstream", "upstream") for path in self.folder.glob(f"{part}-*.safetensors"))

    def read_upstream(self, here: Range) -> Ends:
        """The first replicas of a range, all or fewer.

        Raises
        ------
        FileNotFoundError
            If there is no such file; likewise in `read_downstream`.
        Damaged
            If the file is not of this range, or of another experiment; likewise in `read_downstream`.
        """
        tensors = self._read(self.upstream_path(here), self._about("upstream", here), here)
        with laid_out():
            return Ends.of(tensors)

    def load_upstream(self, here: Range) -> Ends | None:
        """As `read_upstream`; None where there are none.

        A file that is not of this range is named in a warning, with the reason; so below.
        """
        return _or_none(self.upstream_path(here), lambda: self.read_upstream(here))

    def save_upstream(self, here: Range, ends: Ends) -> None:
        self._save(self.upstream_path(here), self._about("upstream", here), ends.arrays())

    def read_downstream(
        self, here: Range, names: Sequence[str], marks: np.ndarray, total: int | None
    ) -> tuple[ReplicaReadings, ...]:
        """What was measured after the treatments of these names; `marks` (r, 32) are those of the range's replicas."""
        about = self._about("downstream", here, weights=self._weights)
        tensors = self._read(self.downstream_path(here, total), about, here)
        with laid_out():
            found = tensors["marks"]
            if not np.array_equal(found, marks[: len(found)]):
                raise Damaged("continues another upstream training")
            parts = [
                {key[len(name) + 1 :]: w for key, w in tensors.items() if key.startswith(f"{name}/")} for name in names
            ]
            return tuple(ReplicaReadings.of(part) for part in parts)

    def load_downstream(
        self, here: Range, names: Sequence[str], marks: np.ndarray, total: int | None
    ) -> tuple[ReplicaReadings, ...] | None:
        """As `read_downstream`; None where there is nothing."""
        return _or_none(self.downstream_path(here, total), lambda: self.read_downstream(here, names, marks, total))

    def save_downstream(
        self,
        here: Range,
        names: Sequence[str],
        marks: np.ndarray,
        total: int | None,
        measured: Sequence[ReplicaReadings],
    ) -> None:
        tensors = {
            f"{name}/{key}": array
            for name, found in zip(names, measured, strict=True)
            for key, array in found.arrays().items()
        }
        about = self._about("downstream", here, weights=self._weights)
        self._save(self.downstream_path(here, total), about, {**tensors, "marks": marks})

    def _about(self, part: str, here: Range, **more: Any) -> dict[str, Any]:
        known = {"digest": self.digest, "device": self._device, "tile": self.tile}
        return {**known, "part": part, "first": here.first, **more}

    def _save(self, path: Path, about: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        with written(self.folder):
            write_file(path, about, {name: np.ascontiguousarray(array) for name, array in tensors.items()}, FORMAT)

    def _read(self, path: Path, expected: dict[str, Any], here: Range) -> dict[str, np.ndarray]:
        """The tensors of a file, without the replicas that are not asked for."""
        about, tensors = read_file(path, FORMAT)
        for key, value in expected.items():
            if about.get(key) != value:
                raise Damaged(f"belongs to another experiment ({key} {about.get(key)}, not {value})")
        with laid_out():
            return {name: array[: here.last - here.first] for name, array in tensors.items()}


def open_transfer_store(
    root: Path,
    experiment: Experiment,
    device: torch.device,
    tile: int,
    mine: Callable[[int], Sequence[Range]],
    *,
    resume: bool,
    weights: bool = True,
) -> TransferStore:
    """The store of an experiment: makes the folder, and removes what a kill has left half-written.

    `mine` says which ranges will be computed, given the tile.

    Raises
    ------
    InvalidInput
        If shards of these ranges are there already and `resume` is false, they were computed on another kind of device,
        or the folder cannot be written.
    """
    digest = experiment_digest(experiment)
    store = TransferStore(root / digest, digest, device.type, tile, weights=weights)
    with written(root):
        store.folder.mkdir(parents=True, exist_ok=True)
        known = _known(store, device)
        numbers = {f"{here.number:06d}" for here in mine(store.tile)}
        there = sum(path.stem.rpartition("-")[2] in numbers for path in store.shards())
        require_resumed(root, there, "experiment", resume=resume)
        _describe(store, experiment, known, device)
        for path in store.folder.glob(".*.tmp"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - STALE:
                    path.unlink()
    return store


def find_transfer_store(folder: Path) -> tuple[TransferStore, Experiment, str]:
    """The store that a folder holds, or is, the experiment with the most replicas that were asked for, and its device.

    Raises
    ------
    InvalidInput
        If there is no store, or several, or its description is damaged.
    """
    here = find_folder(folder, EXPERIMENT, "experiment")
    try:
        about, _ = read_file(here / EXPERIMENT, FORMAT)
        with laid_out():
            experiment, digest, device, tile = _experiment(about), about["digest"], about["device"], int(about["tile"])
    except Damaged as error:
        rule = f"{EXPERIMENT} {error}; any run of its experiment with --resume writes it again"
        raise InvalidInput("folder", str(here), rule) from None
    store = TransferStore(here, digest, device, tile, weights=True)
    return store, experiment, device


def count_rows(path: Path) -> int:
    """How many replicas a file says it holds, without reading it; 0 where there is none."""
    try:
        with safe_open(path, framework="numpy") as file:
            name = next(name for name in ("finite", "marks") if name in file.keys())  # noqa: SIM118  # not a dict
            return int(file.get_slice(name).get_shape()[0])
    except (OSError, SafetensorError, StopIteration):
        return 0


def holds_experiment(folder: str | Path) -> bool:
    """Whether a folder holds, or is, the store of a transfer experiment.

    Raises
    ------
    InvalidInput
        If the folder holds an ensemble, too.
    """
    folder = Path(folder)
    found, others = (
        [path.parent for path in (folder / name, *sorted(folder.glob(f"*/{name}"))) if path.is_file()]
        for name in (EXPERIMENT, ENSEMBLE)
    )
    if found and others:
        names = ", ".join(str(path.relative_to(folder)) for path in [*found, *others])
        raise InvalidInput("folder", str(folder), f"holds experiments and ensembles; name one of its folders: {names}")
    return bool(found)


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


def _or_none(path: Path, read: Callable[[], T]) -> T | None:
    """What is read; None, and unless there is no such file a warning, where it cannot be had."""
    try:
        return read()
    except FileNotFoundError:
        return None
    except Damaged as error:
        log.warning("%s: %s; it is computed again", path, error)
        return None


def _known(store: TransferStore, device: torch.device) -> tuple[Experiment, int] | None:
    """The experiment and the tile that are described, if any; off the CPU the store takes this tile."""
    path = store.folder / EXPERIMENT
    try:
        about, _ = read_file(path, FORMAT)
        with laid_out():
            known, computed_on = (_experiment(about), int(about["tile"])), about["device"]
    except FileNotFoundError:
        return None
    except Damaged as error:
        log.warning("%s: %s; it is written again", path, error)
        return None
    require_device(store.folder, computed_on, device.type)
    if device.type != "cpu":
        store.tile = known[1]
    return known


def _describe(
    store: TransferStore, experiment: Experiment, known: tuple[Experiment, int] | None, device: torch.device
) -> None:
    """Write what is trained, unless that is known: with the most replicas so far, and data where they are now."""
    if known is not None and known[0].ensemble.replicas > experiment.ensemble.replicas:
        experiment = msgspec.structs.replace(experiment, ensemble=known[0].ensemble)
    if known != (experiment, store.tile):
        about = {"digest": store.digest, "device": device.type, "tile": store.tile}
        values = msgspec.to_builtins(experiment)
        write_file(store.folder / EXPERIMENT, {**about, "experiment": values}, {}, FORMAT)


def _experiment(about: dict[str, Any]) -> Experiment:
    try:
        return msgspec.convert(about["experiment"], Experiment)
    except (msgspec.ValidationError, InvalidInput) as error:
        raise Damaged(f"holds no experiment that this version knows ({error})") from None
