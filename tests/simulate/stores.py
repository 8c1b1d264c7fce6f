"""A small setting with an ensemble in a store, and what is compared of it."""

from theory.setting import Data, Network, Setting, Training

SETTING = Setting(
    data=Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples=9),
    network=Network(kind="mlp", hidden=(5,)),
    training=Training(steps=(1, 4), batch_size=4),
)
SHARD = 256


def content(simulation):
    """Every number of a simulation, as bytes."""
    whole = [repr((simulation.replicas, simulation.diverged, simulation.width)).encode()]
    whole.append(simulation.data_moment.tobytes())
    for reading in simulation.readings:
        whole += [array.tobytes() for array in (reading.counts, reading.second_moments, reading.means, reading.losses)]
    return whole


def shards(folder):
    return sorted(folder.rglob("shard-*.safetensors"))


TOML = """
[data]
kind = "gaussian"
spectrum = [0.5, 1.0, 2.0]
samples = 9
[network]
kind = "mlp"
hidden = [5]
[training]
steps = [1, {steps}]
batch_size = 4
[ensemble]
replicas = {replicas}
dtype = "float32"
"""


def setting_file(tmp_path, *, replicas, steps=4):
    path = tmp_path / "setting.toml"
    path.write_text(TOML.format(replicas=replicas, steps=steps))
    return path
