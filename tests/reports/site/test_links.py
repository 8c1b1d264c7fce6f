"""Links of the site are followed, and nothing is fetched from a network."""

import pytest

from reports.site.links import faults


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        ('<a href="gone.html">x</a>', "gone.html is not there"),
        ('<a href="#gone">x</a>', "#gone has no such anchor"),
        ('<a href="other.html#gone">x</a>', "other.html#gone has no such anchor"),
        ('<a href="../../etc/hosts">x</a>', "leaves the site"),
        ('<script src="https://cdn.example/mathjax.js"></script>', "loads https://cdn.example/mathjax.js"),
        ('<img src="//example/x.png">', "loads //example/x.png"),
        ('<link href="http://example/x.css">', "loads http://example/x.css"),
    ],
)
def test_a_dead_link_is_seen(tmp_path, page, fault):
    (tmp_path / "other.html").write_text('<p id="here">x</p><a href="page.html">back</a>')
    (tmp_path / "page.html").write_text('<a href="other.html#here">fine</a> <a href="https://arxiv.org">fine</a>')
    assert faults(tmp_path) == []
    (tmp_path / "page.html").write_text(f'<a href="https://arxiv.org">fine</a> {page}')
    (found,) = faults(tmp_path)
    assert fault in found
