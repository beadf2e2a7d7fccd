"""What the tests of the rendered book share: the book, built once, servers of it (see serving.py), a real browser."""
import json
import os
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from filelock import FileLock

import build
import engines
import lighthouse
import notebooks
import paper
import server
from serving import Handler, Watched, serving

ROOT = Path(__file__).resolve().parent.parent
# What the chapters may use of MyST, and do not use yet
KINDS = r"""(sec-kinds)=
# All kinds

A [link](https://example.org/a_b), a [page](notation.md), a [heading](#sec-kinds), {ref}`words <sec-kinds>`,
{ref}`sec-cnn`, {numref}`Picture %s <fig-kinds>`, {doc}`unet`.
{doc}`cnn`: code `{name}`, ``a `b` {form}`c` ``, $a_{b}$ and {math}`\hat x`.
% a comment

- in a list

  $$
  a &= b \\
  &= c
  $$ (eq-kinds)

  ```{note}
  Within a list, {eq}`eq-kinds`.
  ```

1. and `code` in
   another

> A quotation by {cite:t}`he2016deep`, and {cite:p}`he2016deep,jin2017deep`.

+++
:::{warning}
A warning with *stress*.
:::

```{admonition} A title with $x^2$
:class: tip dropdown

Folded away: {glue:text}`cnn.ipynb::cnn_clean:.2f`.
```

````{tip}
Outer.

```{note}
Inner.
```
````

```{math}
:label: eq-kinds-two

\begin{align}
p &= q
\end{align}
```

Term $t$
: One line
  and its second, {doc}`mri`.

: Another meaning.

Other
: Last,
lazily continued.

Price
: It costs \$5, see {doc}`cnn`, and not \$6.

A card for $500.

See {doc}`mri` and [](#sec-cnn), [](unet.ipynb), [a title](unet.ipynb "Title") and [brackets [here]](<cnn.ipynb>).

Another for $600. A note[^2], and another[^word].

[^2]: A note with $n$.
[^word]: Of two paragraphs.

    The second, {eq}`eq-kinds`.

```{note}
It ends here.
```
What follows is no part of it.

| a | b |
|---|---|
| {eq}`eq-kinds` | $\lvert x \rvert$ |

```python
print("{form}`cnn`", "$x$")
```

```{code-block} python
x = 1
```

````{code-block} markdown
```{note}
A note.
```
````

```{exercise} A title with $x^2$ and *stress*
:label: ex-kinds

Which?
```

```{check} ex-kinds
How large is $x^2$, see {doc}`cnn`?
= 1/4
~ 1/2: This is $x$.
```

```{predict} predict-kinds-choice
Which of them
is *right*?
- [x] One with $x$
- [ ] Another: A hint.
> So it is.
```

```{solution} ex-kinds

{ref}`ex-kinds` is answered in the open.
```

## A heading

> ## Within a quotation

```{figure} ../imgs/ct_slice.png
:name: fig-kinds
:alt: A synthetic slice of a chest, with a white spine and dark lungs.

A caption with {eq}`eq-kinds`.
```
"""
IGNORED = shutil.ignore_patterns(".git", ".venv", "_build", "__pycache__")


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what is followed by &; programs inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


def copied(folder):
    """The sources of the book, copied into this folder."""
    return shutil.copytree(ROOT, folder / "book", ignore=IGNORED, ignore_dangling_symlinks=True)


@pytest.fixture
def sources(tmp_path):
    """A copy of the sources of the book."""
    return copied(tmp_path)


# Files that take half a minute or more come first, then the chapters: so that no worker is left with one of them in the
# end. Of the first three one alone waits for the book.
LONG = ["test_pages", "test_checks", "test_answers", "test_mutants", "test_engines", "test_paper", "test_text",
        "test_lab", "test_book", "test_markup", "test_studies", "test_training", "test_student", "test_your_picture",
        "test_chapter", "test_claims", "test_weights", "test_live"]


def pytest_configure(config):
    try:
        notebooks.choose(os.environ.get("CHAPTERS", "").split())
        if not hasattr(config, "workerinput"):
            list(map(notebooks.read, notebooks.chapters()))  # one line for a file that is no notebook
    except (ValueError, notebooks.ChapterError) as e:
        raise pytest.UsageError(str(e)) from None


def pytest_collection_modifyitems(items):
    """In the order of LONG; make test CHAPTERS="a b" keeps only what is asked of these chapters, and of the build."""
    if chosen := os.environ.get("CHAPTERS", "").split():
        def asks(item):
            about = item.callspec.params.values() if hasattr(item, "callspec") else [item.path.stem, item.name]
            names = {str(one).rpartition("/")[2] for one in about}
            return not names.isdisjoint([*chosen, "test_the_book_builds_without_a_complaint"])
        items[:] = filter(asks, items)

    def turn(item):
        return LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG) + (item.path.suffix == ".py")
    items.sort(key=turn)


def once(tmp_path_factory, name, make):
    """The folder of this name that all test workers share, and what make(folder) gave: one of them calls it."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, said = base / name, base / f"{name}.json"
    with FileLock(base / f"{name}.lock"):
        if not said.exists():
            folder.mkdir()
            said.write_text(json.dumps(make(folder)))
    return folder, json.loads(said.read_text())


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The book, built from a copy that no test changes, and the complaints about it."""
    folder, found = once(tmp_path_factory, "built", lambda folder: build.build(root=copied(folder)))
    return folder / "book", found


@pytest.fixture(scope="session")
def made(built, tmp_path_factory):
    """The folder with book.pdf, book.epub and the book.html that was printed, made once."""
    if not lighthouse.CHROMIUM:
        lack("chromium", "chromium")
    return once(tmp_path_factory, "paper", lambda folder: [str(p) for p in paper.make("paper", built[0], folder)])[0]


@pytest.fixture(scope="session")
def fork(tmp_path_factory):
    """The pages of a fork on GitHub, built as its workflow does: `fork.html`, to be published at `fork.site`."""
    site = "https://someone.github.io/a-fork/"

    def make(folder):
        root = copied(folder)
        cells = [nbformat.v4.new_markdown_cell(part) for part in KINDS.split("\n+++\n")]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), root / "chapters/kinds.ipynb")
        toc = root / "_toc.yml"
        toc.write_text(toc.read_text(encoding="utf-8") + "      - file: chapters/kinds\n", encoding="utf-8")
        return build.build("https://github.com/someone/a-fork", "trunk", root, site)

    folder, found = once(tmp_path_factory, "fork", make)
    assert found == []
    return SimpleNamespace(root=folder / "book", html=folder / "book/_build/html", site=site)


@pytest.fixture(scope="session")
def foreign():
    """A function that lays into a book what systems, editors and people leave where they work."""
    def lay(book):
        suffixes = ("py", "png", "js", "css", "html", "yml", "md", "bib", "ipynb", "woff2")
        helper = "chapters/course", "chapters/course/machinery"
        for folder in ("", "chapters", *helper, "chapters/_static", "imgs", "tools"):
            at = book / folder
            at.mkdir(exist_ok=True)
            for name in (".DS_Store", "Thumbs.db", "desktop.ini", "x.py~", "a.png~", *("._x." + s for s in suffixes)):
                (at / name).write_bytes(b"\x00\x05\x16\x07\xff")
            (at / ".#x.py").symlink_to("someone@host.4711")
            (at / "__pycache__").mkdir(exist_ok=True)
            (at / "__pycache__/x.cpython-311.pyc").write_bytes(b"\xff")
            (at / ".ipynb_checkpoints").mkdir()
            (at / ".ipynb_checkpoints/good-checkpoint.ipynb").write_text("{")
        for name in ("Untitled.ipynb", "good (copy).ipynb", "good-Copy1.ipynb", "._good.ipynb", ".~lock.good.ipynb#"):
            (book / "chapters" / name).write_text("{")
        (book / "chapters/course/__init__ (copy).py").write_text("FACTOR = 9\n")
        (book / "draft.yml").write_text("a: 1\na: 2\n")
    return lay


@pytest.fixture(scope="session")
def site(built):
    """A server of the built book; `site.url` ends in a slash, `site.put` is {file: bytes to send in its place}."""
    with serving(built[0] / "_build/html", Handler) as server:
        yield server


@pytest.fixture(scope="session")
def watched(built):
    """The same for browsers that do not tell what goes wrong: each page keeps it in its array `seen`."""
    with serving(built[0] / "_build/html", Watched) as server:
        yield server


def lack(what, packages):
    """Skip the test, and say what to install; where CI is set that is a failure."""
    say = pytest.fail if os.environ.get("CI") else pytest.skip
    say(f"no {what} on the path, so nothing was tried in it; on Debian: apt install {packages}")


@pytest.fixture(scope="module", params=["firefox", "webkit"])
def engine(request):
    """The name of an engine beside Chromium that is installed."""
    if packages := engines.missing(request.param):
        lack(request.param, " ".join(packages))
    return request.param


@pytest.fixture(scope="session")
def browser():
    """Chromium. Without it the tests are skipped, and say how to install it; where CI is set that is a failure."""
    if not lighthouse.CHROMIUM:
        lack("chromium", "chromium")
    from playwright.sync_api import expect, sync_playwright
    expect.set_options(timeout=120_000)  # a busy machine is late, not wrong
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
        chromium = playwright.chromium.launch(executable_path=lighthouse.CHROMIUM, args=options)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module", params=["http", "file"])
def address(request, tmp_path_factory):
    """The address of a module's PAGE with its files STATIC, served below another folder or opened from disk."""
    root = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "chapters/_static", root / "book/_static")
    for name, content in getattr(request.module, "STATIC", {}).items():
        (root / "book/_static" / name).write_text(content)
    (root / "book/chapters").mkdir()
    (root / "book/chapters/page.html").write_text(request.module.PAGE, encoding="utf-8")
    if request.param == "file":
        yield (root / "book/chapters/page.html").as_uri()
        return
    running = server.serve(root)
    yield f"http://127.0.0.1:{running.server_port}/book/chapters/page.html"
    running.shutdown()


@pytest.fixture
def page(browser, address):
    """The module's PAGE in a fresh tab; an error of a script fails the test."""
    tab, errors = browser.new_page(), []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.set_default_timeout(120_000)
    tab.goto(address)
    yield tab
    tab.close()
    assert not errors
