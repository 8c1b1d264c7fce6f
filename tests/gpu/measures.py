"""The engine on a device: agreement of every kernel with the CPU, repetition, speed, memory."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import msgspec
import torch

import simulate
from simulate.kernels import KERNELS, choose_kernel
from tests.simulate import dense_settings, image_settings, vgg_settings
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

Inside = Callable[[], AbstractContextManager[Any]]
FLOAT64, FLOAT32 = 1e-10, 1e-3  # errors relative to the largest weight
WORK = Setting(
    data=Data(kind="gaussian", spectrum=tuple(1 / (1 + k) for k in range(128)), samples=256),
    labels=Labels(kind="classes", classes=10),
    network=Network(kind="mlp", hidden=(256, 256)),
    training=Training(steps=50, learning_rate=0.05, loss="cross-entropy", batch_size=64),
    ensemble=Ensemble(replicas=512, dtype="float32"),
)


def settings(images: Path) -> Iterator[tuple[str, Setting]]:
    """Every setting by which the kernels are tested, with few steps; `images` is a file of images."""
    known = dict(dense_settings.SETTINGS)
    known |= {f"images: {name}": image_settings.setting_of(name, str(images)) for name in image_settings.SETTINGS}
    known |= {
        f"vgg: {name}": vgg_settings.setting_of(str(images), *those) for name, those in vgg_settings.SETTINGS.items()
    }
    for name, setting in known.items():
        training = msgspec.structs.replace(setting.training, steps=(1, 4))
        yield name, msgspec.structs.replace(setting, training=training)


def agreement(
    images: Path, device: torch.device, dtype: torch.dtype, inside: Inside = nullcontext, only: int | None = None
) -> list[dict[str, Any]]:
    """The largest error of each kernel that trains each setting, relative to the CPU's weights in float64.

    `inside` is entered where tensors of the device are made; `only` so many settings are tried, all if None.
    """
    found = []
    for name, setting in list(settings(images))[:only]:
        inputs = simulate.replica_inputs(setting, [0, 1])
        expected = choose_kernel(setting).train(setting, inputs)
        for key, kernel in KERNELS.items():
            if not kernel.applies(setting):
                continue
            with inside():
                trained = kernel.train(setting, inputs.to(device, dtype))
                placed = all(w.device.type == device.type for each in trained.values() for w in each)
                host = {step: [w.cpu().double() for w in each] for step, each in trained.items()}
            error = max(
                float((a - b).abs().max() / max(float(b.abs().max()), 1e-30))
                for step in expected
                for a, b in zip(host[step], expected[step], strict=True)
            )
            found.append({"setting": name, "kernel": key, "error": error, "placed": placed})
    return found


def faults(found: list[dict[str, Any]], limit: float) -> list[dict[str, Any]]:
    """The entries of `found` that were not placed on the device, or whose error is not within `limit`."""
    return [each for each in found if not each["placed"] or not each["error"] <= limit]


def seconds(work: Callable[[], object], synchronize: Callable[[], object]) -> float:
    """How long some work takes, the second time."""
    work()
    synchronize()
    began = time.perf_counter()
    work()
    synchronize()
    return time.perf_counter() - began


def throughput(device: str, setting: Setting = WORK) -> dict[str, float]:
    """Replicas per second of the engine, of a loop over replicas, and of the products of matrices alone."""
    where, replicas = torch.device(device), setting.ensemble.replicas
    synchronize = torch.cuda.synchronize if where.type == "cuda" else lambda: None
    engine = seconds(lambda: simulate.run(setting, device=device), synchronize)
    few = [msgspec.structs.replace(setting, ensemble=msgspec.structs.replace(setting.ensemble, replicas=1))] * 2
    loop = seconds(lambda: [simulate.run(one, device=device, chunk=1) for one in few], synchronize) / len(few)
    shapes = [(w.shape[1], w.shape[2]) for w in simulate.replica_inputs(setting, [0]).parameters]
    batch = setting.batch_rows
    dtype = getattr(torch, setting.ensemble.dtype)
    weights = [torch.ones(replicas, *shape, device=where, dtype=dtype) for shape in shapes]
    rows = [torch.ones(replicas, batch, shape[1], device=where, dtype=dtype) for shape in shapes]
    outs = [torch.ones(replicas, batch, shape[0], device=where, dtype=dtype) for shape in shapes]

    def products() -> None:
        for _ in range(setting.training.readings[-1]):
            for x, w, y in zip(rows, weights, outs, strict=True):
                torch.bmm(x, w.transpose(1, 2))
                torch.bmm(y.transpose(1, 2), x)
                torch.bmm(y, w)

    bound = seconds(products, synchronize)
    operations = 6 * batch * sum(map(math.prod, shapes)) * setting.training.readings[-1] * replicas
    return {
        "engine_replicas_per_second": replicas / engine,
        "loop_replicas_per_second": 1 / loop,
        "products_replicas_per_second": replicas / bound,
        "products_operations_per_second": operations / bound,
        "share_of_products": bound / engine,
    }


def repeated(device: str, setting: Setting = WORK) -> bool:
    """Whether two runs give the same bits."""
    first, second = (simulate.run(setting, device=device).readings[-1].second_moment for _ in range(2))
    return first.tobytes() == second.tobytes()
