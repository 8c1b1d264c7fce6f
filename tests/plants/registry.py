"""All planted errors, and what no plant could turn, with the reason."""

from __future__ import annotations

from tests.plants import decomposition, features, linear, network, transfer
from tests.plants.plant import Plant

PLANTS: tuple[Plant, ...] = (*linear.PLANTS, *network.PLANTS, *transfer.PLANTS, *decomposition.PLANTS, *features.PLANTS)

# Claims whose findings come of no formula of `theory`: what they predict is a word, or 0, and stands in the claim.
# That they can say no is shown by controls in the report, or by measurements made up in the claim's own tests.
NO_FORMULA: dict[str, str] = {
    "A1": "predicts that rounding is all that differs; optimizers that are not equivariant are its controls",
    "A3": "predicts 0 outside the commutant; A4 breaks its hypotheses one by one, and must be seen to",
    "A4": "is the control of A3",
    "A5": "predicts 0 under the group that fixes μ, and a sign; the group that forgets μ is its control",
    "A6": "predicts more than by chance; untrained filters are its control",
    "A7": "predicts more than by chance, as A6",
    "A8": "predicts that rounding is all that differs, as A1; what looks at single coordinates is its control",
    "B1": "predicts that a slope is negative; weights of rank one are its control",
    "B3": "predicts that f rises",
    "B4": "predicts more than by chance; untrained layers are its control",
    "B5": "holds networks against published values; the diagonal as variances is its control",
    "B7": "holds networks against networks; patches of photographs, which are far from Gaussian, are its control",
    "C1": "predicts that transfer is positive",
    "C2": "predicts most of a gain; random bases and whitened layers are its controls",
    "C4": "predicts signs by the size of the init",
    "C8": "predicts signs of slopes and of differences; linearised training reads the very networks, as on C3's maps, "
    "and is measured with them; a new network per task is the control of slopes, shuffled signs that of predictions",
    "C6": "predicts most of a gain, and a sign; that networks gain nothing before they are trained is its control",
    "C7": "predicts most of a gain; layers without mean, covariance or rotation are its controls",
    "F7": "holds a smaller network against the full size: no formula; n far beyond d² is its control",
}

# Findings that hold, or are undecided, and that no plant of their case turns: claim, case, words of the quantity.
NOT_FINDABLE: dict[tuple[str, str, str], str] = {}
