"""Alignment during training: the checkpoints of one run, in order, each checked on the same data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.check.display import Displayed
from reports.check.files import split
from reports.check.measure import check_files
from reports.counted import counted
from reports.models.files import load_model
from reports.models.model import check_model
from reports.models.program_file import is_program
from reports.models.results import LayerCheck, ModelCheck
from theory.errors import InvalidInput

if TYPE_CHECKING:
    from reports.views.view import View

_ENDINGS = (".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".pt2", ".npy", ".npz", ".onnx", ".keras", ".h5")


@dataclass(frozen=True, eq=False, repr=False)
class Course(Displayed):
    """The checks of one run's checkpoints.

    Attributes
    ----------
    labels : tuple of str
        What each checkpoint is called, such as a step or a file.
    checks : tuple of ModelCheck
        The checks, in the order of training.
    """

    labels: tuple[str, ...]
    checks: tuple[ModelCheck, ...]

    @property
    def layers(self) -> dict[str, tuple[LayerCheck | None, ...]]:
        """Every layer over time; None where it was left out."""
        names = dict.fromkeys(layer.name for found in self.checks for layer in found.layers)
        known = [{layer.name: layer for layer in found.layers} for found in self.checks]
        return {name: tuple(each.get(name) for each in known) for name in names}

    def _headline(self) -> str:
        return f"{counted(len(self.layers), 'layer')} at {counted(len(self.labels), 'checkpoint')}"

    def _view(self) -> View:
        from reports.views.over import view

        return view(self)

    def _fragment(self) -> str:
        from reports.views.over_page import fragment

        return fragment(self)

    def _rows(self) -> Sequence[dict[str, Any]]:
        return [
            {"layer": layer["layer"], **{key: value for key, value in point.items() if key != "check"}}
            for layer in self.to_dict()["layers"]
            for point in layer["course"]
        ]


def check_over(models: Sequence[Any], data: Any, *, labels: Sequence[str] | None = None, **options: Any) -> Course:
    """Check every checkpoint of one run on the same data.

    Parameters
    ----------
    models : sequence of modules or state dicts
        The checkpoints, in the order of training.
    data : see `batches_of`
        The data, which are read once per checkpoint, because the inputs of deeper layers change.
    labels : sequence of str, optional
        Names of the checkpoints; 1, 2, … by default.
    options
        Options of `check_model`.

    Raises
    ------
    InvalidInput
        If there are fewer than two checkpoints or a different number of labels, and for everything that `check_model`
        refuses.
    """
    names = tuple(map(str, labels if labels is not None else range(1, len(models) + 1)))
    if len(models) < 2:
        raise InvalidInput("over", len(models), "at least two checkpoints are needed")
    if len(names) != len(models):
        raise InvalidInput("labels", len(names), f"must be as many as there are checkpoints, {len(models)}")
    return Course(names, tuple(check_model(each, data, **options) for each in models))


def check_files_over(
    sources: Sequence[str],
    data: str,
    *,
    forward: str | None = None,
    layers: Sequence[str] | None = None,
    largest: int | None = None,
    device: Any = None,
    progress: bool = False,
    **options: Any,
) -> Course:
    """`check_over` for files: FILE:KEY is one layer at each checkpoint, FILE a whole model, a folder all of its files.

    A folder's files, or the folders of the Hugging Face Trainer in it, each of which is one checkpoint, are taken in
    the order of the numbers in their names. `options` are `center`, `ridge` and `seed`.
    """
    files = [file for source in sources for file in _expanded(source)]
    labels = tuple(Path(split(file)[0]).name for file in files)
    if len(files) < 2:
        raise InvalidInput("over", files, "at least two checkpoints are needed")
    single = forward is None and all(split(file)[1] is not None or file.endswith(".npy") for file in files)
    if single:
        return Course(labels, tuple(_one_layer(file, data, progress, options) for file in files))
    more = options if largest is None else {**options, "largest": largest}
    found = []
    for file in files:
        model, notes = load_model(file, forward)
        found.append(
            check_model(model, data, layers=layers or None, device=device, notes=notes, progress=progress, **more)
        )
    return Course(labels, tuple(found))


def _one_layer(file: str, data: str, progress: bool, options: dict[str, Any]) -> ModelCheck:
    found = check_files([file], data, progress=progress, **options)
    return ModelCheck((LayerCheck(split(file)[1] or "weights", "one layer", found),), (), found.samples)


def _expanded(source: str) -> list[str]:
    """The checkpoints in a folder; a file, or a folder that is one checkpoint, by itself."""
    path, key = split(source)
    if not path.is_dir() or _is_checkpoint(path):
        return [source]
    inside = sorted(path.iterdir(), key=_by_numbers)
    found = [file for file in inside if _is_checkpoint(file)]
    found = found or [file for file in inside if file.suffix in _ENDINGS and file.is_file()]
    if not found:
        raise InvalidInput("over", str(path), f"holds no checkpoints ({', '.join(_ENDINGS)})")
    return [str(file) if key is None or is_program(file) else f"{file}:{key}" for file in found]


def _is_checkpoint(folder: Path) -> bool:
    """Whether a folder holds one model, in one file or several with an index, beside what else a trainer keeps."""
    return folder.is_dir() and any(folder.joinpath(f"model.safetensors{end}").is_file() for end in ("", ".index.json"))


def _by_numbers(path: Path) -> list[Any]:
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.name)]
