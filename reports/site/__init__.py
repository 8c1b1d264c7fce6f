"""The documentation as static pages that need no network: `make docs`, or `python -m reports.site`.

Pages are the Markdown files of a checkout (README, guides, derivations, with their formulas as MathML), a gallery of a
report's figures, and the reference, which pdoc draws from the docstrings. A link that leads nowhere is an error.
"""
