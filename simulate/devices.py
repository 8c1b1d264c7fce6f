"""Where tensors live."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache

import torch
from threadpoolctl import ThreadpoolController

from theory.setting import InvalidInput


def resolve(device: str) -> torch.device:
    """The device named "cpu", "cuda", "cuda:1", …, or "auto" (CUDA where there is any); always with its index.

    >>> resolve("cpu")
    device(type='cpu')

    Raises
    ------
    InvalidInput
        If there is no such device.
    """
    kind, _, index = device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (index and not (kind == "cuda" and index.isdigit())):
        raise InvalidInput("device", device, "must be 'auto', 'cpu', 'cuda' or 'cuda:N'")
    if kind == "cpu" or (kind == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise InvalidInput("device", device, "no CUDA device is available")
    number = int(index) if index else torch.cuda.current_device()
    if number >= torch.cuda.device_count():
        raise InvalidInput("device", device, f"there are {torch.cuda.device_count()} CUDA devices")
    return torch.device("cuda", number)


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a CUDA device, down to a power of two, so that small differences change nothing."""
    free, _ = torch.cuda.mem_get_info(device)
    return 1 << (free.bit_length() - 1)


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch and BLAS inside: small products are fastest so, and rounding is the same on any core count.

    For the same reason CUDA's convolutions add up in one order there, in float32 without shortened mantissas. Also a
    decorator of functions.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _libraries().limit(limits=1, user_api="blas"), _steady_convolutions():
            yield
    finally:
        torch.set_num_threads(threads)


def _steady_convolutions() -> AbstractContextManager[None]:
    """One order of summation and whole mantissas on CUDA; nothing without it, where PyTorch 2.9 warns of the flags."""
    if not torch.cuda.is_available():
        return nullcontext()
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)


@cache
def _libraries() -> ThreadpoolController:
    """The loaded libraries with threads, NumPy's BLAS among them; found once, since looking takes 10 ms."""
    return ThreadpoolController()
