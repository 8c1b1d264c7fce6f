"""The calls: `check` for arrays and tensors, `check_files` for files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, overload

from reports.check.data import ReadSamples, open_samples, samples
from reports.check.judge import Check, judge_layer
from reports.check.moments import data_moment
from reports.check.weights import WeightVectors, filters, read_filters
from theory.errors import InvalidInput

if TYPE_CHECKING:
    from reports.models import ModelCheck


class Module(Protocol):
    """A torch.nn.Module, which can be run on data and contains modules."""

    def forward(self, *args: Any, **kwargs: Any) -> Any: ...
    def named_modules(self) -> Any: ...


@overload
def check(
    weights: Module | Mapping[str, Any] | Sequence[Module] | Sequence[Mapping[str, Any]],
    rows: Any,
    *,
    center: bool = False,
    ridge: float = 0.0,
    seed: int = 0,
    initial: Any = None,
    **of_models: Any,
) -> ModelCheck: ...


@overload
def check(
    weights: Any,
    rows: Any,
    *,
    transposed: bool = False,
    channels_last: bool = False,
    dilation: int = 1,
    group: tuple[int, int] = (1, 1),
    center: bool = False,
    ridge: float = 0.0,
    seed: int = 0,
    initial: Any = None,
) -> Check: ...


def check(
    weights: Any,
    rows: Any,
    *,
    transposed: bool = False,
    channels_last: bool = False,
    dilation: int = 1,
    group: tuple[int, int] = (1, 1),
    center: bool = False,
    ridge: float = 0.0,
    seed: int = 0,
    initial: Any = None,
    **of_models: Any,
) -> Check | ModelCheck:
    """Test whether a trained layer, or every layer of a model, is aligned with its input data.

    Parameters
    ----------
    weights : array or tensor, or a list of them
        (m, d) of a dense layer, (m, C, kh, kw) or (m, C, k) of filters. Several are independent trainings.
    weights : module or state dict, or a list of them
        A whole model: `reports.models.check_model` runs it on the data once, and takes the further options `of_models`:
        `layers`, `largest`, `device`, `forward`, `progress`. Of the options below, `center`, `ridge`, `seed` and
        `initial` (then models, too) apply.
    rows : array or tensor
        Input of the layer: (n, d) rows, or (n, C, H, W) images. For a deeper layer, the activations before it. For a
        model also a DataLoader, a Dataset, a folder of images, or batches.
    transposed : bool
        Weights are stored as (d, m) or (kh, kw, C, m).
    channels_last : bool
        Images are stored as (n, H, W, C).
    dilation : int
        Dilation of the convolution, which the weights do not determine.
    group : (j, g)
        Only the filters that see the j-th of g groups of channels.
    center : bool
        Subtract the mean of the data.
    ridge : float
        Replace Σ_w by (1 − ρ) Σ_w + ρ (tr Σ_w / d) I, for M of fewer vectors than dimensions.
    seed : int
        Seed of all random draws.
    initial : array or tensor, or a list of them
        The weights before training, as many as `weights`; the result then says how much of Σ_w stems from them.

    Raises
    ------
    InvalidInput
        If shapes do not fit, numbers are not finite, options belong to the other kind of weights, or the input allows
        no statement.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((2000, 4)) * [1.0, 2.0, 3.0, 4.0]
    >>> w = rng.standard_normal((500, 4)) * [4.0, 3.0, 2.0, 1.0]
    >>> found = check(w, x)
    >>> found.verdict, found.shape
    ('aligned', 'falls')
    """
    several = _several(weights)
    if any(isinstance(each, Mapping) or hasattr(each, "named_modules") for each in several):
        from reports.models import check_model

        if transposed or channels_last or dilation != 1 or group != (1, 1):
            rule = "transposed, channels_last, dilation and group are for the weights of one layer"
            raise InvalidInput("weights", "a model", rule)
        return check_model(weights, rows, center=center, ridge=ridge, seed=seed, initial=initial, **of_models)
    for name, value in of_models.items():
        raise InvalidInput(name, value, "is for whole models, not for the weights of one layer")
    layers, before = (
        [filters(array, transposed=transposed, group=group) for array in given]
        for given in (several, _several(initial))
    )
    if not layers:
        raise InvalidInput("weights", (), "at least one network is needed")
    stream = samples(rows, layers[0], channels_last=channels_last)
    return _judged(layers, stream, dilation, center, ridge, seed, before, progress=False)


def check_files(
    weights: Sequence[str],
    data: str,
    *,
    transposed: bool = False,
    channels_last: bool = False,
    dilation: int = 1,
    group: tuple[int, int] = (1, 1),
    center: bool = False,
    ridge: float = 0.0,
    seed: int = 0,
    initial: Sequence[str] = (),
    progress: bool = False,
) -> Check:
    """`check` for FILE[:KEY]: NumPy, safetensors, PyTorch, ONNX, HDF5, Keras; data also as a folder of images.

    Data are read in blocks; nothing in a file is ever run.
    """
    layers, before = (
        [read_filters(source, transposed=transposed, group=group) for source in given] for given in (weights, initial)
    )
    if not layers:
        raise InvalidInput("weights", (), "at least one network is needed")
    stream = open_samples(data, layers[0], channels_last=channels_last)
    return _judged(layers, stream, dilation, center, ridge, seed, before, progress)


def _several(given: Any) -> Sequence[Any]:
    """A list of arrays from one, several or none."""
    if given is None:
        return []
    return given if isinstance(given, (list, tuple)) else [given]


def _judged(
    layers: Sequence[WeightVectors],
    stream: ReadSamples,
    dilation: int,
    center: bool,
    ridge: float,
    seed: int,
    initial: Sequence[WeightVectors],
    progress: bool,
) -> Check:
    moment = data_moment(stream, dilation=dilation, progress=progress)
    return judge_layer(layers, moment.centre() if center else moment, ridge=ridge, seed=seed, initial=initial)
