"""Signatures and titles of the reference: where their lines may break, and names of types as one writes them."""

from __future__ import annotations

import re

_TITLE = re.compile(r'<h1 class="modulename">.*?</h1>', re.DOTALL)
_LAST = re.compile(r"(?<=<wbr>)(\.(?:[^<\s]|<wbr>)+)(?=\s*</h1>)")
_SIGNATURE = re.compile(r'<div class="attr .*?</div>\s*<a class="headerlink"', re.DOTALL)
_LONG_NAME = re.compile(r"<code>(?:<a [^>]*>)?[\w.]{25,}(?:</a>)?</code>")
_TAG = re.compile(r"(<[^>]*>)")
_AFTER_DOT = re.compile(r"(?<=\w)\.(?=\w{2})")
_AFTER_SPAN = re.compile(r'(<span class="o">\.</span>|<span class="p">\[</span>)')
# numpy.typing.ArrayLike, resolved: ten lines of private names
_ARRAY_LIKE = re.compile(
    r'(?:<span class="n">typing</span><span class="o">\.</span>)?'
    r'<span class="n">Union</span><span class="p">\[</span><span class="n">numpy</span><span class="o">\.</span>'
    r'<span class="n">_typing</span>.*?<span class="n">_NestedSequence</span><span class="p">\[</span>'
    r'<span class="nb">complex</span>(?:(?!\]\]).)*\]\]'
)
_FORWARD = re.compile(
    r'<span class="n">ForwardRef</span><span class="p">\(</span><span class="s1">\'([^\']*)\'</span><span class="p">\)'
)


def with_breaks(html: str) -> str:
    """A page of pdoc whose titles break after "_", signatures after dots and brackets, and long names after dots."""
    html = _LONG_NAME.sub(lambda name: _in_text(name[0], _AFTER_DOT, ".<wbr>"), html)
    html = _TITLE.sub(lambda title: _title(title[0]), html)
    return _SIGNATURE.sub(lambda found: _signature(found[0]), html)


def _title(html: str) -> str:
    """The last name goes to a line of its own before it is broken."""
    return _LAST.sub(r'<span class="last">\1</span>', _in_text(html, re.compile("_"), "_<wbr>"))


def _signature(html: str) -> str:
    html = _ARRAY_LIKE.sub('<span class="n">ArrayLike</span><span class="p">', html)
    html = _FORWARD.sub(r'<span class="n">\1</span><span class="p">', html)
    return _in_text(_AFTER_SPAN.sub(r"\1<wbr>", html), _AFTER_DOT, ".<wbr>")


def _in_text(html: str, pattern: re.Pattern[str], new: str) -> str:
    """`html` with `pattern` replaced in its text, not in its tags."""
    return "".join(piece if number % 2 else pattern.sub(new, piece) for number, piece in enumerate(_TAG.split(html)))
