"""Gaussian rows: the spectra, optimizers and the setting that tests of averages over them share."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from theory.setting import Data, Network, Setting, Training

LINEAR = np.linspace(0.1, 3, 30)
POWER = 3 / np.arange(1.0, 31)
spectra = st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0, 2.0, 5.0]), min_size=1, max_size=8).filter(any)
OPTIMIZERS: dict[str, dict] = {
    "descent": {},
    "decay": {"weight_decay": 0.2},
    "drops": {"drops": ((5, 0.5), (20, 0.5))},
    "heavy ball": {"momentum": 0.7},
    "nesterov": {"momentum": 0.8, "nesterov": True, "weight_decay": 0.05},
}
BASE = Setting(
    data=Data(kind="gaussian", spectrum=tuple(LINEAR), samples=60),
    network=Network(init_variance=0.3),
    training=Training(learning_rate=0.1, steps=(3, 20, 100)),
)
