"""Numbers that are pinned: tables of calls, of which `tests.theory.pins` and `tests.reports.check.pins` are two."""
