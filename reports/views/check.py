"""`eigenalign check`: the verdict, the numbers behind it, f with its intervals, and caveats."""

from __future__ import annotations

from reports.check.judge import Check, RandomBasis
from reports.check.orientation import Orientation
from reports.counted import counted
from reports.record import to_builtins
from reports.views.composition import composition_sections, composition_value, shape_law_value
from reports.views.view import Facts, Grid, Notes, Section, View, grid, wrapped

HEADS = {"sigma": "data sd sigma", "f": "weight sd f"}  # the heads of the columns of σ = √eigenvalue and f = √τ
_ROWS = 16


def view(check: Check) -> View:
    """The view of a check; null for numbers that are infinite or unknown. Keys may be added to `details`."""
    f = check.transfer_function
    orientation, mean = check.orientation, check.mean
    value = {
        "dimension": check.dimension,
        "filters": check.filters,
        "networks": check.networks,
        "rank": check.rank,
        "misalignment": check.misalignment,
        "misalignment_squared": check.misalignment_squared,
        "null_floor": check.null_floor,
        "random_basis": {"pvalue": check.random_basis.pvalue, "effect": check.random_basis.effect},
        "aligned": {"pvalue": check.aligned.pvalue, "method": check.aligned.method},
        "transfer_function": [
            {"sigma": sigma, "f": height, "multiplicity": m}
            for sigma, height, m in zip(f.sigma, f.f, f.multiplicity, strict=True)
        ],
        "verdict": check.verdict,
        "warnings": check.warnings,
        "details": {
            "explanation": check.explanation,
            "measure": check.measure,
            "orientation": {
                "effect": orientation.effect,
                "interval": _interval(orientation.interval),
                "share": orientation.share,
                "chance": orientation.chance,
                "pvalue": orientation.pvalue,
                "verdict": orientation.verdict,
            },
            "mean": mean and {"pvalue": mean.pvalue, "fixed": mean.fixed, "free": mean.free},
            "aligned_turned": check.aligned.turned,
            "independent_networks": check.independent,
            "related_networks": [
                {"networks": r.networks, "correlation": r.correlation, "limit": r.limit, "in_place": r.in_place}
                for r in check.related
            ],
            "misalignment_interval": _interval(check.interval),
            "random_basis_median": check.random_basis.median,
            "random_basis_without_noise": check.random_basis.without_noise,
            "random_basis_quantity": check.random_basis.quantity,
            "isotropic_pvalue": check.isotropic,
            "shape": check.shape,
            "f_low": f.low,
            "f_high": f.high,
            "joined": [{"low": low, "high": high, "multiplicity": m} for low, high, m in check.joined],
            "samples": check.samples,
            "vectors": check.vectors,
            "dropped": check.dropped,
            "filters_needed": check.needed,
            "shape_law": shape_law_value(check.shape_law),
            "composition": composition_value(check.composition),
        },
    }
    sections: list[Section] = [
        wrapped(f"{check.verdict}: {check.explanation}"),
        [facts(check)],
        shortened(function_table(check)),
        *composition_sections(check.composition, check.shape_law, f.sigma),
        [Notes(check.warnings)],
    ]
    return View(to_builtins(value), sections)


def function_table(check: Check) -> Grid:
    """f, eigenspace by eigenspace, with the ends of its 95 % intervals."""
    f = check.transfer_function
    columns = {"sigma": f.sigma, "multiplicity": f.multiplicity, "f": f.f, "from": f.low, "to": f.high}
    return grid(columns, HEADS)


def shortened(table: Grid) -> Section:
    """A long table in rows at equal distances, and where all of them are."""
    count = len(table.rows)
    if count <= _ROWS:
        return [table]
    kept = sorted({round(i * (count - 1) / (_ROWS - 1)) for i in range(_ROWS)})
    rows = tuple(table.rows[i] for i in kept)
    return [Grid(table.head, rows), f"{len(kept)} of {count} eigenspaces; --json lists all, --html FILE draws them"]


def facts(check: Check) -> Facts:
    """All numbers but f, in the order in which they are printed."""
    basis, orientation = check.random_basis, check.orientation
    rank = f"rank {check.rank} in dimension {check.dimension}"
    samples = f"{check.vectors} vectors from {check.samples} samples"
    found = [("weights", f"{check.independent} × {check.filters} vectors, {rank}")]
    if check.related:
        found.append(("not independent", f"{check.independent} of {check.networks} networks count"))
    found += [
        ("data", samples if check.vectors != check.samples else f"{check.samples} samples"),
        ("orientation", _orientation(orientation)),
        ("closer than random", f"p = {orientation.pvalue:.2g}"),
    ]
    if check.misalignment is None:
        found.append(("misalignment M", f"not defined for {rank}"))
    else:
        found.append(("misalignment M", f"{check.misalignment:.3g}"))
        if check.null_floor is not None:
            floor = _finite(check.null_floor**0.5, "no mean")
            found.append(("M from noise alone", f"{floor} (√E[M²] of as many aligned, independent vectors)"))
        if check.interval is not None:
            found.append(("M without noise", f"{_ends(*check.interval)} (95 % interval){_reference(basis)}"))
        found.append(("M in a random basis", f"{basis.median:.3g} (median); M is smaller with p = {basis.pvalue:.2g}"))
    turned = "filters" if check.aligned.turned == "filters" else "networks"
    found.append(("exactly aligned", f"p = {check.aligned.pvalue:.2g} ({turned} rotated one by one)"))
    if check.mean is not None:
        free = f"{check.mean.free} of {check.dimension} directions that the mean leaves free"
        found.append(("the same, with the mean", f"p = {check.mean.pvalue:.2g} ({free})"))
    found += [("isotropic", f"p = {check.isotropic:.2g}"), ("shape of f", check.shape or "undecided")]
    if check.needed is not None:
        found.append(("would decide", _needed(check)))
    return Facts(tuple(found))


def _orientation(orientation: Orientation) -> str:
    """The effect, and where it lies."""
    number = f"{orientation.effect:.2g} (1 is alignment, 0 a random basis"
    if orientation.interval is None:
        return f"{number})"
    low, high = orientation.interval
    return f"{number}; 95 % interval {low:.2g} to {high:.2g})"


def _reference(basis: RandomBasis) -> str:
    if basis.without_noise is None:
        return ""
    if basis.without_noise == 0:
        return "; cannot be measured: a random basis has 0"
    return f", random basis {basis.without_noise:.3g}"


def _needed(check: Check) -> str:
    """How many trainings of this layer, and vectors, are needed, in words.

    >>> _rounded(41836), _rounded(316)
    (42000, 320)
    """
    vectors = _rounded(check.needed or 0)
    trainings = _rounded(-(-vectors // check.filters))
    return f"about {counted(trainings, 'training')} of this layer ({counted(vectors, 'independent vector')})"


def _rounded(count: int) -> int:
    """The count to two digits, rounded up."""
    scale = 10 ** max(len(str(count)) - 2, 0)
    return -(-count // scale) * scale


def _finite(value: float, otherwise: str) -> str:
    return f"{value:.3g}" if value < float("inf") else otherwise


def _ends(low: float, high: float) -> str:
    return f"{low:.3g} to {high:.3g}" if high < float("inf") else f"at least {low:.3g}, with no upper bound"


def _interval(ends: tuple[float, float] | None) -> dict[str, float] | None:
    return {"low": ends[0], "high": ends[1]} if ends else None
