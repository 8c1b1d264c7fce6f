"""Experiments: defaults, every rule case by case, and the two settings that an experiment consists of."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from theory.errors import InvalidInput
from theory.setting import (
    Data,
    Downstream,
    Ensemble,
    Experiment,
    Labels,
    Network,
    Setting,
    Training,
    Treatment,
    Treatments,
    Until,
    Upstream,
)

DIGITS: dict[str, Any] = {
    "data": {"kind": "digits", "samples": 100},
    "labels": {"kind": "classes"},
    "network": {"kind": "mlp", "hidden": [8, 6]},
    "training": {"loss": "cross-entropy", "steps": 50},
}
CLASSES = {"labels": {"kind": "classes"}}


def experiment(upstream: dict[str, Any] | None = None, **tables: Any) -> Experiment:
    """Digits with changes upstream, and other tables as they are given."""
    return Experiment(**{"upstream": {**DIGITS, **(upstream or {})}, "downstream": CLASSES, **tables})


def test_both_sides_are_settings():
    found = experiment(
        {"training": {"loss": "cross-entropy", "steps": 50}},
        downstream={"samples": 70, "held_out": 5, "labels": {"kind": "real"}, "training": {"steps": [0, 3]}},
        ensemble={"replicas": 4, "seed": 9},
    )
    network, ensemble = Network(kind="mlp", hidden=(8, 6)), Ensemble(replicas=4, seed=9)
    assert found.upstream_setting == Setting(
        data=Data(kind="digits", samples=100),
        labels=Labels(kind="classes"),
        network=network,
        training=Training(loss="cross-entropy", steps=50),
        ensemble=ensemble,
    )
    assert found.downstream_setting == Setting(
        data=Data(kind="digits", samples=70),
        labels=Labels(kind="real"),
        network=network,
        training=Training(steps=(0, 3)),
        ensemble=ensemble,
    )
    assert found.rows == 175


def test_a_path_of_labels_goes_to_the_side_that_has_real_ones():
    data = {"kind": "array", "path": "x.npy", "labels_path": "y.npy"}
    found = experiment({"data": data}, downstream={"labels": {"kind": "real"}})
    assert found.upstream_setting.data.labels_path is None
    assert found.downstream_setting.data.labels_path == "y.npy"


def test_experiments_are_hashed_and_compared():
    assert experiment() == experiment()
    assert hash(experiment()) == hash(experiment())
    assert experiment() != experiment(downstream={**CLASSES, "samples": 9})


def test_the_same_from_python_and_from_tables():
    upstream = Upstream(
        data=Data(kind="digits", samples=100),
        labels=Labels(kind="classes"),
        network=Network(kind="mlp", hidden=(8, 6)),
        training=Training(loss="cross-entropy", steps=50),
        until=Until(accuracy=0.9),
    )
    treatment = Treatments(kinds=("scratch", Treatment(kind="first-layers", layers=2)))
    made = Experiment(upstream=upstream, treatment=treatment, downstream=Downstream(labels=Labels(kind="classes")))
    kinds = ["scratch", {"kind": "first-layers", "layers": 2}]
    assert made == experiment({"until": {"accuracy": 0.9}}, treatment={"kinds": kinds})
    assert msgspec.convert(msgspec.to_builtins(made), Experiment) == made


BAD = [
    ({"until": {}}, {}, "upstream.until.accuracy", "not both"),
    ({"until": {"accuracy": 0.9, "loss": 0.1}}, {}, "upstream.until.accuracy", "not both"),
    ({"until": {"accuracy": 1.5}}, {}, "upstream.until.accuracy", "(0, 1]"),
    ({"until": {"loss": 0.0}}, {}, "upstream.until.loss", "positive"),
    ({"until": {"loss": 1.0, "every": 0}}, {}, "upstream.until.every", "at least 1"),
    ({"training": {"loss": "cross-entropy", "steps": [1, 2]}}, {}, "upstream.training.steps", "one number"),
    ({"data": {"kind": "digits", "fixed": True}}, {}, "upstream.data.fixed", "false"),
    (
        {"data": {"kind": "gaussian", "spectrum": [1.0], "samples": "online"}},
        {},
        "upstream.data.samples",
        "must be a number",
    ),
    ({"training": {"loss": "mse", "batch_size": 101}}, {}, "upstream.training.batch_size", "must not exceed"),
    ({"labels": {"kind": "gaussian"}}, {}, "upstream.training.loss", "needs labels.kind"),
    (
        {"labels": {"kind": "gaussian", "outputs": 10}, "training": {}, "until": {"accuracy": 1.0}},
        {},
        "upstream.until.accuracy",
        "needs labels",
    ),
    (
        {"data": {"kind": "array", "path": "x.npy", "labels_path": "y.npy"}},
        {},
        "upstream.data.labels_path",
        "either side",
    ),
    ({}, {"treatment": {"kinds": ["scratch", "bald"]}}, "treatment.kinds[1]", "must be one of 'scratch'"),
    ({}, {"treatment": {"kinds": ["pretrained"]}}, "treatment.kinds", "must hold 'scratch'"),
    ({}, {"treatment": {"kinds": ["scratch", "scratch"]}}, "treatment.kinds", "must not repeat"),
    ({}, {"treatment": {"kind": ["scratch"]}}, "treatment.kind", "is not a key"),
    (
        {},
        {"treatment": {"kinds": ["scratch", {"kind": "first-layers"}]}},
        "treatment.layers",
        "must be at least 1",
    ),
    (
        {},
        {"treatment": {"kinds": ["scratch", {"kind": "first-layers", "layers": 4}]}},
        "treatment.kinds[1].layers",
        "must not exceed 3",
    ),
    (
        {},
        {"treatment": {"kinds": ["scratch", {"kind": "recursive", "layers": 3}]}},
        "treatment.kinds[1].layers",
        "must not exceed 2",
    ),
    (
        {},
        {"treatment": {"kinds": ["scratch", {"kind": "covariance", "layers": 1}]}},
        "treatment.layers",
        "belongs to",
    ),
    (
        {},
        {"treatment": {"kinds": ["scratch", {"kind": "pretrained", "rescale": True}]}},
        "treatment.rescale",
        "belongs to",
    ),
    ({"network": {"kind": "linear"}}, {"treatment": {"kinds": ["scratch", "recursive"]}}, "treatment.kinds[1]", "mlp"),
    ({}, {"ensemble": {"replicas": 1}}, "ensemble.replicas", "must be at least 2"),
    ({}, {"downstream": {**CLASSES, "samples": 0}}, "downstream.samples", "at least 1"),
    ({}, {"downstream": {**CLASSES, "held_out": -1}}, "downstream.held_out", "not be negative"),
    ({}, {"downstream": {**CLASSES, "target": 2.0}}, "downstream.target", "(0, 1]"),
    (
        {},
        {"downstream": {"labels": {"kind": "gaussian", "outputs": 10}, "target": 0.5}},
        "downstream.target",
        "needs labels",
    ),
    ({}, {"downstream": {"labels": {"kind": "gaussian", "outputs": 3}}}, "downstream.labels", "as many outputs"),
    (
        {},
        {"downstream": {**CLASSES, "training": {"batch_size": 999}}},
        "downstream.training.batch_size",
        "must not exceed",
    ),
    (
        {"data": {"kind": "gaussian", "spectrum": [1.0]}},
        {"downstream": {"labels": {"kind": "real"}}},
        "downstream.labels.kind",
        "needs data with labels",
    ),
]


@pytest.mark.parametrize(("upstream", "tables", "key", "rule"), BAD)
def test_a_broken_rule_is_named(upstream, tables, key, rule):
    with pytest.raises(InvalidInput) as caught:
        experiment(upstream, **tables)
    assert caught.value.key == key
    assert rule in caught.value.rule
