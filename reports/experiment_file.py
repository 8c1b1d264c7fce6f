"""Read a transfer experiment from a TOML file, with a one-line message for a bad file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from reports.setting_file import assignments, defaults, located, read
from reports.setting_file import load as load_setting
from theory.checked import under
from theory.errors import InvalidInput, unknown
from theory.setting import Downstream, Ensemble, Experiment, Treatments, Until, Upstream

TABLES = ("upstream", "treatment", "downstream", "ensemble")


def load(path: str | Path) -> Experiment:
    """The experiment that a TOML file describes; paths in it are relative to the file.

    ``[upstream]`` holds the tables of a setting, or ``file``, the path of a setting file: its last reading is then the
    last update, and its ensemble is used if the file of the experiment has none.

    Raises
    ------
    InvalidInput
        If the file is missing, unreadable, empty or not TOML, or has unknown keys, wrong types or impossible values,
        each of which is reported with the key, the rule and the value.
    """
    tables = read(path, "experiment")
    for name, table in tables.items():
        if name not in TABLES:
            raise InvalidInput(name, table, unknown(name, "a table of an experiment", TABLES))
        if not isinstance(table, dict):
            raise InvalidInput(name, table, "must be a table")
    if "upstream" not in tables:
        raise InvalidInput("upstream", None, "is missing: an experiment needs at least the table [upstream]")
    with under("upstream"):
        upstream, ensemble = _upstream(tables["upstream"], Path(path).parent)
    with under("downstream"):
        downstream = Downstream(**_known(Downstream, tables.get("downstream", {})))
    with under("treatment"):
        treatment = Treatments(**_known(Treatments, tables.get("treatment", {})))
    if "ensemble" in tables:
        with under("ensemble"):
            ensemble = Ensemble(**_known(Ensemble, tables["ensemble"]))
    return Experiment(upstream=upstream, treatment=treatment, downstream=downstream, ensemble=ensemble)


def departures(experiment: Experiment) -> tuple[str, ...]:
    """The values that differ from the defaults, as TOML assignments; the whole experiment follows from them."""
    tables, plain = msgspec.to_builtins(experiment), defaults(experiment.upstream.network)
    tables["upstream"]["until"] = tables["upstream"]["until"] or {}
    nested = {key: tables["downstream"].pop(key) for key in ("labels", "training")}
    kinds = [
        {key: value for key, value in kind.items() if value} if kind["layers"] else kind["kind"]
        for kind in tables["treatment"]["kinds"]
    ]
    others = {"downstream": msgspec.to_builtins(Downstream()), "until": dict.fromkeys(Until.__struct_fields__)}
    return (
        *assignments(tables["upstream"], plain | others, "upstream."),
        f"treatment.kinds = {json.dumps(kinds)}",
        *assignments({"downstream": tables["downstream"]}, others),
        *assignments(nested, plain, "downstream."),
        *assignments({"ensemble": tables["ensemble"]}, plain),
    )


def _upstream(table: dict[str, Any], folder: Path) -> tuple[Upstream, Ensemble]:
    if "file" not in table:
        if "data" not in table:
            raise InvalidInput("data", None, "is missing: upstream needs the table [upstream.data], or a file")
        data = located(table["data"], folder) if isinstance(table["data"], dict) else table["data"]
        return Upstream(**_known(Upstream, {**table, "data": data})), Ensemble()
    for key in table:
        if key not in ("file", "until"):
            raise InvalidInput(key, table[key], "must not stand beside upstream.file, which holds it")
    if not isinstance(table["file"], str):
        raise InvalidInput("file", table["file"], "must be a string")
    setting = load_setting(folder / table["file"])
    training = msgspec.structs.replace(setting.training, steps=setting.training.readings[-1])
    until = {"until": table["until"]} if "until" in table else {}
    upstream = Upstream(data=setting.data, labels=setting.labels, network=setting.network, training=training, **until)
    return upstream, setting.ensemble


def _known(kind: type[msgspec.Struct], table: dict[str, Any]) -> dict[str, Any]:
    """The table itself, checked for unknown keys, on which a constructor would raise a TypeError."""
    names = kind.__struct_fields__
    for key, value in table.items():
        if key not in names:
            raise InvalidInput(key, value, unknown(key, "a key of this table", names))
    return table
