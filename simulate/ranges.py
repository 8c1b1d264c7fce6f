"""The fixed ranges of replicas that are summed, stored and assigned as one piece, and who computes which."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from theory.setting import InvalidInput

MOST = 2**22  # the most ranges that one process computes


class Range(NamedTuple):
    """Replicas first … last − 1, which are range number `number` of an ensemble."""

    number: int
    first: int
    last: int


def ranges(replicas: int, size: int, shard: tuple[int, int] = (1, 1)) -> list[Range]:
    """The ranges of an ensemble that shard (i, n) computes: numbers i − 1, i − 1 + n, …; only the last may be shorter.

    >>> ranges(10, 4)
    [Range(number=0, first=0, last=4), Range(number=1, first=4, last=8), Range(number=2, first=8, last=10)]
    >>> [r.number for r in ranges(10, 4, (2, 2))]
    [1]

    Raises
    ------
    InvalidInput
        If there are more than 4 million.
    """
    i, n = shard
    count = -(-replicas // size)
    if count > MOST * n:
        rule = f"must be at most {MOST * size} a share, {MOST} files of {size}: cut the ensemble into more shares"
        raise InvalidInput("replicas", replicas, rule)
    return [Range(k, k * size, min((k + 1) * size, replicas)) for k in range(i - 1, count, n)]


def parse_shard(shard: str) -> tuple[int, int]:
    """(i, n) of "i/n", 1 ≤ i ≤ n.

    >>> parse_shard("2/3")
    (2, 3)

    Raises
    ------
    InvalidInput
    """
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", shard) if isinstance(shard, str) else None
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise InvalidInput("shard", shard, "must be 'i/n' with 1 ≤ i ≤ n, such as '2/3'")
    return int(found[1]), int(found[2])


def rank() -> tuple[int, int]:
    """(rank, world size) of this process under ``torchrun``, from RANK and WORLD_SIZE; (0, 1) elsewhere.

    Raises
    ------
    InvalidInput
        If the two are not numbers that fit each other.
    """
    given = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
    if not (given[0].isdecimal() and given[1].isdecimal() and int(given[0]) < int(given[1])):
        raise InvalidInput("RANK/WORLD_SIZE", "/".join(given), "must be whole numbers, the first below the second")
    return int(given[0]), int(given[1])


def share_of(shard: str | None) -> tuple[int, int]:
    """(i, n) of a shard "i/n", or if None what ``torchrun`` says; (1, 1) is the whole.

    >>> share_of("2/3"), share_of(None)
    ((2, 3), (1, 1))

    Raises
    ------
    InvalidInput
    """
    if shard is not None:
        return parse_shard(shard)
    number, world = rank()
    return number + 1, world
