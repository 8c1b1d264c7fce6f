"""A training function, run on transformed and on original inputs with the same draws: does it commute with the group?

The effect of rounding is measured in the same run: the inputs are transformed there and back, which changes only their
last digits, and the training is repeated. The deviation from a symmetry may be as large as the resulting change, and no
larger.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from reports.equivariance.groups import Action, GroupKind, draw_action, group_of
from theory.errors import InvalidInput

ROUNDING = 100.0  # an equivariant training misses the symmetry by at most this many times the effect of rounding
BROKEN = 1000.0  # a training that breaks the symmetry misses it by more than this many times the effect of rounding
LARGEST_NOISE = 1e-3  # the effect of rounding, relative to what training changes, above which nothing can be said
LEAST = 10.0  # the least effect of rounding that is assumed, in units in the last place

Train = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Discrepancy:
    """The largest deviation over rotations from the symmetry in one precision, and the effect of rounding.

    Both are Frobenius norms of differences of the trained weights, relative to how far training has moved them.
    """

    dtype: str
    symmetry: float
    rounding: float


@dataclass(frozen=True)
class Equivariance:
    """Whether a training commutes with a group.

    Attributes
    ----------
    group : "rotations", "channels" or "tokens"
    precisions : tuple of Discrepancy
        The finest first; the verdict is based on it.
    repeated : float
        The difference between two runs on the same inputs with the same seed.
    detectable : float
        The smallest break that would have been detected, relative to how far training moves the weights.
    verdict : "equivariant", "broken" or "undecided"
    explanation : str
    """

    group: GroupKind
    precisions: tuple[Discrepancy, ...]
    repeated: float
    detectable: float
    verdict: Literal["equivariant", "broken", "undecided"]
    explanation: str

    def __str__(self) -> str:
        lines = [f"{self.verdict}: {self.explanation}"]
        lines += [f"  {p.dtype:<8} misses by {p.symmetry:.1e}, rounding {p.rounding:.1e}" for p in self.precisions]
        return "\n".join(lines)


def equivariance(
    train: Train,
    inputs: Any,
    weights: Any,
    *,
    group: str | None = None,
    rotations: int = 3,
    seed: int = 0,
    precisions: Sequence[Literal["float64", "float32"]] = ("float64", "float32"),
) -> Equivariance:
    """Whether training on transformed inputs from transformed first-layer weights gives the transformed weights.

    The alignment theorem requires this for rotations: if it holds, and the law of inputs and labels is invariant, the
    covariance of the weights aligns with that of the inputs (theory/derivations.md, section 3.0).

    Parameters
    ----------
    train : callable
        ``train(inputs, weights)`` builds the network with these first-layer weights, trains it, and returns the trained
        first-layer weights. It draws everything else from the global generators of Python, NumPy and torch, which get
        the same seeds before every call and are restored afterwards. Labels may be drawn inside, or belong to the rows.
    inputs : Tensor or ndarray
        Rows (..., d), images (n, C, ...), or integer tokens of any shape; `train` gets the same kind.
    weights : Tensor, ndarray, or tuple of int
        Initial first-layer weights (m, d), (m, C, kh, kw), or an embedding (V, features); if a shape, they are drawn
        from N(0, 1/fan-in), which is invariant.
    group : "rotations", "channels" or "tokens", optional
        What is transformed: the last axis, the channels of images and filters, or the names of tokens; by default, what
        fits.
    rotations : int
        How many elements of the group are drawn.
    seed : int
    precisions : sequence of "float64" and "float32"
        Precisions in which `train` is run, the finest first. A break has the same size in both; rounding errors do not.

    Raises
    ------
    InvalidInput
        If shapes do not fit, or training returns weights of another shape, not finite, or unchanged.

    Examples
    --------
    >>> import torch
    >>> def train(x, weights, optimizer=torch.optim.SGD):
    ...     model = torch.nn.Sequential(torch.nn.Linear(6, 8, bias=False), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    ...     model.to(x.dtype)[0].weight.data.copy_(weights)
    ...     labels, steps = torch.randn(len(x), 1, dtype=x.dtype), optimizer(model.parameters(), lr=0.01)
    ...     for _ in range(10):
    ...         steps.zero_grad()
    ...         (model(x) - labels).square().mean().backward()
    ...         steps.step()
    ...     return model[0].weight
    >>> x = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
    >>> equivariance(train, x, (8, 6)).verdict
    'equivariant'
    >>> equivariance(lambda x, w: train(x, w, torch.optim.Adam), x, (8, 6)).verdict
    'broken'
    """
    if rotations < 1:
        raise InvalidInput("rotations", rotations, "must be at least 1")
    if not precisions:
        raise InvalidInput("precisions", precisions, "must name at least one")
    generator = np.random.default_rng(seed)
    plain = _tensor(inputs, "inputs")
    start = _initial(weights, generator).to(plain.device)
    kind = group_of(plain, start, group)
    actions = [draw_action(kind, start, generator) for _ in range(rotations)]
    run = Runs(train, seed, isinstance(inputs, np.ndarray))
    found, repeats = [], []
    for name in precisions:
        dtype = getattr(torch, name)
        x = plain.to(dtype) if kind != "tokens" else plain
        found.append(_discrepancy(run, x, start.to(dtype), actions, name))
        repeats.append(run.repeated)
    return _judged(kind, tuple(found), max(repeats))


def assert_equivariant(train: Train, inputs: Any, weights: Any, **options: Any) -> None:
    """Raise AssertionError unless `equivariance` finds the training equivariant; for test suites."""
    found = equivariance(train, inputs, weights, **options)
    assert found.verdict == "equivariant", str(found)


class Runs:
    """The training function with the same seed every time, on tensors or arrays, whichever the inputs were."""

    def __init__(self, train: Train, seed: int, arrays: bool) -> None:
        self.train = train
        self.seed = seed
        self.arrays = arrays
        self.repeated = 0.0

    def __call__(self, inputs: Tensor, weights: Tensor) -> Tensor:
        given = (inputs.clone(), weights.clone())
        with _seeded(self.seed):
            trained = self.train(*(part.numpy() for part in given) if self.arrays else given)
        found = _tensor(trained, "trained weights").to(weights.device, torch.float64)
        if found.shape != weights.shape:
            raise InvalidInput("trained weights.shape", tuple(found.shape), f"must be {tuple(weights.shape)}")
        if not bool(torch.isfinite(found).all()):
            raise InvalidInput("trained weights", "nan or inf", "must be finite: train for fewer steps")
        return found


def _discrepancy(run: Runs, x: Tensor, w: Tensor, actions: Sequence[Action], dtype: str) -> Discrepancy:
    base = run(x, w)
    moved = float(torch.linalg.norm(base - w))
    if moved == 0:
        raise InvalidInput("train", "weights as they were", "must change the first-layer weights that it is given")
    run.repeated = float(torch.linalg.norm(run(x, w) - base)) / moved
    symmetry, rounding = [], []
    for action in actions:
        turned_x, turned_w = action.on_inputs(x), action.on_weights(w)
        symmetry.append(torch.linalg.norm(run(turned_x, turned_w) - action.on_weights(base)))
        back = action.inverse
        rounding.append(torch.linalg.norm(run(back.on_inputs(turned_x), back.on_weights(turned_w)) - base))
    least = LEAST * torch.finfo(w.dtype).eps * max(1.0, float(torch.linalg.norm(base)) / moved)
    return Discrepancy(
        dtype=dtype,
        symmetry=float(max(symmetry)) / moved,
        rounding=max(float(max(rounding)) / moved, run.repeated, least),
    )


def _judged(kind: GroupKind, precisions: tuple[Discrepancy, ...], repeated: float) -> Equivariance:
    finest = precisions[0]
    detectable = ROUNDING * finest.rounding
    verdict: Literal["equivariant", "broken", "undecided"]
    if finest.rounding > LARGEST_NOISE and repeated > LARGEST_NOISE:
        verdict, why = "undecided", (
            f"two runs on the same inputs differ by {repeated:.1e}; draw everything from the global generators, which "
            "are seeded before every call, and build every module anew in it"
        )  # fmt: skip
    elif finest.rounding > LARGEST_NOISE:
        verdict, why = "undecided", (
            f"rounding alone changes what is learned by {finest.rounding:.1e}; train for fewer steps, at a lower "
            "learning rate, or in higher precision"
        )  # fmt: skip
    elif finest.symmetry <= detectable:
        verdict, why = "equivariant", (
            f"training commutes with {_NAMES[kind]}; a break of {detectable:.1e} of what is learned would have been "
            "found"
        )  # fmt: skip
    elif finest.symmetry > BROKEN * finest.rounding:
        verdict, why = "broken", (
            f"training does not commute with {_NAMES[kind]}: it misses by {finest.symmetry:.1e} of what is learned"
        )  # fmt: skip
    else:
        verdict, why = "undecided", (
            f"it misses by {finest.symmetry:.1e}, {finest.symmetry / finest.rounding:.0f} times the effect of rounding"
        )  # fmt: skip
    return Equivariance(kind, precisions, repeated, detectable, verdict, why)


_NAMES: dict[GroupKind, str] = {
    "rotations": "rotations of the inputs",
    "channels": "rotations of the channels",
    "tokens": "permutations of the tokens",
}


def _tensor(value: Any, name: str) -> Tensor:
    if isinstance(value, Tensor):
        return value.detach()
    try:
        return torch.from_numpy(np.array(value))
    except (TypeError, ValueError):
        raise InvalidInput(name, type(value).__name__, "must be a tensor or an array of numbers") from None


def _initial(weights: Any, generator: np.random.Generator) -> Tensor:
    if not isinstance(weights, tuple):
        return _tensor(weights, "weights").to(torch.float64)
    if len(weights) < 2 or not all(isinstance(side, int) and side > 0 for side in weights):
        raise InvalidInput("weights", weights, "must be a shape of at least two positive sides, or an array")
    return torch.from_numpy(generator.standard_normal(weights) / np.sqrt(np.prod(weights[1:])))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """The global generators at a seed, restored afterwards."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  # what users' trainings draw from
    on_gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(devices=on_gpus):
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
