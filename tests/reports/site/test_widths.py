"""No page is wider than a phone's screen, or a desk's: what is wide scrolls within its own box."""

import json
import re
import shutil
import subprocess

import pytest

from reports.site.build import build

MEASURE = """<pre></pre><script>
async function measure(pages, width) {
  const wide = [];
  for (const page of pages) {
    const frame = document.createElement("iframe");
    frame.style.width = width + "px"; frame.src = page;
    await new Promise(done => { frame.onload = done; document.body.append(frame); });
    if (frame.contentDocument.documentElement.scrollWidth > width + 1) wide.push(page);
    frame.remove();
  }
  return wide;
}
measure(PAGES, WIDTH).then(wide => document.querySelector("pre").textContent = "wide: " + JSON.stringify(wide));
</script>"""


def too_wide(folder, width):
    """The pages in `folder` that a window of `width` pixels does not hold, as a browser lays them out."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium is installed: the widths of pages are not measured")
    pages = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.html"))]
    script = MEASURE.replace("PAGES", json.dumps(pages)).replace("WIDTH", str(width))
    (folder / "measure.html").write_text(script)
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=600000", "--dump-dom"]
    done = subprocess.run(
        [browser, *options, "--allow-file-access-from-files", (folder / "measure.html").as_uri()],
        capture_output=True,
        text=True,
        check=True,
    )
    (folder / "measure.html").unlink()
    found = re.search(r"<pre>wide: (.*?)</pre>", done.stdout)
    assert found, done.stderr
    return json.loads(found[1])


@pytest.mark.slow
def test_no_page_is_wider_than_its_window(tmp_path):
    build(tmp_path)
    assert too_wide(tmp_path, 390) == []
    assert too_wide(tmp_path, 1200) == []


@pytest.mark.slow
def test_a_wide_page_is_seen(tmp_path):
    (tmp_path / "page.html").write_text("<pre>" + "x" * 500 + "</pre>")
    assert too_wide(tmp_path, 390) == ["page.html"]
