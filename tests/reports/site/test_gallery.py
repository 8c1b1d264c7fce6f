"""The gallery hangs every figure of a report."""

import json

from reports.files import write_atomically
from reports.site.gallery import hang


def test_the_gallery_hangs_every_figure_of_a_report(tmp_path):
    figures = [{"name": "a1 steps", "caption": "$f$ & 95 % intervals"}, {"name": "a1-last", "caption": "<end>"}]
    claims = [
        {"id": "A1", "title": "Equivariance", "verdict": "holds", "figures": figures},
        {"id": "A2", "title": "Averaging", "verdict": None, "figures": []},
    ]
    report, out = tmp_path / "report", tmp_path / "out"
    for name in ("a1-steps", "a1-last"):
        write_atomically(report / "figures" / f"{name}.svg", f"<svg>{name}</svg>")
    write_atomically(report / "results.json", json.dumps({"claims": claims}))
    (wall,) = hang(out, report)
    assert (wall.id, wall.verdict) == ("A1", "holds")
    assert [(out / figure.file).read_text() for figure in wall.figures] == ["<svg>a1-steps</svg>", "<svg>a1-last</svg>"]
    assert [figure.caption for figure in wall.figures] == ["$f$ & 95 % intervals", "<end>"]
