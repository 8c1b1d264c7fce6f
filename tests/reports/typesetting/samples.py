"""A made-up report that has everything a report may meet: long texts, missing and extreme numbers, odd characters."""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from reports.findings import ClaimReport, Column, Figure, Finding, Panel, Picture, Series, Table
from reports.record import ReportRecord
from reports.typesetting.document import write
from tests.paths import ROOT

PROVENANCE = {"python": "3.11.9", "numpy": "2.4.6", "torch": "2.13.0+cpu", "commit": "0123abc, with local changes"}


def sample_report() -> ReportRecord:
    """Four claims, all verdicts, all kinds of cells, panels and pictures."""
    return ReportRecord(
        budget="quick",
        seed=20060,
        device="cpu",
        claims=(_theorem(), _controls(), _shape(), _empty()),
        seconds=754.2,
        started="2026-03-01T09:30:00+00:00",
        command="eigenalign report --budget quick --seed 20060 --out my_report & # 100%",
        limits=(
            "The exact forms end at one hidden layer: for $L \\geq 3$ none is known of $\\Sigma_w$ beyond alignment.",
            "With batch normalisation the first layer is scale-free, Σ_w is then only defined up to a factor — "
            "no formula here covers it, and the ratio τ_i/τ_j² is all that could be said — 50 % of the time.",
        ),
    )


def published_tables() -> ReportRecord:
    """The published report without its figures."""
    published = json.loads((ROOT / "reports" / "published" / "results.json").read_text())
    claims = tuple(
        ClaimReport(
            **{name: claim[name] for name in ("id", "title", "statement", "reference", "method")},
            findings=tuple(Finding(**_immutable(finding)) for finding in claim["findings"]),
            tables=tuple(
                Table(table["name"], table["caption"], tuple(Column(**each) for each in table["columns"]), rows)
                for table in claim["tables"]
                for rows in [_immutable(table["rows"])]
            ),
        )
        for claim in published["claims"]
    )
    kept = {name: published[name] for name in ("budget", "seed", "device", "seconds", "started", "command")}
    return ReportRecord(**kept, claims=claims, limits=tuple(published["limits"]))


@functools.cache
def written_sample() -> Path:
    """The folder of the sample report, written once a process, without the PDF; to be read only."""
    folder = Path(tempfile.mkdtemp(prefix="eigenalign-report-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    write(sample_report(), folder, provenance=PROVENANCE, pdf=False)
    return folder


def _immutable(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _immutable(value) for name, value in content.items()}
    return tuple(map(_immutable, content)) if isinstance(content, list) else content


def _theorem() -> ClaimReport:
    spectrum = (0.1, 0.2, 0.4)
    findings = [
        Finding(
            "A3",
            f"{kind}, $n={n}$, step {step}",
            "exact",
            quantity,
            prediction,
            measurement,
            verdict,
            standard_error=error,
            pvalue=p,
            power="detects an error of 5 % with 99.97 % power",
            note=note,
            replicas=2000,
            diverged=diverged,
        )
        for kind, n, step, quantity, prediction, measurement, error, p, verdict, note, diverged in [
            ("linear, full batch", 256, 1, r"$\tau_1$", 0.004321, 0.0043187, 0.0000121, 0.85, "holds", "", 0),
            ("linear, full batch", 256, 100, r"$\tau_3$", 1.2345, 1.2361, 0.0029, 0.58, "holds", "", 0),
            (
                "linear, mini-batch of 32, shuffled epochs",
                256,
                1000,
                r"largest $|z|$ over 3 eigenspaces",
                0.0,
                2.31,
                None,
                0.0613,
                "holds",
                "Step 1000 is the last one.",
                0,
            ),
            (
                "ReLU, 2 hidden layers, momentum 0.9 & weight decay",
                512,
                100,
                r"$\|\mathrm{E}[w]\|$",
                0.0,
                3.2e-4,
                1.1e-4,
                0.0038,
                "undecided",
                "The run is too small for 5 %: ten times the replicas would decide it.",
                0,
            ),
            (
                "tanh, cross-entropy on 10 random classes",
                512,
                100,
                r"off-block part of $\Sigma_w$",
                "none",
                "rejected",
                None,
                3.1e-9,
                "refuted",
                "",
                3,
            ),
            ("huge learning rate", 64, 10, r"$\tau_2$", 1.23e8, 1.2309e8, 4.1e5, 0.21, "holds", "", 0),
            ("n×d = 10⁶ rows, Σₓ of rank_5 #1", 10**6, 0, "τ₁ ≥ 0", -2.5e-7, -2.4e-7, 3e-8, 0.74, "holds", "", 0),
        ]
    ] + [
        Finding(
            "A3",
            "digits 8×8 (not Gaussian)",
            "outside",
            r"misalignment $M(\Sigma_x, \Sigma_w)^2$",
            0.0,
            0.2713,
            "outside the hypotheses",
            interval=(0.2402, 0.3021),
            note="The interval is a bootstrap over replicas.",
            replicas=200,
        ),
        Finding(
            "A3",
            "photographs “china” & “flower”",
            "outside",
            "leakage",
            "none",
            "$3.1\\,\\%$",
            "outside the hypotheses",
            replicas=50,
        ),
    ]
    steps = np.array([0, 1, 3, 10, 30, 100, 300, 1000])
    rows = tuple(
        (
            int(step),
            *((0.25 + s * step / 400 + 0.001 * i, 0.0021 + 0.0001 * i) for i, s in enumerate(spectrum)),
            10.0 ** -(i + 1),
            None if i == 2 else 2e-3 * i,
        )
        for i, step in enumerate(steps.tolist())
    )
    table = Table(
        "A3-readings",
        r"Readings of $\tau_i = v_i^\top \Sigma_w v_i$ at 8 steps; 100 % of replicas, η = 0.05.",
        (
            Column("Step"),
            Column(r"$\tau_1$, $\sigma_1^2=0.1$"),
            Column(r"$\tau_2$, $\sigma_2^2=0.2$"),
            Column(r"$\tau_3$, $\sigma_3^2=0.4$"),
            Column("p-value of the randomization test", digits=2),
            Column("largest relative error"),
        ),
        rows,
    )
    x = np.geomspace(0.05, 1.5, 40)
    xs = x[::4]
    rng = np.random.default_rng(1)
    curve = lambda s, t: np.sqrt(0.2 + (1 - np.exp(-t * s**2)) ** 2 / s**2 / 20)  # noqa: E731
    panels = tuple(
        Panel(
            f"step {t}",
            r"data standard deviation $\sigma$",
            r"$f(\sigma)=\sqrt{\tau}$" if t == 1 else "",
            (
                Series("exact", x, curve(x, t), style="line"),
                Series("first order in 1/m", x, curve(x, t) * (1 + 0.05 * x), style="dashed"),
                Series("measured", xs, curve(xs, t) + 0.01 * rng.standard_normal(xs.size), np.full(xs.size, 0.02)),
            ),
            xlog=True,
        )
        for t in (1, 10, 100)
    )
    q = np.linalg.qr(rng.standard_normal((9, 9)))[0]
    pictures = Figure(
        "A3-eigenvectors",
        r"Eigenvectors of $\Sigma_x$ (above) and $\Sigma_w$; each is a filter of $3\times3$ pixels.",
        (Panel("eigenvectors", pictures=tuple(Picture(f"$v_{i + 1}$", q[i].reshape(3, 3)) for i in range(9))),
         Panel(r"$\Sigma_w$ in the eigenbasis", pictures=(Picture("", np.diag(np.arange(9.0)) + 0.1 * q),))),
    )  # fmt: skip
    return ClaimReport(
        "A3",
        r"The alignment theorem: $\Sigma_w$ is a function of $\Sigma_x$",
        "Let $x \\sim \\mathcal{N}(0,\\Sigma_x)$ (or any law invariant under its group), the first layer be isotropic "
        "Gaussian at initialisation and independent of the others, and the labels be independent of $x$. Then "
        "$\\mathrm{E}[w]=0$ and $\\Sigma_w = \\sum_i c_i P_i$ at every training time — 100 % of it, "
        "for SGD with momentum & weight decay.",
        "Prop. 1 of arXiv:2006.10455; section 1 of the derivations",
        r"In closed form $\tau_i(t) = s_0^2(1-\eta\sigma_i^2)^{2t} + "
        r"\frac{\sigma_y^2}{n\sigma_i^2}\left(1-(1-\eta\sigma_i^2)^t\right)^2$; "
        "2000 replicas are trained for real and compared by `reports.judging.compare` with a test of level $10^{-6}$.",
        tuple(findings),
        (table,),
        (
            Figure(
                "A3-transfer",
                r"The transfer function $f(\sigma)$ at three steps; bars are 95 % intervals, 100 % of them.",
                panels,
            ),
            pictures,
        ),
        {
            "data": {"kind": "gaussian", "spectrum": [0.1, 0.2, 0.4]},
            "training": {"steps": steps.tolist(), "momentum": 0.9, "note": "a_b {c} $5 50%"},
        },
        {"ReLU network, Gaussian data": 'data.kind = "gaussian", training.momentum = 0.9, note = "a_b {c} $5 50%"'},
        312.0,
    )


def _controls() -> ClaimReport:
    findings = tuple(
        Finding("A4", case, "control", "alignment", "rejected", outcome, verdict, pvalue=p, power="", replicas=500)
        for case, outcome, p, verdict in [
            ("Adam", "rejected", 0.0, "holds"),
            ("sign SGD", "rejected", 2e-52, "holds"),
            ("L1 decay of strength 10⁻³", "rejected", 5e-7, "holds"),
            ("anisotropic initialisation", "rejected", 1e-12, "holds"),
            (
                "real labels: teacher in one direction, whose alignment with an eigenvector is broken on purpose",
                "not rejected",
                0.31,
                "undecided",
            ),
        ]
    )
    rows = tuple(
        (
            f"optimizer {i} of many, with a long description that must wrap in its column, nr. {i}",
            (1.5 * i, 0.3),
            "yes" if i % 2 else "no",
        )
        for i in range(45)
    )
    table = Table(
        "A4_many rows",
        "A table longer than a page.",
        (Column("What", "text"), Column("$M^2$"), Column("broken", "text")),
        rows,
    )
    return ClaimReport(
        "A4",
        "The hypotheses matter",
        "Each broken hypothesis breaks alignment; a check that never says no proves nothing.",
        "",
        "",
        findings,
        (table,),
    )


def _shape() -> ClaimReport:
    x = np.arange(1, 41)
    curves = (
        Series("5 seeds", x, 2.0 * x**-1.3, 0.3 * x**-1.0, "band"),
        Series("$t^{-1.3}$", x, 2.0 * x**-1.3, style="dashed"),
        Series("with NaN", x, np.where(x % 7 == 0, np.nan, 1.0 / x), 0.4 / x, "both"),
    )
    figure = Figure(
        "B2-decay",
        "Loss against steps, σ = 0.1…1.",
        (
            Panel("loss", "step", "training loss", curves, xlog=True, ylog=True),
            Panel("cost $5 & 3%", "step", "", (Series("5 seeds", x, np.sqrt(x), None, "both"),)),
        ),
    )
    finding = Finding(
        "B2",
        "power-law spectrum, d = 30",
        "asymptotic",
        "position of the maximum",
        "rises, then falls",
        "rises, then falls",
        "holds",
        interval=(0.31, 0.36),
        replicas=0,
    )
    number = Finding(
        "B2",
        "α → ∞",
        "asymptotic",
        "relative deviation from order $m^{-1/2}$",
        0.0,
        -0.0123,
        "holds",
        interval=(-0.0311, 0.0065),
        power="within the budget of 10 %",
    )
    columns = tuple(Column(f"$f(\\sigma_{{{i}}})$") for i in range(9))
    wide = Table(
        "B2-wide",
        "Many numbers.",
        columns,
        tuple(tuple((0.1 * i + j, 0.01 * (j + 2)) for i in range(9)) for j in range(4)),
    )
    return ClaimReport(
        "B2",
        "Shape of f: rises, then falls",
        "f typically rises, then falls; either part can be missing.",
        "Figs. 4, 20",
        "Signs of differences.",
        (finding, number),
        (wide,),
        (figure,),
    )


def _empty() -> ClaimReport:
    return ClaimReport("C9", "A claim without findings", "Nothing was measured.", "", "", ())
