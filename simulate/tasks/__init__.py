"""Successive random-label tasks: one network trained on one set of random labels after another, in pairs of remedies.

`run_sequence` trains everything and returns a `SequenceResult`, whose arrays have one row per replica and one column
per task; `task_inputs` returns the rows, labels, batches and new initial values of one task. Remedies, which act
between tasks or during them, are described in `theory.setting.Remedy`:

    sequence = TaskSequence(task=setting, count=10, remedies=("none", "rescaled", {"kind": "decay", "strength": 0.01}))
    result = simulate.run_sequence(sequence)
    gain = result["rescaled"].end_accuracy - result["none"].end_accuracy  # (R, k), paired
    result["none"].alive[:, :, -1]  # (R, k): units of the last hidden layer that are alive where each task begins
"""

from simulate.tasks.results import SequenceResult, TaskCurves
from simulate.tasks.sequence import run_sequence, task_inputs, train_towards

__all__ = ["SequenceResult", "TaskCurves", "run_sequence", "task_inputs", "train_towards"]
