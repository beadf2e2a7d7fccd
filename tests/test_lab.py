"""In JupyterLab the same cell that makes an explorable of the page gives widgets that call its function."""
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
CHAPTER = "loss_design"  # its explorable needs no training: the cells up to it run in seconds


@pytest.fixture
def lab(tmp_path):
    """The address of a JupyterLab of its own, in a folder with the helper and a chapter up to its first explorable."""
    shutil.copytree(ROOT / "chapters/course", tmp_path / "chapters/course")
    (tmp_path / "imgs").symlink_to(ROOT / "imgs")
    notebook = nbformat.read(ROOT / f"chapters/{CHAPTER}.ipynb", 4)
    last = next(i for i, c in enumerate(notebook.cells) if c.cell_type == "code" and "course.explore(" in c.source)
    notebook.cells = notebook.cells[:last + 1]
    nbformat.write(notebook, tmp_path / f"chapters/{CHAPTER}.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}",
         "--IdentityProvider.token=", "--ServerApp.password=", "--LabApp.expose_app_in_browser=True",
         "--LabApp.news_url=None",
         "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"],
        cwd=tmp_path / "chapters", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{url}/api", timeout=1).close()
                break
            except OSError:
                time.sleep(0.5)
        yield url
    finally:
        server.terminate()
        server.wait(120)


def test_before_a_run_one_frame_is_shown(browser, lab):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.set_default_timeout(120_000)
    tab.goto(f"{lab}/lab/tree/{CHAPTER}.ipynb")
    tab.wait_for_function("window.jupyterapp && jupyterapp.shell.currentWidget?.content?.widgets?.length")
    figure = tab.locator("figure.explore").first
    while not figure.count():  # cells are rendered when they are near
        tab.evaluate("""() => { const notebook = jupyterapp.shell.currentWidget.content;
          return notebook.scrollToItem(notebook.widgets.length - 1); }""")
    figure.scroll_into_view_if_needed()
    tab.wait_for_function("f => f.querySelector('img').naturalWidth", arg=figure.element_handle())
    frame, picture = figure.locator(".explore-frame").bounding_box(), figure.locator("img").bounding_box()
    assert picture["height"] > 5 * frame["height"] and figure.bounding_box()["height"] < 600
    assert figure.locator("input:visible, select:visible, output:visible").count() == 0
    tab.wait_for_function(  # a lab that is stopped while its kernel starts hangs
        "jupyterapp.shell.currentWidget.context.sessionContext.session?.kernel?.status == 'idle'")
    context.close()


def test_a_moved_widget_draws_the_picture_anew(browser, lab):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.set_default_timeout(120_000)
    tab.goto(f"{lab}/lab/tree/{CHAPTER}.ipynb")
    tab.wait_for_function(
        "window.jupyterapp && jupyterapp.shell.currentWidget?.context?.sessionContext?.session?.kernel")
    tab.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
    box = tab.locator(".jp-OutputArea-output .widget-vbox").last
    box.scroll_into_view_if_needed()
    picture, slider = box.locator("img"), box.locator("[role=slider], .noUi-handle").first
    picture.wait_for()
    before, read = picture.get_attribute("src"), box.locator(".widget-readout").first.inner_text()
    slider.focus()
    slider.press("ArrowRight")
    tab.wait_for_function("([picture, before]) => picture.src != before", arg=[picture.element_handle(), before])
    assert box.locator(".widget-readout").first.inner_text() != read
    assert re.search(r"\d", read)
    context.close()
