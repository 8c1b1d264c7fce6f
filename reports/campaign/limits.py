"""Where the theory stops: printed on the pages of every report."""

LIMITS = (
    "Closed forms of $f$ exist for linear models at every time, and for networks of one hidden layer: their first step "
    "at every width (F3), any time near the kernel limit up to order $1/m$ (F4). Away from that limit the theory of "
    "the shape fails, and F6 shows where: networks come down at large $\\sigma$ where the theory only rises. For other "
    "networks the theorem predicts alignment, not the values of $f$: their shapes are seen (B3, B5), not derived, and "
    "F7 takes the values from a smaller network, a surrogate that is measured and not proved.",
    "The sign of transfer is derived for linear models (T1) and in the kernel regime (F5); F8 shows how far such signs "
    "reach. What transfer does in networks that leave that regime is measured (C1 to C4), not derived; its sign over "
    "the first epochs is that of each network's own linearisation, as far as C5 counts it.",
    "Digits and photographs are not invariant under the group that commutes with their second moment, and neither are "
    "the activations that a deeper layer sees. Their misalignment is an estimate beside what sampling alone and random "
    "bases would give. That weights are nearer to the data's eigenvectors than to random bases is judged; no verdict "
    "on the theorem follows.",
    "$M$ is biased upwards by sampling: it is read against its floor, never against zero. A test that does not reject "
    "is worth what it would have found, which stands beside it in the table of findings.",
)
