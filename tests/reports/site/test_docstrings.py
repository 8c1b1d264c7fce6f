"""Docstrings of the reference: what Markdown would take for a tag, what is inherited from elsewhere, long values."""

from typing import Protocol

import pytest
import torch
from pdoc.doc import Class

from reports.site.docstrings import forget_foreign, hold_signs, kept_lines, release_signs, short_value


@pytest.mark.parametrize("text", ["Σ_{s<t} a", "a <b", "<!-- c", "`<math>` and x < y", "1 <= 2"])
def test_no_tag_is_left_and_no_sign_is_lost(text):
    held = hold_signs(text)
    assert "<" not in held.replace("< ", "").replace("<=", "")
    assert str(release_signs(held)).replace("&lt;", "<") == text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("(np.float64(0.4), np.int64(2))", "(0.4, 2)"),
        ("'a'", "'a'"),
        ("x" * 300, "x" * 300),
        ("x" * 301, ""),
        ("{'relu': <built-in method relu of type object>}", ""),
        ("(functools.partial(f),)", ""),
        ("<Logger simulate (WARNING)>", ""),
        ("PosixPath('/home/me')", ""),
    ],
)
def test_values(value, shown):
    assert short_value(value) == shown


def test_lines_that_click_keeps():
    assert (
        kept_lines("Text.\n\n\b\n  # a comment\n  command\n\nMore.")
        == "Text.\n\n```text\n# a comment\ncommand\n```\n\nMore."
    )


class _Layer(torch.nn.Module):
    """A layer."""

    def forward(self, x):
        return x

    def extra_repr(self):
        """Its own words."""
        return ""


class _Wider(_Layer):
    """Inherits from a class of the same module."""

    def extra_repr(self):
        return "wider"


class _Protocol(Protocol):
    """What a layer has."""

    size: int


class _Module:
    """The part of pdoc's module that the site reads."""

    def __init__(self, *classes):
        self.flattened_own_members = [
            Class(__name__, each.__qualname__, each, (__name__, each.__qualname__)) for each in classes
        ]


def test_docstrings_of_other_libraries_are_not_repeated(monkeypatch):
    monkeypatch.setattr("reports.site.docstrings.OURS", ("tests",))
    module = _Module(_Layer, _Wider, _Protocol)
    layer, wider, protocol = module.flattened_own_members
    assert "overridden by all subclasses" in layer.members["forward"].docstring
    forget_foreign(module)
    assert layer.members["forward"].docstring == ""
    names = [member.name for member in protocol.own_members]
    assert "size" in names
    assert "__init__" not in names
    assert layer.members["extra_repr"].docstring == wider.members["extra_repr"].docstring == "Its own words."
