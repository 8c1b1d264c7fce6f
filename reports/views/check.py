"""`eigenalign check`: the verdict, the numbers behind it, f with its intervals, and caveats."""

from __future__ import annotations

from reports.check.judge import Check
from reports.record import to_builtins
from reports.views.composition import composition_sections, composition_value, shape_law_value
from reports.views.view import Facts, Grid, Notes, Section, View, grid, wrapped


def view(check: Check) -> View:
    """The view of a check; null for numbers that are infinite or unknown. Keys may be added to `details`."""
    f = check.transfer_function
    interval = {"low": check.interval[0], "high": check.interval[1]} if check.interval else None
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
            "aligned_turned": check.aligned.turned,
            "independent_networks": check.independent,
            "related_networks": [
                {"networks": r.networks, "correlation": r.correlation, "limit": r.limit, "in_place": r.in_place}
                for r in check.related
            ],
            "misalignment_interval": interval,
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
        [function_table(check)],
        *composition_sections(check.composition, check.shape_law, f.sigma),
        [Notes(check.warnings)],
    ]
    return View(to_builtins(value), sections)


def function_table(check: Check) -> Grid:
    """f, eigenspace by eigenspace, with the ends of its 95 % intervals."""
    f = check.transfer_function
    return grid({"sigma": f.sigma, "multiplicity": f.multiplicity, "f": f.f, "from": f.low, "to": f.high})


def facts(check: Check) -> Facts:
    """All numbers but f, in the order in which they are printed."""
    basis, energy = check.random_basis, check.random_basis.quantity == "energy"
    samples = f"{check.vectors} vectors from {check.samples} samples"
    found = [
        ("weights", f"{check.independent} × {check.filters} vectors, rank {check.rank} in dimension {check.dimension}"),
        ("data", samples if check.vectors != check.samples else f"{check.samples} samples"),
        ("misalignment M", _number(check.misalignment)),
        ("random basis", f"{'energy outside alignment' if energy else 'M'} {basis.median:.3g} (median)"),
        (
            "closer than random",
            f"p = {basis.pvalue:.2g}" + ("" if basis.effect is None else f", effect {basis.effect:.2g}"),
        ),
        ("exactly aligned", f"p = {check.aligned.pvalue:.2g} ({check.aligned.turned} rotated one by one)"),
        ("isotropic", f"p = {check.isotropic:.2g}"),
        ("shape of f", check.shape or "undecided"),
    ]
    if check.null_floor is not None:
        found.insert(
            3,
            (
                "M from noise alone",
                f"{_number(check.null_floor**0.5)} (√E[M²] of as many aligned, independent vectors)",
            ),
        )
    if check.interval is not None:
        against = "" if basis.without_noise is None else f", random basis {basis.without_noise:.3g}"
        found.insert(4, ("M without noise", f"{_ends(*check.interval)} (95 % interval){against}"))
    if check.related:
        found.insert(1, ("not independent", f"{check.independent} of {check.networks} networks count"))
    if check.needed is not None:
        found.append(("more data needed", _needed(check)))
    return Facts(tuple(found))


def _needed(check: Check) -> str:
    """How many vectors, and how many trainings of this layer that is.

    >>> _rounded(41836), _rounded(316)
    (42000, 320)
    """
    vectors = _rounded(check.needed or 0)
    trainings = -(-vectors // check.filters)
    plural = "training" if trainings == 1 else "trainings"
    return f"about {vectors:,} independent vectors, that is {trainings} {plural} of this layer"


def _rounded(count: int) -> int:
    """To two digits, upwards."""
    scale = 10 ** max(len(str(count)) - 2, 0)
    return -(-count // scale) * scale


def _ends(low: float, high: float) -> str:
    return f"{low:.3g} to {high:.3g}" if high < float("inf") else f"at least {low:.3g}, with no upper bound"


def _number(value: float) -> str:
    return "infinite" if value == float("inf") else f"{value:.3g}"
