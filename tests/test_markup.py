"""The markup of the pages and of stored outputs: valid, named, and complete also where no script runs."""
import re
import subprocess
import sys
from pathlib import Path

import pytest

import refresh

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = [f"chapters/{path.stem}" for path in refresh.chapters()]
FRAMES = """figure => {  // of each picture: which frame is in sight, its share of the box, whether it is there
  const [rows, columns] = figure.dataset.shape.split(" ").map(Number);
  return [...figure.querySelectorAll(".explore-frame")].filter(frame => frame.checkVisibility()).map(frame => {
    const picture = frame.firstChild, sight = frame.getBoundingClientRect(), all = picture.getBoundingClientRect();
    return {row: (sight.top - all.top) / all.height * rows, column: (sight.left - all.left) / all.width * columns,
            tall: sight.height / all.height * rows, wide: sight.width / all.width * columns,
            loaded: picture.complete && picture.naturalWidth > 0, alt: picture.alt};
  });
}"""


# Explorables away from their page

def test_a_converted_notebook_shows_one_frame_and_no_dead_control(browser, tmp_path):
    subprocess.run([sys.executable, "-m", "nbconvert", "--to", "html", "--output-dir", tmp_path,
                    ROOT / "chapters/cnn.ipynb"], check=True, capture_output=True)
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.goto((tmp_path / "cnn.html").as_uri(), wait_until="domcontentloaded")
    figure = tab.locator("figure.explore").first
    figure.scroll_into_view_if_needed()
    tab.wait_for_function("f => f.querySelector('img').complete", arg=figure.element_handle())
    frame, = figure.evaluate(FRAMES)
    assert frame["loaded"] and abs(frame["tall"] - 1) < 0.02 and abs(frame["row"] - round(frame["row"])) < 0.02, frame
    assert figure.bounding_box()["height"] < 600  # pixels; all frames are 3456
    assert figure.locator("input:visible, select:visible, output:visible").count() == 0
    context.close()


@pytest.mark.parametrize("page", CHAPTERS)
def test_explorables_on_paper(browser, site, page):
    """Up to six frames, the first and the last among them, each with its values and its sentence; without a script."""
    tab = browser.new_page(java_script_enabled=False)
    tab.emulate_media(media="print")
    tab.goto(f"{site.url}{page}.html", wait_until="networkidle")
    for figure in tab.locator("figure.explore").all():
        rows, columns = map(int, figure.get_attribute("data-shape").split())
        assert figure.locator(":is(input, select, .explore-said):visible").count() == 0
        said = [item.inner_text() for item in figure.locator("li").all()]
        assert len(set(said)) == len(said) == min(6, rows * columns), said
        frames = figure.evaluate(FRAMES)
        if not frames:
            continue
        places = [(round(frame["row"]), round(frame["column"])) for frame in frames]
        assert len(set(places)) == len(said) and {(0, 0), (rows - 1, columns - 1)} <= set(places), places
        for frame, text in zip(frames, said, strict=True):
            assert frame["loaded"] and abs(frame["tall"] - 1) < 0.02 and abs(frame["wide"] - 1) < 0.02, frame
            assert frame["alt"].startswith(re.match("[^:]+", text)[0]), (frame["alt"], text)
    tab.close()


# Stored notebooks as files of their own

def test_a_chapter_converts_to_a_script_with_its_prose(tmp_path):
    path = ROOT / "chapters/cnn.ipynb"  # test_checks compares the metadata of all
    subprocess.run([sys.executable, "-m", "nbconvert", "--to", "script", "--output-dir", tmp_path, path], check=True,
                   capture_output=True)
    assert [written.name for written in tmp_path.iterdir()] == ["cnn.py"]
    text = (tmp_path / "cnn.py").read_text(encoding="utf-8")
    assert "\n# ## Recap" in text and "\nimport course" in text
