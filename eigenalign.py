"""Does training on random labels align weights with data? The public names of the toolkit, from one import.

A setting says what is trained. Predict its result, simulate it, and compare the two:

>>> import eigenalign as ea
>>> setting = ea.Setting(
...     data=ea.Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples=40, fixed=True),
...     training=ea.Training(learning_rate=0.1, steps=20),
...     ensemble=ea.Ensemble(replicas=50_000),
... )
>>> prediction = ea.predict(setting)
>>> prediction.formula, prediction.status
('linear-full-batch', 'exact')
>>> [round(float(f), 3) for f in prediction.readings[-1].f]  # falls with the data's standard deviation
[0.253, 0.207, 0.088]
>>> simulation = ea.simulate(setting)
>>> spaces, second_moment = ea.eigenspaces(simulation.data_moment), simulation.readings[-1].second_moment
>>> [round(float(f), 2) for f in ea.transfer_function(spaces, second_moment)]
[0.25, 0.21, 0.09]
>>> round(float(ea.misalignment(spaces, second_moment)), 1)
0.0
>>> verification = ea.verify(setting)  # both, and the comparison
>>> verification.comparison[-1].verdict, verification.convinced
('holds', True)

By what you want to do:

- Describe what is trained: `Setting` of `Data` (whose laws are `PowerLaw`, `Student`, `Sphere` and `TwoPoint`),
  `Labels`, `Network`, `Training` and `Ensemble`; `load_setting` reads one from a TOML file.
- Predict, simulate, compare: `predict` (by one of the closed forms `FORMS`), `simulate`, `verify`; `merge` combines
  what several runs left in a store.
- Study transfer: `transfer` runs an `Experiment` of `Upstream` (which may have an `Until`), `Treatments` (each a
  `Treatment`) and `Downstream`; `predict_transfer` predicts the gain of its treatments before anything is trained
  downstream; `load_experiment` reads one from a TOML file.
- Study plasticity: `run_sequence` trains a `TaskSequence`, one set of random labels after another, with every `Remedy`
  that it names; `task_inputs` returns the inputs of one task.
- Examine your own network: `check` and `check_files` say whether a layer is aligned with its data. `check` also tests
  every layer of a model (a `ModelCheck`), and `check_over` does so at the checkpoints of one run; `monitor` gives a
  number to log while a layer trains, and `watch` gives one for every layer of a model.
- Ask what f is made of: `decompose` splits the closed forms into initial weights times a factor and what training has
  written; `estimated_parts` estimates both parts for networks whose initial weights are known (`initial_overlaps` reads
  them from an ensemble); `fit_shape` describes f by two numbers.
- Compare weights with gradients: `feature_matrix` is *W*ᵀ*W*, and `gradient_outer_product` the average gradient outer
  product; `fit_ansatz` tells how well a power of one fits the other; `features` trains an ensemble and reads both.
  `aligned_part` is what the mean of a feature matrix has in common with the data, and `axis_part` how much of the rest
  lies along the axes, to be compared with `axis_chance`; `jackknife` gives their errors.
- Compare a pretrained network with a fresh one: `fresh_task_of_modules` and `fresh_task_of_files` predict whether it
  would learn a fresh task faster.
- Test a training of your own: `equivariance` says whether it commutes with rotations of its inputs, as the alignment
  theorem requires; `assert_equivariant` is the assertion for test suites; `alignment_after` trains an ensemble and says
  how far it is aligned.
- Test a library of your own: `assert_aligned`, `assert_contained` and `assert_holds`; strategies for hypothesis are in
  `reports.testing.strategies`.
- Start from aligned weights: `init` draws them from data, from a setting, or from a law returned by `law_of_data`,
  `law_of_file`, `law_of_setting` or `law_of_store`.
- Compute with your own arrays and tensors: `eigenspaces`, `transfer_function` and `weight_variances`; `misalignment`,
  `misalignment_squared`, `null_floor` and `closest_aligned`; `symmetry_group` and `twirl`; `containment`; `overlaps`
  and `merged`.
- Test your arrays: `randomization_test`, `mean_randomization_test`, `random_basis_test`, `whole_matrix_test`;
  `misalignment_interval`, `paired_mean` and `mean_ratio` give intervals.

Bad input raises `InvalidInput`, of which `NoClosedForm` and `Diverged` are subclasses. Everything else is in the
packages `theory`, `simulate` and `reports`. Names are imported on first use: `import eigenalign` alone loads none of
these packages, and settings, computations, tests, `check` and `monitor` do not load torch.
"""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.check import Check, Monitor, check, check_files, monitor
    from reports.equivariance import (
        Discrepancy,
        Equivariance,
        TrainedAlignment,
        alignment_after,
        assert_equivariant,
        equivariance,
    )
    from reports.experiment_file import load as load_experiment
    from reports.init import WeightLaw, init, law_of_data, law_of_file, law_of_setting, law_of_store
    from reports.judging.compare import Verification
    from reports.judging.verify import predict, verify
    from reports.models import Course, ModelCheck, Watch, check_over, watch
    from reports.setting_file import load as load_setting
    from reports.testing import assert_aligned, assert_contained, assert_holds
    from reports.transfer import (
        FreshTask,
        TransferStudy,
        fresh_task_of_files,
        fresh_task_of_modules,
        predict_transfer,
        transfer,
    )
    from simulate import (
        FeatureReading,
        Features,
        InitialOverlaps,
        SequenceResult,
        SimulatedReading,
        Simulation,
        TaskCurves,
        features,
        initial_overlaps,
        merge,
        run_sequence,
        task_inputs,
    )
    from simulate import run as simulate
    from theory import (
        FORMS,
        Containment,
        Eigenspaces,
        PredictedReading,
        Prediction,
        SymmetryGroup,
        closest_aligned,
        containment,
        eigenspaces,
        merged,
        misalignment,
        misalignment_squared,
        null_floor,
        overlaps,
        symmetry_group,
        transfer_function,
        twirl,
        weight_variances,
    )
    from theory.decomposition import Decomposition, EstimatedParts, ShapeFit, decompose, estimated_parts, fit_shape
    from theory.errors import Diverged, InvalidInput, NoClosedForm
    from theory.features import (
        Ansatz,
        aligned_part,
        axis_chance,
        axis_part,
        feature_matrix,
        fit_ansatz,
        gradient_outer_product,
        jackknife,
    )
    from theory.setting import (
        Data,
        Downstream,
        Ensemble,
        Experiment,
        Labels,
        Network,
        PowerLaw,
        Remedy,
        Setting,
        Sphere,
        Student,
        TaskSequence,
        Training,
        Treatment,
        Treatments,
        TwoPoint,
        Until,
        Upstream,
    )
    from theory.testing import (
        MeanRatio,
        MisalignmentInterval,
        PairedMean,
        RandomBasisTest,
        RandomizationTest,
        WholeMatrixTest,
        mean_randomization_test,
        mean_ratio,
        misalignment_interval,
        paired_mean,
        random_basis_test,
        randomization_test,
        whole_matrix_test,
    )

    __version__: str

__all__ = [
    "FORMS",
    "Ansatz",
    "Check",
    "Containment",
    "Course",
    "Data",
    "Decomposition",
    "Discrepancy",
    "Diverged",
    "Downstream",
    "Eigenspaces",
    "Ensemble",
    "Equivariance",
    "EstimatedParts",
    "Experiment",
    "FeatureReading",
    "Features",
    "FreshTask",
    "InitialOverlaps",
    "InvalidInput",
    "Labels",
    "MeanRatio",
    "MisalignmentInterval",
    "ModelCheck",
    "Monitor",
    "Network",
    "NoClosedForm",
    "PairedMean",
    "PowerLaw",
    "PredictedReading",
    "Prediction",
    "RandomBasisTest",
    "RandomizationTest",
    "Remedy",
    "SequenceResult",
    "Setting",
    "ShapeFit",
    "SimulatedReading",
    "Simulation",
    "Sphere",
    "Student",
    "SymmetryGroup",
    "TaskCurves",
    "TaskSequence",
    "TrainedAlignment",
    "Training",
    "TransferStudy",
    "Treatment",
    "Treatments",
    "TwoPoint",
    "Until",
    "Upstream",
    "Verification",
    "Watch",
    "WeightLaw",
    "WholeMatrixTest",
    "aligned_part",
    "alignment_after",
    "assert_aligned",
    "assert_contained",
    "assert_equivariant",
    "assert_holds",
    "axis_chance",
    "axis_part",
    "check",
    "check_files",
    "check_over",
    "closest_aligned",
    "containment",
    "decompose",
    "eigenspaces",
    "equivariance",
    "estimated_parts",
    "feature_matrix",
    "features",
    "fit_ansatz",
    "fit_shape",
    "fresh_task_of_files",
    "fresh_task_of_modules",
    "gradient_outer_product",
    "init",
    "initial_overlaps",
    "jackknife",
    "law_of_data",
    "law_of_file",
    "law_of_setting",
    "law_of_store",
    "load_experiment",
    "load_setting",
    "mean_randomization_test",
    "mean_ratio",
    "merge",
    "merged",
    "misalignment",
    "misalignment_interval",
    "misalignment_squared",
    "monitor",
    "null_floor",
    "overlaps",
    "paired_mean",
    "predict",
    "predict_transfer",
    "random_basis_test",
    "randomization_test",
    "run_sequence",
    "simulate",
    "symmetry_group",
    "task_inputs",
    "transfer",
    "transfer_function",
    "twirl",
    "verify",
    "watch",
    "weight_variances",
    "whole_matrix_test",
]


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


@cache
def _homes() -> dict[str, tuple[str, str]]:
    """For every name its module, and what it is called there.

    They are read from the imports above, which cannot be run without loading everything. Type checkers and editors need
    these imports anyway, and a table would be a second list to maintain.
    """
    tree = ast.parse(inspect.getsource(sys.modules[__name__]))
    blocks = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {
        alias.asname or alias.name: (str(statement.module), alias.name)
        for statement in imports
        for alias in statement.names
    }


def _get(name: str) -> Any:
    """The object of a public name, imported when it is first requested."""
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            found = version(__name__)
        except PackageNotFoundError:
            raise AttributeError(f"{__name__!r} is not installed, and only what is installed has a version") from None
    elif name in __all__:
        module, there = _homes()[name]
        found = getattr(import_module(module), there)
    else:
        from difflib import get_close_matches

        close = get_close_matches(name, __all__)
        near = f" (near it: {', '.join(close)})" if close else ""
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{near}")
    globals()[name] = found
    return found


if not TYPE_CHECKING:  # a type checker that sees a __getattr__ takes every name to be there
    __getattr__ = _get

if __name__ == "__main__":
    from reports.cli import main

    sys.exit(main())
