"""The vocabulary of successive tasks: one network, successive sets of random labels, and remedies in between."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from theory.checked import Checked, any_of, require
from theory.setting.setting import Setting

RemedyKind = Literal["none", "anew", "decay", "rescaled", "revived"]
RANDOM = ("gaussian", "rademacher", "classes")  # the kinds of labels that can be drawn anew for every task


class Remedy(Checked, frozen=True, kw_only=True):
    """What is done to a network against the loss of plasticity, W⁰ being its weights before the first task.

    ``none``: the network continues as the last task has left it.
    ``anew``: every task starts from new initial weights, as if nothing had been trained.
    ``decay``: ½ `strength` ‖W − W⁰‖² is added to the loss, in every task and for every trained parameter; the gradients
    of training.weight_decay and training.l1 are also added if the setting has them.
    ``rescaled``: between tasks every layer is multiplied by ‖W⁰‖/‖W‖ (Frobenius norms). Biases of layer l are
    multiplied by the factors of layers 1 … l, so that the function of a ReLU network changes only by a factor.
    ``revived``: between tasks every hidden unit that is 0 on all rows of the last task is redrawn: incoming weights as
    at initialization, bias 0, and outgoing weights 0, so that the outputs on these rows stay what they are.
    """

    table: ClassVar[str] = "remedy"
    kind: RemedyKind
    strength: float = 0.0

    def check(self) -> None:
        known = (self.strength > 0) == (self.kind == "decay")
        self.require(known, "strength", "must be positive for 'decay', and is 0 for every other remedy")

    @property
    def name(self) -> str:
        """The kind, with the options chosen.

        >>> Remedy(kind="decay", strength=0.01).name
        'decay 0.01'
        """
        return f"{self.kind} {self.strength:g}" if self.strength else self.kind


class TaskSequence(Checked, frozen=True, kw_only=True):
    """A network trained on `count` tasks one after the other; every task draws its own labels from the same law.

    Attributes
    ----------
    task : Setting
        One task, with its ensemble; the first task is exactly this setting. The optimizer is reset for every task.
    count : int
        k, the number of tasks.
    rows : "same" or "fresh"
        Whether all tasks of a replica share the rows of the first task, or each draws its own. From a finite set, the
        rows of one task are distinct, and those of two tasks may overlap.
    remedies : tuple of Remedy
        The remedies, compared on the same rows, labels, batches and first initial weights; a plain kind stands for its
        defaults.

    Examples
    --------
    >>> from theory.setting import Data, Network
    >>> task = Setting(data=Data(kind="gaussian", spectrum=(1.0, 2.0), samples=8), network=Network(kind="mlp"))
    >>> sequence = TaskSequence(task=task, remedies=("none", {"kind": "decay", "strength": 0.1}))
    >>> [remedy.name for remedy in sequence.each]
    ['none', 'decay 0.1']
    """

    table: ClassVar[str] = "sequence"
    task: Setting
    count: int = 10
    rows: Literal["same", "fresh"] = "same"
    remedies: tuple[RemedyKind | Remedy, ...] = ("none", "anew")

    def check(self) -> None:
        self.require(self.count >= 1, "count", "must be at least 1")
        each = tuple(kind if isinstance(kind, Remedy) else Remedy(kind=kind) for kind in self.remedies)
        msgspec.structs.force_setattr(self, "remedies", each)
        names = [remedy.name for remedy in each]
        self.require(len(each) > 0, "remedies", "must name at least one, such as 'none'")
        self.require(len(set(names)) == len(names), "remedies", "must not repeat a remedy", names)
        data, labels, network = self.task.data, self.task.labels, self.task.network
        rule = f"must be drawn for every task: {any_of(RANDOM)}"
        require(labels.kind in RANDOM, "sequence.task.labels.kind", labels.kind, rule)
        require(data.samples != "online", "sequence.task.data.samples", data.samples, "must be a number")
        self.require(self.rows == "same" or not data.fixed, "rows", "must be 'same' where data.fixed is true")
        rule = "must not be 'resnet': remedies act on layers alone, and normalisations lie between them"
        require(network.kind != "resnet", "sequence.task.network.kind", network.kind, rule)
        revived = any(remedy.kind == "revived" for remedy in each)
        known = network.kind == "mlp" and network.activation == "relu" and network.train == "all"
        rule = "'revived' needs dense layers of ReLU units, all of them trained"
        self.require(known or not revived, "remedies", rule, (network.kind, network.activation, network.train))

    @property
    def each(self) -> tuple[Remedy, ...]:
        """The remedies, in order."""
        return tuple(remedy for remedy in self.remedies if isinstance(remedy, Remedy))
