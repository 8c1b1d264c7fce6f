"""What was done to the rows of a data set before anything was trained on them."""

from __future__ import annotations

from reports.counted import counted
from reports.views.view import View, wrapped
from theory.setting import Setting
from theory.setting.data import SYNTHETIC


def with_data(view: View, setting: Setting) -> View:
    """A view that ends with a line on the rows, where they are real; its JSON value stays as it is."""
    return View(view.value, [*view.sections, wrapped(prepared(setting))]) if prepared(setting) else view


def prepared(setting: Setting) -> str:
    """How many rows of a real data set a replica sees, and whether they were centred and scaled; "" for a law.

    >>> from theory.setting import Data
    >>> prepared(Setting(data=Data(kind="array", path="/tmp/x.npy", samples=40, scale=False)))
    'data: 40 rows; the mean was subtracted (data.center), the scale was kept (data.scale = false)'
    """
    data = setting.data
    if data.kind in SYNTHETIC:
        return ""
    centred = "the mean was subtracted (data.center)" if data.center else "the mean was kept (data.center = false)"
    scaled = {
        True: "all rows were divided by one number, their root mean square (data.scale)",
        False: "the scale was kept (data.scale = false)",
        "channels": "every channel was divided by its root mean square (data.scale)",
    }[data.scale]
    return f"data: {counted(data.sample_count, 'row')}; {centred}, {scaled}"
