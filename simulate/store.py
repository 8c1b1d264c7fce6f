"""The sums of an ensemble on disk: one file per range of replicas, complete as soon as it exists.

    <store>/<digest of the setting>/ensemble.safetensors        what is trained, and what all shards share
    <store>/<digest of the setting>/shard-000120.safetensors    sums over the replicas of range number 120

A file is written beside its place, flushed to the disk and moved there, so a kill leaves the file whole or none. Each
says what it belongs to and carries a SHA-256 of its contents; one that is cut short, altered or of another ensemble is
named in a warning and computed again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from simulate.moments import Sums
from simulate.ranges import Range
from theory.setting import InvalidInput, Setting

# The number of the format in every file: to be raised whenever sums are laid out, or added, in another way.
FORMAT = 2
# The name of the file that describes an ensemble.
ENSEMBLE = "ensemble.safetensors"
_ATTEMPTS = 5

log = logging.getLogger(__name__)


class Damaged(Exception):
    """A file is not what it should be, as the message explains."""


@dataclass(frozen=True, eq=False)
class Description:
    """What all shards of an ensemble share.

    Attributes
    ----------
    setting : Setting
    digest : str
        See :func:`simulate.digest`.
    device : str
        The kind of device, "cpu" or "cuda": replicas of different kinds differ in their last bits.
    range : int
        Replicas per shard; the last shard may hold fewer.
    replicas : int
        The largest number that was ever requested.
    width : int
        m.
    data_moment : ndarray, shape (d, d)
        See :class:`simulate.Simulation`.
    """

    setting: Setting
    digest: str
    device: str
    range: int
    replicas: int
    width: int
    data_moment: np.ndarray


class Store:
    """The folder of one ensemble."""

    def __init__(self, folder: Path, description: Description) -> None:
        self.folder = folder
        self.description = description

    def path(self, number: int) -> Path:
        """Where the shard of range `number` is, or will be."""
        return self.folder / f"shard-{number:06d}.safetensors"

    def load(self, here: Range) -> Sums | None:
        """The sums of a range, perhaps of fewer or more of its replicas than asked for; None where there are none.

        A file that is not those sums is named in a warning, with the reason.
        """
        try:
            return self.read(here)
        except FileNotFoundError:
            return None
        except Damaged as error:
            log.warning("%s: %s; it is computed again", self.path(here.number), error)
            return None

    def read(self, here: Range) -> Sums:
        """The sums of a range; FileNotFoundError where there are none, Damaged where the file is not those sums."""
        about, tensors = read_file(self.path(here.number))
        known = self.description
        expected = {"digest": known.digest, "device": known.device, "range": known.range, "first": here.first}
        for key, value in expected.items():
            if about.get(key) != value:
                raise Damaged(f"belongs to another ensemble ({key} {about.get(key)}, not {value})")
        with laid_out():
            if not 0 < about["slots"] <= known.range or not 0 <= about["replicas"] <= known.range:
                raise ValueError("more replicas than a range has")
            if tensors["steps"].tolist() != list(known.setting.training.readings):
                raise ValueError("other steps")
            sums = Sums(tensors["steps"].tolist(), len(known.data_moment), here.first, about["slots"])
            sums.replicas = about["replicas"]
            for i, blocks in enumerate(sums.readings):
                blocks.counts[: sums.used] = tensors["counts"]
                blocks.second_moments[: sums.used] = tensors["second_moments"][i]
                blocks.means[: sums.used] = tensors["means"][i]
                blocks.losses[: sums.used] = tensors["losses"][i]
        return sums

    def save(self, here: Range, sums: Sums) -> None:
        """Write the sums of a range; they replace those of fewer of its replicas."""
        known, used = self.description, sums.used
        about = {"digest": known.digest, "device": known.device, "range": known.range, "first": here.first}
        tensors = {
            "steps": np.array([blocks.step for blocks in sums.readings]),
            "counts": sums.readings[0].counts[:used],
            "second_moments": np.stack([blocks.second_moments[:used] for blocks in sums.readings]),
            "means": np.stack([blocks.means[:used] for blocks in sums.readings]),
            "losses": np.stack([blocks.losses[:used] for blocks in sums.readings]),
        }
        slots = len(sums.readings[0].counts)
        with written(self.folder):
            write_file(self.path(here.number), {**about, "replicas": sums.replicas, "slots": slots}, tensors)

    def shards(self) -> list[Path]:
        """The existing shards, in order."""
        return sorted(self.folder.glob("shard-*.safetensors"))


def open_store(root: Path, description: Description, mine: Iterable[Range], *, resume: bool) -> Store:
    """The store of an ensemble, ready for the ranges `mine`: makes the folder, removes what a kill left half-written.

    Raises
    ------
    InvalidInput
        If shards of these ranges are there already and `resume` is false, the store was computed on another kind of
        device, or the folder cannot be written.
    """
    store = Store(root / description.digest, description)
    numbers = {here.number for here in mine}
    with written(root):
        store.folder.mkdir(parents=True, exist_ok=True)
        there = sum(store.path(number).exists() for number in numbers)
        require_resumed(root, there, "ensemble", resume=resume)
        store.description = _described(store, description)
        for path in store.folder.glob(".shard-*.tmp"):
            found = re.match(r"\.shard-(\d+)", path.name)
            if found and int(found[1]) in numbers:
                path.unlink(missing_ok=True)
    return store


def find_store(folder: Path) -> Store:
    """The store that a folder holds, or is.

    Raises
    ------
    InvalidInput
        If there is no store, or several, or its description is damaged.
    """
    here = find_folder(folder, ENSEMBLE, "ensemble")
    try:
        return Store(here, _read_description(here))
    except Damaged as error:
        rule = f"{ENSEMBLE} {error}; any run of its setting with --resume writes it again"
        raise InvalidInput("folder", str(here), rule) from None


def find_folder(folder: Path, description: str, what: str) -> Path:
    """The one folder that has a description of that name: `folder`, or one in it; `what` names it in errors.

    Raises
    ------
    InvalidInput
        If there is none, or several.
    """
    inside = sorted(path.parent for path in folder.glob(f"*/{description}"))
    found = [folder] if (folder / description).is_file() else inside
    if not found:
        rule = f"holds no {what}: there is no {description} in it or one level below"
        raise InvalidInput("folder", str(folder), rule)
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise InvalidInput("folder", str(folder), f"holds {len(found)} {what}s; name one of its folders: {names}")
    return found[0]


@contextmanager
def written(folder: Path) -> Iterator[None]:
    """Turns an error of the disk into InvalidInput, which names the folder."""
    try:
        yield
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        rule = f"cannot be written ({why}); shards that are complete are kept, and --resume goes on from them"
        raise InvalidInput("store", str(folder), rule) from error


def require_resumed(root: Path, there: int, what: str, *, resume: bool) -> None:
    """Refuses to continue from existing shards unless asked to."""
    if there and not resume:
        rule = f"holds {there} shards of this {what} already: resume it (--resume), or choose another folder"
        raise InvalidInput("store", str(root), rule)


def require_device(folder: Path, known: str, device: str) -> None:
    """Refuses to mix kinds of devices."""
    if known != device:
        rule = f"was computed on {known}, whose last bits differ: continue there, or choose another folder"
        raise InvalidInput("store", str(folder), rule)


def _described(store: Store, description: Description) -> Description:
    """The description of a store, read if it exists and written otherwise; the largest number of replicas is kept."""
    try:
        known = _read_description(store.folder)
    except FileNotFoundError:
        known = None
    except Damaged as error:
        log.warning("%s: %s; it is written again", store.folder / ENSEMBLE, error)
        known = None
    if known is not None:
        require_device(store.folder, known.device, description.device)
        description = replace(description, replicas=max(known.replicas, description.replicas))
        if (known.replicas, known.range) == (description.replicas, description.range):
            return description
    about = {
        "setting": msgspec.to_builtins(description.setting),
        "versions": libraries(),
        **{key: getattr(description, key) for key in ("digest", "device", "range", "replicas", "width")},
    }
    write_file(store.folder / ENSEMBLE, about, {"data_moment": np.ascontiguousarray(description.data_moment)})
    return description


def _read_description(folder: Path) -> Description:
    about, tensors = read_file(folder / ENSEMBLE)
    with laid_out():
        plain, versions = about.pop("setting"), about.pop("versions", {})
        try:
            setting = msgspec.convert(plain, Setting)
        except (msgspec.ValidationError, InvalidInput) as error:
            raise Damaged(f"holds no setting that this version knows ({error})") from None
        moment = tensors["data_moment"]
        if (
            moment.ndim != 2
            or len(set(moment.shape)) != 1
            or not all(type(about[name]) is kind for name, kind in (("range", int), ("replicas", int), ("width", int)))
        ):
            raise ValueError("no matrix, or no numbers")
        if versions and versions != libraries():
            log.warning("%s was computed with %s: the last bits may differ", folder, _named(versions))
        return Description(setting=setting, data_moment=moment, **about)


@contextmanager
def laid_out() -> Iterator[None]:
    """Turns the errors of a file that lacks a field, or has another shape, into Damaged."""
    try:
        yield
    except (KeyError, ValueError, IndexError, TypeError, OverflowError, AttributeError, RuntimeError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise Damaged(f"is not laid out as such files are ({type(error).__name__}: {error})") from None


def libraries() -> dict[str, str]:
    """The versions on which the bits of what is trained depend."""
    return {name: version(name) for name in ("numpy", "torch")}


def _named(versions: dict[str, str]) -> str:
    return " and ".join(f"{name} {found}" for name, found in sorted(versions.items()))


def write_file(path: Path, about: dict[str, Any], tensors: dict[str, np.ndarray], form: int | str = FORMAT) -> None:
    """Write a file so that it exists whole or not at all, whenever the machine stops; `form` is its format."""
    about = {"format": form, **about}
    # One entry, because entries of safetensors' metadata come in no fixed order.
    metadata = {"about": json.dumps({**about, "sha256": _checksum(about, tensors)}, sort_keys=True)}
    for attempt in range(_ATTEMPTS):
        beside = path.with_name(f".{path.stem}-{uuid4().hex}.tmp")
        try:
            with open(beside, "xb") as file:
                file.write(save(tensors, metadata))
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
            break
        except FileNotFoundError:  # another command has taken it for what a kill left half-written, and removed it
            if attempt == _ATTEMPTS - 1 or not path.parent.is_dir():
                raise
        except BaseException:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise
    if hasattr(os, "O_DIRECTORY"):
        # The new name is safe only when the folder has reached the disk too.
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def read_file(path: Path, form: int | str = FORMAT) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The metadata and the tensors of a file; Damaged unless both are as they were written, in format `form`."""
    if path.is_fifo():
        raise InvalidInput("store", str(path), "cannot be read (is a pipe)")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dict
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InvalidInput("store", str(path), f"cannot be read ({(error.strerror or str(error)).lower()})") from error
    except SafetensorError as error:
        raise Damaged(f"is cut short or not a safetensors file ({error})") from None
    try:
        about = json.loads(metadata["about"])
        checksum = about.pop("sha256")
    except (KeyError, ValueError, AttributeError, TypeError):
        raise Damaged("was not written by this program") from None
    if checksum != _checksum(about, tensors):
        raise Damaged("has been altered: its checksum differs")
    if about.pop("format") != form:
        raise Damaged("was written by another version of this program")
    return about, tensors


def _checksum(about: dict[str, Any], tensors: dict[str, np.ndarray]) -> str:
    hashed = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(tensors):
        hashed.update(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode())
        hashed.update(np.ascontiguousarray(tensors[name]).data)
    return hashed.hexdigest()
