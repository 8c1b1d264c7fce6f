"""How a probability is printed: no smaller than a test resolves."""

from __future__ import annotations

SMALLEST = 1e-16  # below it the number is a property of the approximation rather than of the data


def in_words(p: float) -> str:
    """A probability in a sentence.

    >>> in_words(0.0123), in_words(1.4e-69)
    ('0.012', 'below 1e-16')
    """
    return f"below {SMALLEST:g}" if p < SMALLEST else f"{p:.2g}"
