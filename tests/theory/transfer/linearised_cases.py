"""Trainings, batches and labels on which linearised training is tested."""

from __future__ import annotations

import numpy as np
import torch

from tests.theory.small_networks import OUTPUTS, REPLICAS, ROWS, classes
from theory.setting import Training

EXACT = {"rtol": 1e-10, "atol": 1e-10}
STEPS = (0, 1, 7)
ENTROPY = Training(loss="cross-entropy", learning_rate=0.2, momentum=0.9, batch_size=4, steps=STEPS)
TRAININGS = {
    "cross-entropy, momentum, batches": ENTROPY,
    "cross-entropy, whole": Training(loss="cross-entropy", learning_rate=0.3, steps=STEPS),
    "nesterov, decay, drops": Training(
        loss="cross-entropy",
        learning_rate=0.2,
        momentum=0.8,
        nesterov=True,
        weight_decay=0.05,
        drops=((2, 0.5), (5, 0.1)),
        batch_size=4,
        steps=STEPS,
    ),
    "squared error, momentum, batches": Training(learning_rate=0.02, momentum=0.5, batch_size=4, steps=STEPS),
    "squared error, l1": Training(learning_rate=0.02, l1=0.05, steps=STEPS),
    "adam": Training(loss="cross-entropy", learning_rate=0.02, optimizer="adam", batch_size=4, steps=STEPS),
    "rmsprop, decay": Training(learning_rate=0.01, optimizer="rmsprop", weight_decay=0.1, steps=STEPS),
    "signsgd": Training(loss="cross-entropy", learning_rate=0.01, optimizer="signsgd", batch_size=4, steps=STEPS),
}


def orders(training, seed=3, n=ROWS):
    """Batches (R, T, B) where the training has them."""
    if training.batch_size == "full":
        return None
    generator = np.random.default_rng(seed)
    return torch.from_numpy(generator.integers(0, n, (REPLICAS, training.readings[-1], training.batch_size)))


def labels_of(training, seed, n=ROWS):
    if training.loss == "cross-entropy":
        return classes(seed, n=n)
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((REPLICAS, n, OUTPUTS)))
