"""Where the theory stops: printed on the pages of every report."""

# Where the theory stops, one paragraph each, in this order; math stands between dollar signs.
LIMITS = (
    "Closed forms of $f$ exist for linear models at every time, and for networks of one hidden layer: their first step "
    "at every width (F3), any time near the kernel limit up to order $1/m$ (F4). Away from that limit the theory of "
    "order $1/m$ fails, and F6 shows where: $f$ of networks falls at large $\\sigma$, where that theory only rises. "
    "There closed equations, solved numerically, give $\\tau$ where rows and dimensions are many (F9). For other "
    "networks the theorem predicts alignment, not the values of $f$: their shapes are measured (B3, B5), not "
    "derived, and F7 takes the values from a smaller network, a surrogate that is measured, not proved.",
    "The sign of transfer is derived for linear models (T1) and in the kernel regime (F5); F8 shows how far such signs "
    "hold. In networks outside that regime transfer is measured (C1 to C4), not derived; C5 counts how often its sign "
    "over the first epochs is that of each network's own linearisation.",
    "Digits and photographs are not invariant under the group that commutes with their second moment, and neither are "
    "the activations before a deeper layer. Their misalignment is reported next to its values for sampling noise alone "
    "and for random bases. The report judges whether weights are closer to the data's eigenvectors than to random "
    "bases; this is no verdict on the theorem.",
    "$M$ is biased upwards by sampling: compare it with its floor, never with zero. A test that does not reject is "
    "informative only through its power, which the table of findings gives.",
)
