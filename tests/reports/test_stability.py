"""What an unstable setting is told before it is run, against what then happens."""

import logging

import msgspec
import numpy as np
import pytest

import simulate
from reports.cli import main
from reports.stability import warn_if_unstable
from theory.setting import Data, Labels, Network, Setting, Training

FIXED = Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples=9, fixed=True)


def warned(setting, caplog):
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="reports"):
        warn_if_unstable(setting)
    return caplog.messages


@pytest.mark.parametrize(
    ("training", "network"),
    [
        ({}, {}),
        ({"weight_decay": 0.3}, {}),
        ({"momentum": 0.9}, {}),
        ({"momentum": 0.9, "nesterov": True}, {"parametrization": "ntk"}),
    ],
)
def test_the_limit_is_where_weights_begin_to_grow(training, network, caplog):
    """Above the number that is named weights grow, below it they don't."""
    setting = Setting(data=FIXED, network=Network(**network), training=Training(learning_rate=1e6, **training))
    (message,) = warned(setting, caplog)
    limit = float(message.split("beyond ")[1].split()[0])
    assert "the weights of all replicas grow at every step" in message
    for factor, unstable in ((0.99, False), (1.01, True)):
        new = msgspec.structs.replace(setting.training, learning_rate=factor * limit, steps=(300, 600))
        near = msgspec.structs.replace(setting, training=new)
        assert bool(warned(near, caplog)) == unstable
        early, late = (np.trace(reading.second_moment) for reading in simulate.run(near, replicas=3).readings)
        assert (late > 2 * early) == unstable


def test_replicas_with_rows_of_their_own_are_judged_by_the_population(caplog):
    setting = Setting(
        data=Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples=9), training=Training(learning_rate=1.1)
    )
    assert warned(setting, caplog) == [
        "training.learning_rate = 1.1 is unstable: beyond 1 the weights of a typical replica grow at every step"
    ]
    drops = Training(learning_rate=0.5, drops=((5, 3.0), (9, 0.1)))
    assert "learning_rate = 1.5 is" in warned(msgspec.structs.replace(setting, training=drops), caplog)[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"network": Network(kind="mlp", hidden=(5,))},
        {"training": Training(learning_rate=50.0, batch_size=3)},
        {"training": Training(learning_rate=50.0, optimizer="adam")},
        {"training": Training(learning_rate=50.0, loss="cross-entropy"), "labels": Labels(kind="classes")},
    ],
)
def test_nothing_is_said_where_nothing_is_known(changes, caplog):
    settings = {"data": FIXED, "training": Training(learning_rate=50.0), **changes}
    assert warned(Setting(**settings), caplog) == []


def test_the_commands_warn_first(tmp_path, capsys):
    path = tmp_path / "s.toml"
    path.write_text(
        '[data]\nkind = "gaussian"\nspectrum = [1.0, 2.0]\nsamples = 5\nfixed = true\n'
        "[training]\nlearning_rate = 9.0\nsteps = 3\n[ensemble]\nreplicas = 20\n"
    )
    for command in ("simulate", "verify"):
        main([command, str(path), "--json"])
        assert "training.learning_rate = 9 is unstable: beyond" in capsys.readouterr().err
        main([command, str(path), "--json", "--quiet"])
        assert capsys.readouterr().err == ""
