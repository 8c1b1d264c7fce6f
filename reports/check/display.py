"""The display of results: printed in the format of the command, in notebooks, as dictionaries and data frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.views.view import View


class Displayed(ABC):
    """A result that prints in the format of the command; its `repr` is one line.

    >>> import numpy as np
    >>> from reports.check import check
    >>> found = check(np.eye(3)[[0, 1, 2, 0]], np.diag([1.0, 2.0, 3.0]))
    >>> found
    <Check: undecided, 4 × 3>
    >>> list(found.to_dict())[:2], str(found).split(":")[0]
    (['dimension', 'filters'], 'undecided')
    """

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._headline()}>"

    def __str__(self) -> str:
        return self._view().as_text()

    def _repr_html_(self) -> str:
        return self._fragment()

    def to_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        return self._view().value

    def to_frame(self) -> Any:
        """The table of the result as a pandas DataFrame; ImportError without pandas."""
        import pandas

        return pandas.DataFrame(list(self._rows()))

    @abstractmethod
    def _headline(self) -> str: ...

    @abstractmethod
    def _view(self) -> View: ...

    @abstractmethod
    def _fragment(self) -> str: ...

    @abstractmethod
    def _rows(self) -> Sequence[dict[str, Any]]: ...


class DisplayedCheck(Displayed):
    """The display of one layer's check, whose table is its transfer function."""

    def _headline(self) -> str:
        found: Any = self
        return f"{found.verdict}, {found.filters} × {found.dimension}"

    def _view(self) -> View:
        from reports.views.check import view

        found: Any = self
        return view(found)

    def _fragment(self) -> str:
        from reports.views.check_page import fragment

        found: Any = self
        return fragment(found)

    def _rows(self) -> Sequence[dict[str, Any]]:
        value = self.to_dict()
        details = value["details"]
        ends = zip(value["transfer_function"], details["f_low"], details["f_high"], strict=True)
        return [{**entry, "low": low, "high": high} for entry, low, high in ends]
