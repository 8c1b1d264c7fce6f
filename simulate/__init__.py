"""Real trainings: ensembles of independent replicas, batched, reproducible.

`run` trains an ensemble of a setting and `merge` adds up what several runs left in a store, `rows` and `population` say
what a setting's data are; `replica_inputs` and `train` are the two halves of `run` for one batch of replicas, between
which the inputs may be changed. `run_sequence` trains networks on one set of random labels after another, and
`task_inputs` are what one of these tasks is made from: see `simulate.tasks`. `initial_overlaps` reads how trained
weights overlap with the initial ones, `features` the gradients of outputs and loss by the rows.
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
