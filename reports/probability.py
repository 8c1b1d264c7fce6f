"""How a probability is printed: no smaller than a test resolves."""

from __future__ import annotations

# The smallest p-value that is printed: a smaller one is a property of the approximation rather than of the data.
SMALLEST = 1e-16


def in_words(p: float) -> str:
    """A probability in a sentence.

    >>> in_words(0.0123), in_words(1.4e-69)
    ('0.012', 'below 1e-16')
    """
    return f"below {SMALLEST:g}" if p < SMALLEST else f"{p:.2g}"
