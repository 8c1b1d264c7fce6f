"""`python -m tests.gpu --out gpu.json`: measure the engine on this machine's CUDA device, within eight minutes."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reports.files import write_atomically
from tests.gpu import measures
from tests.simulate.image_settings import IMAGES

NO_DEVICE = "no CUDA device: nothing was measured"


def measured() -> dict[str, Any]:
    """All measurements, with the device and the versions that they are of."""
    began, device = time.perf_counter(), torch.device("cuda", 0)
    properties = torch.cuda.get_device_properties(device)
    torch.cuda.reset_peak_memory_stats(device)
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images.npy"
        np.save(images, IMAGES)
        exact = measures.agreement(images, device, torch.float64)
        single = measures.agreement(images, device, torch.float32)
    found = {
        "device": properties.name,
        "memory_gib": properties.total_memory / 2**30,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        "float64": {"limit": measures.FLOAT64, "largest": max(each["error"] for each in exact), "all": exact},
        "float32": {"limit": measures.FLOAT32, "largest": max(each["error"] for each in single), "all": single},
        "faults": measures.faults(exact, measures.FLOAT64) + measures.faults(single, measures.FLOAT32),
        "repeated": measures.repeated("cuda"),
        "throughput": {"cuda": measures.throughput("cuda"), "cpu": measures.throughput("cpu")},
        "peak_memory_gib": torch.cuda.max_memory_allocated(device) / 2**30,
    }
    return {**found, "seconds": time.perf_counter() - began}


def main(arguments: list[str] | None = None) -> int:
    """Write the measurements as one JSON file; 0 if all agree, 1 if not, 2 where there is no device."""
    parser = argparse.ArgumentParser(prog="python -m tests.gpu", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    out = parser.parse_args(arguments).out
    if not torch.cuda.is_available():
        print(NO_DEVICE, file=sys.stderr)
        return 2
    found = measured()
    write_atomically(out, json.dumps(found, indent=1) + "\n")
    print(f"{found['device']}: {len(found['faults'])} faults, {found['seconds']:.0f} s, written to {out}")
    return 1 if found["faults"] or not found["repeated"] else 0


if __name__ == "__main__":
    sys.exit(main())
