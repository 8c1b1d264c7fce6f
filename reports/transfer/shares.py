"""What is said of a share of a transfer experiment: its replicas and treatments, and how far all shares are."""

from __future__ import annotations

from typing import Any

from simulate.transfer import Progress, TransferResult


def contract(result: TransferResult, progress: Progress, shard: tuple[int, int]) -> dict[str, Any]:
    """The JSON value of `eigenalign transfer --shard`."""
    return {
        "shard": "{}/{}".format(*shard),
        "replicas": result.replicas,
        "diverged": result.diverged,
        "treatments": [treated.treatment.name for treated in result.treated],
        "store": {
            "replicas": progress.replicas,
            "upstream": progress.upstream,
            "downstream": progress.downstream,
        },
    }


def describe(record: dict[str, Any], store: str) -> str:
    """What was computed, what is in the store, and which command comes next."""
    there = record["store"]
    total = there["replicas"]
    lines = [f"shard {record['shard']}: {record['replicas']} of {total} replicas, {record['diverged']} diverged"]
    if record["treatments"]:
        lines[0] += f", after {', '.join(record['treatments'])}"
    state = f"in {store}: {there['upstream']} of {total} replicas upstream, {there['downstream']} downstream; "
    if there["downstream"] < total:
        state += f"`eigenalign transfer EXPERIMENT.toml --store {store} --resume` computes what is left"
    else:
        state += f"`eigenalign merge {store}` puts them together"
    return "\n".join([*lines, state])
