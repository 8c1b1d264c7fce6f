"""What tests of transfer experiments share."""

import pytest

import simulate.transfer.experiment as engine


@pytest.fixture
def small_ranges(monkeypatch):
    """Ranges of one tile of two replicas."""
    monkeypatch.setattr(engine, "tile_size", lambda *arguments: 2)
    monkeypatch.setattr(engine, "MOST", {"cpu": 2, "cuda": 2})


@pytest.fixture
def trained_pieces(monkeypatch):
    """How many pieces were trained: upstream, and after a treatment."""
    counted = {"upstream": 0, "downstream": 0}

    def counting(name, function):
        def call(*arguments, **options):
            counted[name] += 1
            return function(*arguments, **options)

        return call

    monkeypatch.setattr(engine, "train_upstream", counting("upstream", engine.train_upstream))
    monkeypatch.setattr(engine, "read_replicas", counting("downstream", engine.read_replicas))
    return counted


@pytest.fixture
def trained_replicas(monkeypatch):
    """How many replicas were trained upstream, and how many times one downstream."""
    counted = {"upstream": 0, "downstream": 0}
    upstream, measure = engine.train_upstream, engine.read_replicas

    def trained_upstream(setting, until, inputs):
        counted["upstream"] += 1
        return upstream(setting, until, inputs)

    def measured(network, read, inputs, here, **options):
        counted["downstream"] += here.stop - here.start
        return measure(network, read, inputs, here, **options)

    monkeypatch.setattr(engine, "train_upstream", trained_upstream)
    monkeypatch.setattr(engine, "read_replicas", measured)
    return counted
