"""What was predicted and measured of every case, on disk: one file per case, complete as soon as it exists.

    <folder>/report.json                          what was asked for: budget, seed, claims; and where it was computed
    <folder>/A4/3f2a….safetensors                 a case of claim A4, named by the digest of its specification
    <folder>/A4/background.safetensors            tables of that claim that depend on no case

A file is written beside its place, flushed and moved there, carries a checksum, and is read as the types that the
claim's functions declare, so that a kill leaves it whole or none and a stranger's file runs no code. It says by which
version of the code, on which versions of the libraries and on which kind of device it was computed: a report that is
resumed computes again what another version has left, while `typeset` takes it as it is.
"""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Generic, TypeVar, get_type_hints

import msgspec

import simulate
import theory
from reports import claims as claims_package
from reports import judging
from reports.claims.claim import AnyClaim, Case, Context
from reports.codec import Unreadable, pack, unpack
from reports.files import write_atomically
from reports.findings import Table
from simulate.identity import digest, experiment_digest
from simulate.store import Damaged, read_file, write_file, written
from theory.errors import InvalidInput
from theory.setting import Setting

# The name of the format in every file: to be raised whenever records are laid out in another way.
FORMAT = "record 1"
LIBRARIES = ("numpy", "scipy", "torch", "scikit-learn")
ABOUT_REPORT = "report.json"
BACKGROUND = "background"
ENSEMBLES = ".ensembles"

Value = TypeVar("Value")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lost:
    """A case whose training diverged, or whose rows no closed form covers: the argument that lets it, and how."""

    key: str
    rule: str


@dataclass(frozen=True, eq=False)
class Kept(Generic[Value]):
    """What is kept: of a case (prediction, measurement), each of which may be Lost, and the seconds that it took."""

    value: Value
    seconds: float


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a report was asked for, and where it was computed: all that its pages say besides what was found.

    `seconds` are those of the call that put it together; what earlier calls and shards took is in their records.
    """

    budget: str
    seed: int
    device: str
    claims: tuple[str, ...]
    cifar10: str | None
    command: str
    started: str
    seconds: float
    provenance: dict[str, str]


class Records:
    """A folder of records, of one kind of device."""

    def __init__(self, folder: Path, device: str) -> None:
        self.folder = folder
        self.device = device

    def path(self, claim: AnyClaim, case: Case[Any] | None, context: Context) -> Path:
        """Where the record of a case is, or will be; of the claim's background if None, of a part among the parts."""
        if case is not None and case.part is not None:
            return self._part(case, context, case.part).with_suffix(".safetensors")
        name = BACKGROUND if case is None else specification(case, context.budget)[:32]
        return self.folder / claim.id / f"{name}.safetensors"

    def load(
        self, claim: AnyClaim, case: Case[Any] | None, context: Context, *, any_version: bool = False
    ) -> Kept[Any] | None:
        """What is kept of a case; None where there is nothing, or nothing that this version of the code has computed.

        A file that is damaged, or is not what the claim declares, is named in a warning.
        """
        path = self.path(claim, case, context)
        try:
            about, arrays = read_file(path, FORMAT)
            if not any_version and about.get("computed") != computed_by(self.device):
                log.info("%s: another version of the code or the libraries has computed it; it is computed again", path)
                return None
            kind = _kept_type(claim) if case is not None else tuple[Table, ...]
            return Kept(unpack(about["value"], arrays, kind), float(about["seconds"]))
        except FileNotFoundError:
            return None
        except (Damaged, Unreadable, KeyError, TypeError) as error:
            log.warning("%s: %s; it is computed again", path, error)
            return None

    def save(self, claim: AnyClaim, case: Case[Any] | None, context: Context, kept: Kept[Any]) -> None:
        """Write what is kept of a case."""
        plain, arrays = pack(kept.value)
        path = self.path(claim, case, context)
        about = {
            "claim": claim.id,
            "case": BACKGROUND if case is None else case.name,
            "computed": computed_by(self.device),
            "seconds": kept.seconds,
            "value": plain,
        }
        with written(self.folder):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, about, arrays, FORMAT)

    def save_part(self, case: Case[Any], context: Context, part: str, seconds: float) -> None:
        """Note that a part "i/n" of a case is in `ensembles`, and how long it took."""
        path = self._part(case, context, part)
        with written(self.folder):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, msgspec.json.encode(seconds))

    def has_parts(self, case: Case[Any] | None, context: Context) -> bool:
        """Whether all parts of a case are there."""
        return case is not None and all(self._part(case, context, part).exists() for part in case.parts)

    def seconds_of_parts(self, case: Case[Any] | None, context: Context) -> float:
        """How long the parts took that are there; 0 of a case that is not cut."""
        found = 0.0
        paths = [] if case is None else [self._part(case, context, part) for part in case.parts]
        for path in paths:
            with suppress(OSError, msgspec.DecodeError):  # missing or damaged: of no weight to what is found
                found += msgspec.json.decode(path.read_bytes(), type=float)
        return found

    def _part(self, case: Case[Any], context: Context, part: str) -> Path:
        return self.ensembles / "parts" / f"{specification(case, context.budget)[:32]}-{part.replace('/', '-of-')}"

    def clear(self) -> None:
        """Delete what is kept, and what an interrupted run has left; other files in the folder are left alone."""
        for path in self.folder.glob("*/*.safetensors"):
            if path.stem == BACKGROUND or re.fullmatch(r"[0-9a-f]{32}", path.stem):
                path.unlink(missing_ok=True)
        (self.folder / ABOUT_REPORT).unlink(missing_ok=True)
        self.clear_ensembles()

    @property
    def ensembles(self) -> Path:
        """Where a case that is being settled leaves what is complete of its ensembles, by this version of the code."""
        return self.folder / ENSEMBLES / computed_by(self.device)["code"][:16]

    def require_folders(self, *, fresh: bool) -> None:
        """Refuse a link or a file where ensembles are to be, and `fresh` a folder where a report was interrupted.

        Raises
        ------
        InvalidInput
        """
        path = self.folder / ENSEMBLES
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise InvalidInput("out", str(path), "must be a folder, not a link or a file: it is deleted at the end")
        if fresh and path.is_dir() and any(path.rglob("*.safetensors")):
            rule = "holds what an interrupted report has computed: --resume goes on from it; delete it to begin anew"
            raise InvalidInput("out", str(path), rule)

    def clear_ensembles(self) -> None:
        """Delete what an interrupted run has left of its ensembles."""
        shutil.rmtree(self.folder / ENSEMBLES, ignore_errors=True)

    def describe(self, asked: Asked) -> None:
        """Write what the report was asked for."""
        with written(self.folder):
            write_atomically(self.folder / ABOUT_REPORT, msgspec.json.format(msgspec.json.encode(asked)) + b"\n")

    def description(self) -> Asked:
        """What the report was asked for.

        Raises
        ------
        InvalidInput
            If the folder has no such file, or the file is damaged.
        """
        path = self.folder / ABOUT_REPORT
        try:
            return msgspec.json.decode(path.read_bytes(), type=Asked)
        except FileNotFoundError:
            raise InvalidInput("folder", str(self.folder), f"holds no report: {ABOUT_REPORT} is missing") from None
        except (OSError, msgspec.DecodeError) as error:
            raise InvalidInput("folder", str(path), f"cannot be read ({error})") from None


def round_trip(kept: Kept[Any], claim: AnyClaim, *, background: bool = False) -> Kept[Any]:
    """What would be read again, so that what is judged now is what will be judged from the file."""
    plain, arrays = pack(kept.value)
    plain = json.loads(json.dumps(plain))
    return Kept(unpack(plain, arrays, tuple[Table, ...] if background else _kept_type(claim)), kept.seconds)


def specification(case: Case[Any], budget: str) -> str:
    """SHA-256 of what a case is and what it trains, 64 hexadecimal digits; its name does not enter.

    Data files count by their contents.
    """
    trained = case.trained
    identity = digest(trained) if isinstance(trained, Setting) else experiment_digest(trained)
    study, arrays = pack(case.study)
    if arrays:
        raise TypeError(f"{case.name}: a study holds no arrays")
    values = [identity, trained.ensemble.replicas, study, case.kind, budget]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


@cache
def computed_by(device: str) -> dict[str, str]:
    """What decides the bits of a record besides its specification: code, libraries, kind of device."""
    hashed = hashlib.sha256()
    for package in (theory, simulate, claims_package, judging):
        assert package.__file__ is not None
        root = Path(package.__file__).parent
        for path in sorted(root.rglob("*.py")):
            hashed.update(f"{package.__name__}/{path.relative_to(root)}".encode())
            hashed.update(path.read_bytes())
    libraries = {name: version(name) for name in LIBRARIES}
    return {"code": hashed.hexdigest(), "python": platform.python_version(), "device": device, **libraries}


@cache
def _kept_type(claim: AnyClaim) -> Any:
    """The type of what is kept of a claim's case: what `predict` and `measure` return."""
    return tuple[_returned(claim.predict) | Lost, _returned(claim.measure) | Lost]  # type: ignore[misc]


def _returned(function: Callable[..., Any]) -> Any:
    return get_type_hints(function)["return"]
