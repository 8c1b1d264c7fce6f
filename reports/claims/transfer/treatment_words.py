"""What the treatments of pretrained weights are called, for readers of tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from theory.setting.experiment import TreatmentKind

WORDS: Mapping[TreatmentKind, str] = {
    "scratch": "all layers fresh",
    "pretrained": "all layers as trained",
    "rescaled": "all layers as trained, at their norms at init",
    "first-layers": "that many first layers as trained, or rescaled to their norms at init, with fresh ones above",
    "covariance": r"the first layer drawn from $N(0, \Sigma_w)$",
    "recursive": "the next layers drawn, too, by their variances alone",
    "rainbow": "layers drawn in turn from mean and covariance, in the basis of the layers below",
    "unrotated": "the same, not rotated into that basis",
    "eigenvectors": "the trained first layer without its covariance",
    "spectrum": r"the first layer drawn with the spectrum of $\Sigma_w$ in a random basis",
}


def legend(treatments: Iterable[str]) -> str:
    """A sentence for a caption that says what each treatment is, once per kind.

    >>> legend(["scratch", "rainbow 1", "rainbow 2"])
    'Treatments: scratch (all layers fresh); rainbow (layers drawn in turn from mean and covariance, in the basis of \
the layers below).'
    """
    kinds = {name.split()[0] for name in treatments}
    said = "; ".join(f"{kind} ({words})" for kind, words in WORDS.items() if kind in kinds)
    return f"Treatments: {said}."
