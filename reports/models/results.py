"""The result of checking a whole model: a check per layer, and the layers that were left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reports.check.display import Displayed
from reports.check.judge import Check
from reports.counted import counted
from reports.models.agop import AgopAgreement, With, aligned_with
from reports.models.layers import Unchecked
from theory.errors import InvalidInput, unknown

if TYPE_CHECKING:
    from reports.views.view import View


@dataclass(frozen=True, eq=False)
class LayerCheck:
    """One layer of a model, or of several trainings of it.

    Attributes
    ----------
    name, kind : str
    check : Check
    network : int or None
        Which model, counted from 1, if several were given whose layers see different inputs; None if `check` covers
        all.
    note : str
        What the numbers do not show; empty for most layers.
    agop : AgopAgreement or None
        Agreement of WᵀW with the AGOP; None if it was not requested or cannot be computed.
    """

    name: str
    kind: str
    check: Check
    network: int | None = None
    note: str = ""
    agop: AgopAgreement | None = None

    @property
    def aligned_with(self) -> With:
        """Data, AGOP, both or neither; undecided without an `agop`."""
        return aligned_with(self.check.verdict, self.agop)


@dataclass(frozen=True, eq=False, repr=False)
class ModelCheck(Displayed):
    """The alignment of all layers of a model with their inputs.

    Attributes
    ----------
    layers : tuple of LayerCheck
        The layers, in the order of the model.
    unchecked : tuple of Unchecked
        Layers with weights that were left out, and why.
    samples : int
        How many samples of the data were read.
    networks : int
        How many models were given.
    notes : tuple of str
        What was assumed about the model.
    against : "data" or "agop"
        What the layers were compared with: the data alone, or the gradients of the outputs, too.
    """

    layers: tuple[LayerCheck, ...]
    unchecked: tuple[Unchecked, ...]
    samples: int
    networks: int = 1
    notes: tuple[str, ...] = ()
    against: str = "data"

    def __getitem__(self, name: str) -> Check:
        """The check of a layer; that of the first network, if each has its own."""
        for layer in self.layers:
            if layer.name == name:
                return layer.check
        known = dict.fromkeys(layer.name for layer in self.layers)
        raise InvalidInput("layer", name, unknown(name, "a checked layer", known) if known else "no layer was checked")

    @property
    def verdicts(self) -> Counter[str]:
        """How many layers have each verdict."""
        return Counter(layer.check.verdict for layer in self.layers)

    def meets(self, verdict: str) -> bool:
        """Whether every checked layer has this verdict, and at least one layer was checked."""
        return bool(self.layers) and set(self.verdicts) == {verdict}

    @property
    def summary(self) -> str:
        """The result in one sentence."""
        if not self.layers:
            return f"No layer was checked; {len(self.unchecked)} left out."
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in self.verdicts.most_common())
        of = counted(len({layer.name for layer in self.layers}), "layer")
        many = f" of {self.networks} networks" if self.networks > 1 else ""
        one_by_one = any(layer.network is not None for layer in self.layers)
        checks = f", {len(self.layers)} checks" if one_by_one else ""
        left = f"; {len(self.unchecked)} left out" if self.unchecked else ""
        return f"{of}{many} on {counted(self.samples, 'sample')}{checks}: {verdicts}{left}."

    def _headline(self) -> str:
        return self.summary

    def _view(self) -> View:
        from reports.views.models import view

        return view(self)

    def _fragment(self) -> str:
        from reports.views.models_page import fragment

        return fragment(self)

    def _rows(self) -> Sequence[dict[str, Any]]:
        return [{key: value for key, value in row.items() if key != "check"} for row in self.to_dict()["layers"]]
