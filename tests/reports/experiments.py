"""A transfer experiment as a file."""

from __future__ import annotations

UPSTREAM = """
[upstream.data]
kind = "digits"
samples = 60
[upstream.labels]
kind = "classes"
[upstream.network]
kind = "mlp"
hidden = [80, 6]
[upstream.training]
loss = "cross-entropy"
learning_rate = 0.1
batch_size = 20
steps = 30
"""
REST = """
[treatment]
kinds = ["scratch", "pretrained", { kind = "first-layers", layers = 1 }, "covariance"]
[downstream]
samples = 50
held_out = 20
target = 0.3
[downstream.labels]
kind = "real"
[downstream.training]
loss = "cross-entropy"
learning_rate = 0.1
batch_size = 25
steps = [0, 4, 8]
[ensemble]
replicas = 4
seed = 1
"""
