"""In JupyterLab: widgets that call their function, the student edition, bars that leave no trace, what saving does."""
import http.client
import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest

import build
import lab as lab_command
import notebooks
import refresh

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = [path.stem for path in notebooks.chapters()]
IDLE = "jupyterapp.shell.currentWidget.context.sessionContext.session?.kernel?.status == 'idle'"
SHOWN = f"""name => window.jupyterapp?.shell.currentWidget?.context?.path == `${{name}}.ipynb` &&
  jupyterapp.shell.currentWidget.content.widgets.length && {IDLE}"""
CHAPTER = "loss_design"  # its explorable needs no training: the cells up to it run in seconds


def until_it_answers(url, server):
    """Wait until this server answers, or has ended."""
    for _ in range(240):
        if server.poll() is not None:
            return
        try:
            urllib.request.urlopen(f"{url}/api", timeout=1).close()
            return
        except OSError:
            time.sleep(0.5)
        except http.client.HTTPException:  # another program has the port, and this server is about to end
            server.wait(120)


@contextmanager
def running(folder):
    """The address of a JupyterLab of its own in this folder, which shows all cells, also those far from the window."""
    options = lab_command.options(folder / ".lab")
    settings = {**lab_command.SETTINGS,
                "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none", "kernelShutdown": True}}
    (folder / ".lab/overrides.json").write_text(json.dumps(settings))
    url, server = "", None
    while server is None or server.poll() is not None:  # it ends where another program was quicker to take the port
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{free.getsockname()[1]}"
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={url.rpartition(':')[2]}",
             "--ServerApp.port_retries=0", *options, "--IdentityProvider.token=", "--ServerApp.password=",
             "--LabApp.expose_app_in_browser=True"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until_it_answers(url, server)
    try:
        yield url
    finally:
        server.terminate()
        server.wait(120)


@contextmanager
def opened(browser, url, name):
    """A tab with a notebook; a lab that is stopped while its kernel starts hangs, so it waits for that in the end."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.set_default_timeout(120_000)
    tab.goto(f"{url}/lab/tree/{name}.ipynb?reset")
    tab.wait_for_function(SHOWN, arg=name)
    yield tab
    tab.wait_for_function(IDLE)
    context.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab in a folder with the helper and a chapter up to its first explorable."""
    tmp_path = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "chapters/course", tmp_path / "chapters/course")
    (tmp_path / "imgs").symlink_to(ROOT / "imgs")
    notebook = notebooks.read(ROOT / f"chapters/{CHAPTER}.ipynb")
    last = next(i for i, c in enumerate(notebook.cells) if c.cell_type == "code" and "course.explore(" in c.source)
    notebook.cells = notebook.cells[:last + 1]
    nbformat.write(notebook, tmp_path / f"chapters/{CHAPTER}.ipynb")
    with running(tmp_path / "chapters") as url:
        yield url


def test_before_a_run_one_frame_is_shown(browser, lab):
    with opened(browser, lab, CHAPTER) as tab:
        figure = tab.locator("figure.explore").first
        figure.scroll_into_view_if_needed()
        tab.wait_for_function("f => f.querySelector('img').naturalWidth", arg=figure.element_handle())
        frame, picture = figure.locator(".explore-frame").bounding_box(), figure.locator("img").bounding_box()
        assert picture["height"] > 5 * frame["height"] and figure.bounding_box()["height"] < 600
        assert figure.locator("input:visible, select:visible, output:visible").count() == 0


def test_a_moved_widget_draws_the_picture_anew(browser, lab):
    with opened(browser, lab, CHAPTER) as tab:
        caption = tab.locator("figure.explore figcaption").first.inner_text()
        tab.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
        box = tab.locator(".jp-OutputArea-output .widget-vbox").last
        box.scroll_into_view_if_needed()
        picture, slider = box.locator("img"), box.locator("[role=slider], .noUi-handle").first
        picture.wait_for()
        width = picture.evaluate("async i => { await i.decode(); return [i.clientWidth, i.naturalWidth]; }")
        assert width[0] == width[1] and caption in box.inner_text()
        before, read = picture.get_attribute("src"), box.locator(".widget-readout").first.inner_text()
        slider.focus()
        slider.press("ArrowRight")
        tab.wait_for_function("([box, before]) => box.querySelector('img').src != before",
                              arg=[box.element_handle(), before])
        assert box.locator(".widget-readout").first.inner_text() != read
        assert re.search(r"\d", read)


# The student edition

WRONG = re.compile(r"\{[\w:+.-]+\}`|^:[\w-]+:|:::|`{3}|\$(?!\d)|\\[a-z]+\b|</?[a-z][\w-]*[ >]|&\w+;|\[\^|\]\(|\*\*",
                   re.M)
READ = """() => [...document.querySelectorAll(".jp-MarkdownOutput")].map(cell => {
  const copy = cell.cloneNode(true);
  for (const extra of copy.querySelectorAll("mjx-container, pre, code, .jp-InternalAnchorLink")) extra.remove();
  for (const block of copy.querySelectorAll("p, li, h1, h2, h3, h4, summary, td, th")) block.append("\\n");
  return copy.textContent;
})"""


@pytest.fixture(scope="module")
def students(fork, tmp_path_factory):
    """The address of a JupyterLab in a folder with nothing but the student edition of a fork."""
    folder = tmp_path_factory.mktemp("students") / "notebooks"
    lab_command.lay(fork.html / "_sources/chapters", folder)
    with running(folder) as url:
        yield url


@pytest.fixture(scope="module")
def desk(browser, students):
    """A tab of that JupyterLab, where notebooks are opened and closed without loading JupyterLab anew."""
    with opened(browser, students, CHAPTERS[0]) as tab:
        yield tab


@pytest.mark.parametrize("name", [*CHAPTERS, "kinds"])
def test_student_edition_reads_like_the_page(desk, fork, name):
    notebook = notebooks.read(fork.html / f"_sources/chapters/{name}.ipynb")
    cells = [c for c in notebook.cells if c.cell_type == "markdown"]
    page = (fork.html / f"chapters/{name}.html").read_text(encoding="utf-8")
    for command in ("docmanager:save", "application:close-all"):
        desk.evaluate("command => jupyterapp.commands.execute(command)", command)
    desk.evaluate("name => { jupyterapp.commands.execute('docmanager:open', {path: `${name}.ipynb`}); }", name)
    desk.wait_for_function(SHOWN, arg=name)
    count = "([what, count]) => document.querySelectorAll(what).length == count"
    desk.wait_for_function(count, arg=[".jp-MarkdownOutput", len(cells)])
    formulas = len(re.findall(r"<math ", re.search(r'<article.*?</article>', page, re.S)[0]))
    desk.wait_for_function(count, arg=[".jp-MarkdownOutput mjx-container", formulas])
    assert desk.locator("mjx-merror, mjx-container [data-mjx-error]").count() == 0
    texts = desk.evaluate(READ)
    assert [(WRONG.search(text)[0], text) for text in texts if WRONG.search(text)] == []
    assert desk.locator(".jp-MarkdownOutput img").evaluate_all("all => all.filter(i => !i.naturalWidth).length") == 0
    assert desk.locator("figure.explore :is(input, select):visible").count() == 0, "a dead slider"
    helper = desk.locator(".jp-CodeCell").first
    assert helper.locator(".jp-InputArea-editor").count() == 0 or helper.bounding_box()["height"] < 60, "not folded"
    folded = sum(c.source.count("<details>") for c in cells)
    assert desk.locator(".jp-MarkdownOutput details:not([open])").count() == folded
    assert desk.locator(".Toastify__toast").count() == 0, "news"


# While a cell works, and what saving does

LONG = """import torch, course
model = course.CNN(2, channels=4)
z = torch.rand(4, 1, 64, 64)
torch.manual_seed(0)
for seed in course.seeds(2):
    losses = course.fit(model, z, z, steps=100_000, lr=1e-3)
"""


def test_a_bar_is_seen_while_a_cell_works_and_leaves_no_trace(browser, tmp_path):
    shutil.copytree(ROOT / "chapters/course", tmp_path / "course")
    cells = [nbformat.v4.new_code_cell(source) for source in (LONG, "print('usable', torch.get_default_dtype())")]
    path = tmp_path / "long.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=notebooks.CLEAN_METADATA), path)
    with running(tmp_path) as url, opened(browser, url, "long") as tab:
        tab.evaluate("() => { jupyterapp.commands.execute('notebook:run-all-cells'); }")
        said = re.compile(r"^\s*seeds 0 of 2\s+updates \d+ of 100000, about \d+ s left\s*$")
        tab.locator(".jp-OutputArea-output:has(progress)", has_text=said).wait_for()  # before update 1 no time is known
        before = tab.locator("progress").nth(1).get_attribute("value")
        tab.wait_for_function("b => Number(document.querySelectorAll('progress')[1].value) > b", arg=int(before))
        tab.evaluate("jupyterapp.commands.execute('notebook:interrupt-kernel')")
        tab.get_by_text("KeyboardInterrupt").first.wait_for()
        tab.wait_for_function("!document.querySelector('progress')")
        tab.wait_for_function(IDLE)
        tab.evaluate("""() => { const notebook = jupyterapp.shell.currentWidget.content;
          notebook.activeCellIndex = 1; notebook.deselectAll(); }""")
        tab.evaluate("() => { jupyterapp.commands.execute('notebook:run-cell'); }")
        tab.get_by_text("usable torch.float32").wait_for()
        tab.evaluate("jupyterapp.commands.execute('docmanager:save')")
        tab.wait_for_function("!jupyterapp.shell.currentWidget.context.model.dirty")
    assert "<progress" not in json.dumps([c.get("outputs") for c in notebooks.read(path).cells])


def test_a_chapter_saved_in_jupyterlab_is_refused_until_it_is_refreshed(browser, tmp_path, monkeypatch):
    for file in ("_config.yml", "chapters/_static", "chapters/course", "imgs", "requirements.txt"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (shutil.copytree if (ROOT / file).is_dir() else shutil.copy)(ROOT / file, tmp_path / file)
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: chapters/page\n")
    (tmp_path / "references.bib").write_text("")
    explore = ("import course\ncourse.explore(lambda level: f'level {level}', level=[1, 2, 3], caption='Levels.', "
               "alt='Nothing is to be seen, the level is said.')")
    cells = [nbformat.v4.new_markdown_cell("# Page"), nbformat.v4.new_code_cell(explore)]
    path = tmp_path / "chapters/page.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=notebooks.CLEAN_METADATA), path)
    refresh.run([path], root=tmp_path)
    first = path.read_bytes()
    with running(tmp_path / "chapters") as url, opened(browser, url, "page") as tab:
        def save():
            tab.evaluate("jupyterapp.commands.execute('docmanager:save')")
            tab.wait_for_function("!jupyterapp.shell.currentWidget.context.model.dirty")

        tab.evaluate("jupyterapp.shell.currentWidget.content.model.setMetadata('touched', 1)")
        save()
        assert path.read_bytes() != first
        assert refresh.stale(path, tmp_path) == [] and build.build(root=tmp_path) == []
        tab.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
        tab.locator(".jp-OutputArea-output .widget-vbox").wait_for()
        save()
    assert refresh.stale(path, tmp_path) == ["its outputs"]
    (said,) = build.build(root=tmp_path)
    assert said.startswith("chapters/page.ipynb: its outputs") and said.endswith("run make refresh CHAPTERS=page")
    refresh.run([path], root=tmp_path)
    assert path.read_bytes() == first and build.build(root=tmp_path) == []
