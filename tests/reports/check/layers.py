"""Layers and data, and files that hold them."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from reports.check.estimates import Weights
from reports.check.weights import filters
from theory.eigenspaces import Eigenspaces

RNG = np.random.default_rng(0)
DENSE = RNG.standard_normal((40, 6))
FILTERS = RNG.standard_normal((16, 3, 2, 2))
ROWS = RNG.standard_normal((50, 6)) * np.arange(1, 7)
IMAGES = RNG.standard_normal((20, 3, 5, 6))


# what is read
def written(folder: Path, kind: str, array: np.ndarray) -> str:
    path = folder / f"w.{kind}"
    tensor = torch.from_numpy(array)
    if kind == "npy":
        np.save(path, array)
    elif kind == "npz":
        np.savez(path, **{"layer.weight": array, "layer.bias": np.zeros(3)})
    elif kind == "safetensors":
        save_file({"layer.weight": tensor, "layer.bias": torch.zeros(3)}, path)
    elif kind == "tensor.pt":
        torch.save(tensor, path)
    elif kind == "legacy.pt":
        torch.save({"layer.weight": tensor}, path, _use_new_zipfile_serialization=False)
    elif kind == "compiled.pt":
        torch.save({"_orig_mod.layer.weight": tensor, "_orig_mod.layer.bias": torch.zeros(3)}, path)
    elif kind == "parallel.pt":
        torch.save({"epoch": 3, "state_dict": {"module._orig_mod.layer.weight": torch.nn.Parameter(tensor)}}, path)
    elif kind == "nested.pt":
        torch.save({"model": {"model_state_dict": {"layer": {"weight": tensor}}}, "optimizer": {"m": tensor}}, path)
    return str(path)


# what is refused
def saved(folder: Path, name: str, array: object) -> str:
    path = folder / name
    np.save(path, array, allow_pickle=True)
    return str(path)


def axes(dimension):
    return Eigenspaces(np.arange(1.0, dimension + 1), (1,) * dimension, np.eye(dimension), 0.0)


def weights_of(*vectors):
    return Weights.of([filters(v) for v in vectors], np.ones(vectors[0].shape[1], dtype=bool))
