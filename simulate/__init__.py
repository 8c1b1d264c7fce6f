"""Simulated trainings: ensembles of independent replicas, batched and reproducible.

`run` trains an ensemble of a setting, and `merge` combines what several runs left in a store. `rows` and `population`
return a setting's rows and their moments. `replica_inputs` and `train` are the two halves of `run` for one batch of
replicas; the inputs may be changed between them. `run_sequence` trains networks on one set of random labels after
another, and `task_inputs` returns the inputs of one of these tasks: see `simulate.tasks`. `initial_overlaps` reads the
overlaps of trained weights with the initial ones, and `features` the gradients of outputs and loss with respect to the
rows.
"""

from simulate.ensemble import merge, population, rows, run, train
from simulate.features import FeatureReading, Features, features
from simulate.identity import digest
from simulate.initial_overlaps import InitialOverlaps, initial_overlaps
from simulate.inputs import Inputs, replica_inputs
from simulate.results import Population, SimulatedReading, Simulation
from simulate.tasks import SequenceResult, TaskCurves, run_sequence, task_inputs

__all__ = [
    "FeatureReading",
    "Features",
    "InitialOverlaps",
    "Inputs",
    "Population",
    "SequenceResult",
    "SimulatedReading",
    "Simulation",
    "TaskCurves",
    "digest",
    "features",
    "initial_overlaps",
    "merge",
    "population",
    "replica_inputs",
    "rows",
    "run",
    "run_sequence",
    "task_inputs",
    "train",
]
