"""The build and its guard can fail; the launch buttons and Binder get what they need."""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

import build
import install
import notebooks
import refresh
from guard import complaints, page_complaints
from notebooks import decode

ROOT = Path(__file__).resolve().parent.parent
PAGE = """# A page
(sec-here)=
## Section
See {cite:p}`work2020` and [](#sec-here).
"""
WORK = "@book{work2020,\n  author={A, B}, title={T}, publisher={P}, year={2020},\n}\n"
TOC = "format: jb-book\nroot: chapters/intro\nchapters:\n- file: chapters/page\n"


def glued(name, text):
    """The output that keeps a number for the prose."""
    kind = "application/papermill.record/"
    return new_output("display_data", data={kind + "text/plain": text},
                      metadata={"scrapbook": {"name": name, "mime_prefix": kind}})


def lay(root):
    """The sources of a book of two pages."""
    (root / "chapters").mkdir()
    for file in ("_config.yml", "chapters/_static", "imgs"):
        copy = shutil.copytree if (ROOT / file).is_dir() else shutil.copy
        copy(ROOT / file, root / file)
    (root / "_toc.yml").write_text(TOC)
    (root / "references.bib").write_text(WORK)
    (root / "chapters/intro.md").write_text("# Intro\n\n```{bibliography}\n```\n")
    (root / "chapters/page.md").write_text(PAGE)
    return root


@pytest.fixture
def small(tmp_path):
    """A book of two pages and no repository, not yet built."""
    return lay(tmp_path)


def test_the_book_builds_without_a_complaint(built):
    root, found = built
    assert found == []
    assert (root / "_build/html/index.html").is_file()


def test_no_repository_no_buttons(built):
    root, _ = built
    for page in notebooks.toc_files(root):
        html = (root / f"_build/html/{page}.html").read_text(encoding="utf-8")
        assert "mybinder.org" not in html and "btn-source" not in html and "github.com/" not in html, page


def github(place, branch):
    """The links of a page on github.com; the last three open the student edition on the branch `notebooks`."""
    home, file = f"https://github.com/{place}", f"{place}/blob/notebooks/page.ipynb"
    return [home, f"{home}/edit/{branch}/chapters/page.ipynb", f"{home}/issues/new",
            f"https://mybinder.org/v2/gh/{place}/notebooks?urlpath=lab/tree/page.ipynb",
            f"https://colab.research.google.com/github/{file}",
            f"https://kaggle.com/kernels/welcome?src=https://github.com/{file}"]


GITHUB = github("some-one/my.book", "trunk")
GITLAB = "https://gitlab.com/lab/book"
# The repository, its branch, where the book is published; the links of the buttons; the address of the pages
PLACES = {
    "GitHub": (("https://github.com/some-one/my.book", "trunk", ""), GITHUB, "https://some-one.github.io/my.book/"),
    "GitLab": ((GITLAB, "feature/x-1.0", ""), [GITLAB, f"{GITLAB}/-/edit/feature/x-1.0/chapters/page.ipynb",
                                               f"{GITLAB}/-/issues/new",
                                               "https://mybinder.org/v2/gl/lab%2Fbook/feature/x-1.0"
                                               "?urlpath=lab/tree/chapters/page.ipynb"], None),
}
url = "https://gitlab.com/my-github/bitbucket-books/group/book"
PLACES["subgroup of GitLab"] = (
    (url, "main", ""), [url, f"{url}/-/edit/main/chapters/page.ipynb", f"{url}/-/issues/new"], None)
url = "https://github.example.edu/lab/book"
PLACES["GitHub of one's own"] = (
    (url, "main", ""), [url, f"{url}/edit/main/chapters/page.ipynb", f"{url}/issues/new"], None)
url = "https://bitbucket.org/lab/book"
PLACES["Bitbucket, a domain of one's own"] = (
    (url, "main", "https://book.example.org"), [url, f"{url}/src/main/chapters/page.ipynb?mode=edit"],
    "https://book.example.org/")


@pytest.fixture(scope="module", params=PLACES)
def published(request, tmp_path_factory):
    """A book whose second page is a notebook, built for a place: (links of its buttons, address, folder of pages)."""
    (repository, branch, site), links, home = PLACES[request.param]
    root = lay(tmp_path_factory.mktemp("published"))
    (root / "chapters/page.md").unlink()
    cells = [new_markdown_cell("# Page\n\n{cite:p}`work2020`"), new_code_cell("1", execution_count=1)]
    nbformat.write(new_notebook(cells=cells, metadata=notebooks.CLEAN_METADATA), root / "chapters/page.ipynb")
    settings = (root / "_config.yml").read_text(encoding="utf-8")
    (root / "_config.yml").write_text(settings.replace(" notation: ", " page: "), encoding="utf-8")  # its description
    assert build.build(repository, branch, root, site) == []
    return links, home, root / "_build/html"


def test_each_form_of_repository_gets_its_buttons(published):
    links, _, folder = published
    soup = BeautifulSoup((folder / "chapters/page.html").read_text(encoding="utf-8"), "html.parser")
    found = [a["href"].partition("?title")[0].partition("?issue[")[0]
             for a in soup.select(".article-header-buttons a[href^=http]")]
    assert sorted(found) == sorted(links)


def head(file):
    """What the head of a page tells machines: its link to the canonical address, and {name: content} of its metas."""
    soup = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")
    links = [link["href"] for link in soup.select("link[rel=canonical]")]
    return links, {meta.get("property") or meta.get("name"): meta["content"] for meta in soup.select("meta[content]")}


def test_addresses_are_whole_where_one_is_known(published):
    _, base, folder = published
    if not base:
        assert head(folder / "chapters/page.html")[0] == [] and not (folder / "sitemap.xml").exists()
        return
    for page, own, kind in (("index", "chapters/intro", "website"), ("chapters/intro", "chapters/intro", "website"),
                            ("chapters/page", "chapters/page", "article")):
        links, metas = head(folder / f"{page}.html")
        assert links == [f"{base}{own}.html"] and metas["og:url"] == links[0], page
        assert metas["og:type"] == kind and metas["og:title"] and 50 < len(metas["og:description"]) <= 155
        assert metas["og:image"] == f"{base}_static/social_card.png"
        with Image.open(folder / "_static/social_card.png") as card:
            assert card.size == (int(metas["og:image:width"]), int(metas["og:image:height"]))
        assert len(metas["og:image:alt"]) > 20
    places = re.findall("<loc>(.*?)</loc>", (folder / "sitemap.xml").read_text(encoding="utf-8"))
    assert places == [f"{base}chapters/intro.html", f"{base}chapters/page.html"]
    assert (folder / "robots.txt").read_text(encoding="utf-8") == f"Sitemap: {base}sitemap.xml\n"
    missing = BeautifulSoup((folder / "404.html").read_text(encoding="utf-8"), "html.parser")
    needed = missing.select("[src], script, link:not([href^='data:'])")
    assert missing.base["href"] == base and not needed
    assert {head(folder / f"{page}.html")[1]["robots"] for page in ("404", "search")} == {"noindex"}


def test_without_an_address_nothing_is_claimed(built):
    root, _ = built
    html = root / "_build/html"
    assert not (html / "sitemap.xml").exists() and not (html / "robots.txt").exists()
    for page in ("index", "search", "404", *notebooks.toc_files(root)):
        links, metas = head(html / f"{page}.html")
        assert links == [] and not {"og:url", "og:image", "twitter:card"} & set(metas), page
        assert all(metas.values()), f"{page}: an empty meta element"
        soup = BeautifulSoup((html / f"{page}.html").read_text(encoding="utf-8"), "html.parser")
        icons = [link["href"] for link in soup.select("link[rel=icon]")]
        assert icons, f"{page}: no icon, so a browser asks for /favicon.ico, which may be another's"
        assert all(i.startswith("data:") or (html / page).parent.joinpath(i).exists() for i in icons), page
    assert not (html / "genindex.html").exists()


def test_an_address_as_people_paste_it_gives_the_same_book():
    wanted = build.configuration("https://github.com/some-one/my.book", "trunk")
    assert wanted["html"]["baseurl"] == "https://some-one.github.io/my.book/"
    for pasted in ("HTTPS://www.GitHub.com/some-one/my.book.git/", "https://github.com/some-one/my.book/"):
        assert build.configuration(pasted, "trunk") == wanted
    own, public = "https://gitlab-ce.example.edu:8443/lab/book", "https://gitlab.com/my/lab/book"  # neither has Binder
    for kind in ("launch_buttons", "html"):
        assert build.configuration(own, "main").get(kind) == build.configuration(public, "main").get(kind)
    assert build.configuration(own, "main")["repository"]["url"] == own
    assert build.configuration("https://github.com/SomeOne/someone.github.io", "main")["html"]["baseurl"] == (
        "https://someone.github.io/")


@pytest.mark.parametrize("address", [
    "someone/book", "https://github.com/someone", "https://git.example.org/a/b", "git@github.com:someone/book",
    "http://github.com/someone/book", "https://codeberg.org/someone/book", "https://gist.github.com/someone/book",
    "https://someone.github.io/book", "https://github.com/someone/book/tree/main", "https://github.com/someone/..",
    "https://gitlab.com/someone/book/-/tree/main", "https://github.com//book", "https://github.com/someone/my book",
    "https://github.com/someone/book#readme", "https://github.com/someone/büch", " https://github.com/someone/book",
    "https://bitbucket.example.edu/projects/lab/repos/book", "https://github.com/someone/.git",
])
def test_bad_repository_is_one_clear_error(monkeypatch, address):
    monkeypatch.setattr(sys, "argv", ["build.py", "--repository", address])
    with pytest.raises(SystemExit) as said:
        build.main()
    assert said.value.code == f"REPOSITORY: got {address!r}, wanted {build.FORMS}"


@pytest.mark.parametrize("address", ["https://someone:s3cret@github.com/someone/book",
                                     "https://s3cret@gitlab.com/someone/book",
                                     "https://github.com/someone/book?token=s3cret"])
def test_a_token_is_refused_and_not_repeated(address):
    with pytest.raises(ValueError, match="REPOSITORY: got .*, wanted https://github.com") as said:
        build.configuration(address, "main")
    assert "s3cret" not in str(said.value)


@pytest.mark.parametrize("branch", ["", "a b", "a#1", "a?b", "-x", "/x", "x/", "a//b", "a..b", "a%20b", "ä", "a\n"])
def test_a_branch_that_no_link_can_name_is_refused(branch):
    with pytest.raises(ValueError, match=re.escape(f"BRANCH: got {branch!r}, wanted letters, digits")):
        build.configuration("https://github.com/someone/book", branch)


def test_a_branch_with_folders_is_refused_on_bitbucket():
    with pytest.raises(ValueError, match="BRANCH: got 'a/b', wanted one without /"):
        build.configuration("https://bitbucket.org/someone/book", "a/b")


@pytest.mark.parametrize(("site", "home"), [
    ("https://book.example.org", "https://book.example.org/"),
    ("https://book.example.org/", "https://book.example.org/"),
    ("https://someone.github.io/some.book", "https://someone.github.io/some.book/"),
    ("http://book.example.org/a/b/", "http://book.example.org/a/b/"),
])
def test_the_published_address_is_the_one_given(site, home):
    for repository in ("", "https://github.com/someone/book", "https://gitlab.com/someone/book"):
        assert build.configuration(repository, "main", site=site)["html"]["baseurl"] == home


@pytest.mark.parametrize("site", [
    "book.example.org", "ftp://book.example.org/", "https://", "https:///book", "https://u:p@book.example.org/",
    "https://book.example.org/?a=b", "https://book.example.org/#top", "https://book.example.org//a", "https://a b.org/",
    "https://book.example.org/index page/", "/book/",
])
def test_bad_site_is_one_clear_error(monkeypatch, site):
    monkeypatch.setattr(sys, "argv", ["build.py", "--site", site])
    with pytest.raises(SystemExit) as said:
        build.main()
    assert said.value.code == f"SITE: got {site!r}, wanted https://HOST/PATH/"


# Sources that are wrong, and what is said of each; Sphinx names all of the first at once
FAULTS = {
    "what Sphinx misses": ("page.md", PAGE + """{numref}`fig-lost` $\\nonsense{x}$ [there](nowhere.md)
![a picture that is not there at all](none.png) {cite:p}`nobody1999`
""", ["fig-lost", "\\nonsense", "nowhere", "none.png", "nobody1999"]),
    "what the guard misses": ("page.md", """# A page

![plot](p.png) <img src="none.png" alt="picture that is not there">
""", ["work2020 is cited nowhere", "alternative text 'plot'", "none.png leads"]),
    "page not in the folder": ("../_toc.yml", TOC.replace("page", "lost"),
                               ["_toc.yml: chapters/lost is no page, wanted chapters/lost.ipynb or chapters/lost.md"]),
    "page given twice": ("../_toc.yml", f"{TOC}- file: chapters/page\n", ["_toc.yml: document file used multiple"]),
    "chapters without one": ("../_toc.yml", TOC.replace("- file: chapters/page\n", ""), ["_toc.yml: 'chapters' not a"]),
    "a tab": ("../_toc.yml", f"{TOC}\t- file: chapters/page\n", ["_toc.yml: while scanning"]),
    "a comma less": ("../references.bib", WORK.replace("B},", "B}"), ["references.bib: syntax error in line 2"]),
    "work given twice": ("../references.bib", 2 * WORK, ["references.bib: repeated bibliography entry: work2020"]),
    "key given twice": ("../_config.yml", "title: a\nhtml: {}\nhtml: {}\n", ["key 'html' is given twice"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_source_is_red(small, fault):
    file, text, wanted = FAULTS[fault]
    shutil.copy(ROOT / "imgs/photo.png", small / "chapters/p.png")
    (small / "chapters" / file).write_text(text, encoding="utf-8")
    found = build.build(root=small)
    assert [said for said in wanted if not any(said in line for line in found)] == [], found


def test_what_sphinx_says_of_a_cell_names_its_words(tmp_path):
    (tmp_path / "chapters").mkdir()
    cells = [new_code_cell("1"), new_markdown_cell("# Page\n\nSee {doc}`lost`.")]
    notebooks.store(new_notebook(cells=cells), tmp_path / "chapters/page.ipynb")
    for row, words in ((2, "# Page"), (4, "See {doc}`lost`."), (9, "See {doc}`lost`.")):
        said = build.placed(f"{tmp_path}/chapters/page.ipynb:2000{row}: WARNING: unknown document: 'lost'", tmp_path)
        assert said == f"chapters/page.ipynb, at {words!r}: WARNING: unknown document: 'lost'"
    assert build.placed(f"{tmp_path}/chapters/page.md:3: WARNING: x", tmp_path) == "chapters/page.md:3: WARNING: x"


def test_book_builds_in_any_folder_with_foreign_files_and_other_line_endings(small, tmp_path_factory, foreign):
    root = tmp_path_factory.mktemp("odd") / "my books (ü) & co's #1 100% [x]"
    shutil.copytree(small, root)
    before = build.shape("", root)
    foreign(root)
    for export in ("page.html", "page.py", "page.txt"):  # of nbconvert
        (root / "chapters" / export).write_text("an export")
    for path in (*root.glob("[!.d]*.*"), *root.glob("chapters/[!.]*.md"), *root.glob("chapters/_static/[a-z]*.[cj]s*")):
        if path.is_file() and not path.name.endswith(("~", "db")):
            path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert build.shape("", root) == before
    assert build.build(root=root) == []
    html = root / "_build/html"
    lost = re.compile(r"\.[^b].*|.*~|Thumbs.db|desktop.ini|Untitled.*|.*[Cc]opy[1)].*")
    assert [p.name for p in html.rglob("*") if lost.fullmatch(p.name)] == []
    assert "\ufeff" not in (html / "_static/styles.css").read_text(encoding="utf-8")
    (html / "_static/vendor/fontawesome/webfonts/.DS_Store").write_bytes(b"\0")
    (html / "chapters/._page.html").write_bytes(b"\0\xff")
    assert build.build(root=root) == []


@pytest.mark.parametrize("owner", ["book", "_build"])
@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root, and no setpriv")
def test_folder_that_cannot_be_written_is_one_clear_error(small, owner):
    for folder in ("tools", "chapters/course"):
        shutil.copytree(ROOT / folder, small / folder, ignore=shutil.ignore_patterns("__pycache__"))
    locked = small if owner == "book" else small / "_build"
    if owner == "_build":  # that of another user
        (locked / "html").mkdir(parents=True)
    locked.chmod(0o555)
    modes = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"] if os.geteuid() == 0 else []
    try:
        done = subprocess.run([*modes, sys.executable, "tools/build.py"], cwd=small, capture_output=True, text=True)
    finally:
        locked.chmod(0o755)
    wanted = "Permission denied; wanted a folder that can be written: copy the book to one"
    assert done.returncode == 1 and re.fullmatch(rf"(\S*_build(/html)?|html): {wanted}\n", done.stderr), done.stderr


def test_a_link_in_place_of_the_build_folder_stays(small, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("scratch")
    (small / "_build").symlink_to(elsewhere)
    for _ in range(2):
        assert build.build(root=small) == []
        (elsewhere / "shape").unlink()
    assert (small / "_build").is_symlink() and (elsewhere / "html/index.html").is_file()


def test_second_build_reads_what_changed_and_shows_it(small):
    """A notebook that is as it was is not written again; a page that shows its number, and a new title, are."""
    cell = new_code_cell("1", outputs=[glued("number", "0.25")], execution_count=1)

    def write(name, title):
        notebook = new_notebook(cells=[new_markdown_cell(f"# {title}"), cell], metadata=notebooks.CLEAN_METADATA)
        notebook.metadata["fingerprint"] = {"its outputs": refresh.outputs(notebook)}
        nbformat.write(notebook, small / f"chapters/{name}.ipynb")

    write("first", "Page first")
    write("second", "Page second")
    (small / "_toc.yml").write_text(TOC + "- file: chapters/first\n- file: chapters/second\n")
    (small / "chapters/page.md").write_text(PAGE + "{glue:text}`first.ipynb::number:.3f`\n")

    def written(name):
        return (small / f"_build/html/chapters/{name}.html").stat().st_mtime_ns

    assert build.build(root=small) == []
    before = {name: written(name) for name in ("page", "first", "second")}
    cell.outputs = [glued("number", "0.75")]
    write("first", "Page first")
    assert build.build(root=small) == []
    assert written("first") > before["first"] and written("second") == before["second"]
    assert "0.750" in (small / "_build/html/chapters/page.html").read_text(encoding="utf-8")
    write("first", "Another title")
    assert build.build(root=small) == []
    assert "Another title" in (small / "_build/html/chapters/second.html").read_text(encoding="utf-8")
    (small / "chapters/page.md").write_text(PAGE + "{glue:text}`first.ipynb::none:.3f`\n")
    assert build.build(root=small) and build.build(root=small), "the second build after a failure passed"


def test_pages_are_light(built):
    """What the extension is for: no icon script, no search index on every page, sizes, lossless pixels, MathML."""
    root, _ = built
    html = (root / "_build/html/chapters/cnn.html").read_text(encoding="utf-8")
    assert not re.search("fontawesome.js|searchindex|window.MathJax|data:image", html)
    soup = BeautifulSoup(html, "html.parser")
    assert all(image.get("width") and image.get("height") for image in soup.select("article img"))
    assert 60 <= len(soup.select_one("meta[name=description]")["content"]) <= 160
    stored = notebooks.of_kind(notebooks.outputs(notebooks.read(ROOT / "chapters/cnn.ipynb")), "image/png")[0]
    shown = soup.select_one("article .cell_output figure:not(.explore) img")["src"]
    with Image.open(root / "_build/html/chapters" / shown) as picture:
        assert picture.format == "WEBP"
        assert (np.asarray(picture.convert("RGB")) == np.asarray(decode(stored))).all()


WRONG = {
    "<p>loss = nan</p>": "'nan' in",
    "<p>&lt;Figure size 640x480 with 1 Axes&gt;</p>": "a figure is shown as text",
    "<p>/home/someone/book/chapters</p>": "a path of a machine: '/home/someone",
    "<p>C:\\Users\\someone</p>": "a path of a machine",
    "<p>lib/site-packages/torch</p>": "a path of a machine",
    "<p>{glue:text}`x`</p>": "unfilled reference",
    "<p>Section ??</p>": "unfilled reference",
    '<span class="xref std std-ref">here</span>': "unresolved reference 'here'",
    '<img src="a.png">': "alternative text ''",
    '<img src="a.png" alt="_images/some_long_file_name.png">': "alternative text",
    '<img src="a.webp" alt="../_images/some_long_file_name.webp">': "alternative text",
    '<div class="output traceback">Error</div>': "error or a warning",
    '<div class="output stderr">Warning</div>': "error or a warning",
    "<a href='https://github.com/binder-examples/x'>x</a>": "a template's address",
    "<script src='https://example.org/x.js'></script>": "asks another host for https://example.org/x.js",
}


@pytest.mark.parametrize("html", WRONG)
def test_wrong_page_is_red(html):
    found = page_complaints("page", BeautifulSoup(f"<article>{html}</article>", "html.parser"), html)
    assert len(found) == 1 and WRONG[html] in found[0], found


@pytest.mark.parametrize("html", [
    "<p>banana, nano, 1/home/2, a/tmp/b</p>", "<div class='cell_input'>float('nan')</div>",
    "<img src='a.png' alt='A grey disc on a black ground.'>",
])
def test_right_page_is_green(html):
    assert page_complaints("page", BeautifulSoup(f"<article>{html}</article>", "html.parser"), html) == []


def test_lost_page_and_dead_links_are_red(built, tmp_path):
    root = shutil.copytree(built[0], tmp_path / "book")
    page = root / "_build/html/chapters/summary.html"
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace("</article>", '<a href="cnn.html#none">x</a><a href="none.html">y</a></article>'))
    assert complaints(root) == ["chapters/summary.html: cnn.html#none leads to no anchor",
                                "chapters/summary.html: none.html leads to no file"]
    page.unlink()
    found = complaints(root)
    assert "chapters/summary: in _toc.yml, and not in the built book" in found
    assert "chapters/intro.html: summary.html leads to no file" in found


def test_bibliography_is_large_and_has_addresses():
    entries = re.split(r"^@", (ROOT / "references.bib").read_text(encoding="utf-8"), flags=re.M)[1:]
    assert len(entries) >= 25
    for entry in entries:
        assert re.search(r"^\s*(doi|url)\s*=", entry, re.M), entry.splitlines()[0]
    dois = re.findall(r"doi\s*=\s*\{([^}]*)\}", "".join(entries))
    assert len(dois) >= 25 and all(re.fullmatch(r"10\.\d{4,}/\S+", doi) for doi in dois)


def test_binder_gets_python_and_a_torch_without_cuda():
    done = subprocess.run([sys.executable, "-m", "repo2docker", "--no-build", "--debug", ROOT],
                          capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "Building conda environment for python=3.11" in said
    copied = said.index("COPY --chown=0:0 src/ ${REPO_DIR}/")  # before: the file names one beside it
    assert 'pip install --no-cache-dir -r ".binder/requirements.txt"' in said[copied:]
    lines = (ROOT / ".binder/requirements.txt").read_text().splitlines()
    assert {"-c ../constraints.txt", "-r ../requirements.txt"} < set(lines)
    version = re.search(r"^torch==(\S+)$", (ROOT / "requirements.txt").read_text(), re.M)[1]
    assert f"torch=={version}+cpu" in lines


# Make and what it installs

PYTHON = """#!/bin/sh
# Stands in for Python: makes an environment of a copy of itself, and notes all else.
case "$*" in
  "-m venv"*) test "$3" = --clear && rm -rf .venv/*; mkdir -p .venv/bin && cp "$0" .venv/bin/python;;
  "-c print(1)") echo 1;;
  -c*) ;;
  *) echo "$@" >> calls; test -e .venv/bin/python || echo "environment gone" >> calls;;
esac
"""


@pytest.fixture
def made(tmp_path):
    """Calls make in a folder with odd characters, with a stand-in for Python; what it did, and the calls."""
    folder = tmp_path / "my books (ü) & co's #1"
    folder.mkdir()
    for file in ("Makefile", "requirements.txt", "tests/requirements.txt", "tools/requirements.txt",
                 "constraints.txt", "tools/package.json", "tools/package-lock.json"):
        (folder / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, folder / file)
    (folder / "python").write_text(PYTHON)
    (folder / "python").chmod(0o755)

    def make(*arguments):
        (folder / "calls").unlink(missing_ok=True)
        env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
        command = ["make", "-C", folder, "PYTHON=./python", *arguments]
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        return done, (folder / "calls").read_text().splitlines() if (folder / "calls").exists() else []

    make.folder = folder
    return make


def test_make_with_jobs_deletes_no_environment_in_use(made):
    assert made("book")[0].returncode == 0
    done, calls = made("-j4", "clean", "book")
    assert done.returncode == 0, done.stderr
    assert calls == ["tools/install.py book --torch cpu", "tools/refresh.py",
                     "tools/build.py --repository  --branch main --site  --hub "]
    assert (made.folder / ".venv/book").exists()


def test_make_installs_once_and_again_where_the_environment_is_broken(made):
    assert len(made("book")[1]) == 3 and len(made("book")[1]) == 2
    (made.folder / ".venv/bin/python").unlink()
    (made.folder / ".venv/bin/python").symlink_to("/nowhere/python3")  # that of another machine
    assert made("book")[1][0] == "tools/install.py book --torch cpu"


def test_make_clean_follows_no_link(made):
    assert made("book")[0].returncode == 0
    (made.folder / ".venv").rename(made.folder / "shared")
    (made.folder / ".venv").symlink_to("shared")
    assert len(made("book")[1]) == 2
    assert made("clean")[0].returncode == 0
    assert not (made.folder / ".venv").is_symlink() and (made.folder / "shared/bin/python").exists()


def test_make_passes_what_it_is_given_as_it_is(made):
    _, calls = made("book", "REPOSITORY=it's `odd` \"so\"", "BRANCH=a b", "SITE=https://x.org/")
    assert calls[-1] == "tools/build.py --repository it's `odd` \"so\" --branch a b --site https://x.org/ --hub "


@pytest.mark.parametrize("python", ["python9", "./old"])
def test_make_says_which_python_it_wants(made, python):
    (made.folder / "old").write_text("#!/bin/sh\ntest \"$1\" = --version && echo Python 2.7.18\n")
    (made.folder / "old").chmod(0o755)
    done, calls = made("book", f"PYTHON={python}")
    assert done.returncode == 2 and calls == []
    assert re.match(rf"PYTHON: got {re.escape(python)} \(.+\), wanted 3.11 or newer: make PYTHON=python3.12 …\n",
                    done.stderr), done.stderr


def test_make_help_lists_every_command(made):
    listed = re.findall(r"^([a-z]+) +\S", made("help")[0].stdout, re.M)
    assert {"book", "test", "clean", "help"} < set(listed) and "again" not in listed


def test_nothing_is_fetched_that_is_there(tmp_path, monkeypatch):
    assert install.missing(install.FOR["test"], install.pinned([install.CONSTRAINTS])) == []
    assert install.missing_npm(install.LEFT_OUT["test"], Path(sys.prefix, "web")) == []
    (tmp_path / "tools").mkdir()
    (tmp_path / "requirements.txt").write_bytes(b"\xef\xbb\xbf# a comment\r\ntorch==0.1\r\nPillow==0.2\r\nnone==1\r\n")
    shutil.copy(ROOT / "tools/package-lock.json", tmp_path / "tools")
    monkeypatch.setattr(install, "TOOLS", tmp_path / "tools")
    assert install.missing(["requirements.txt"], {}) == ["torch==0.1", "pillow==0.2", "none==1"]
    names = install.missing_npm(install.LEFT_OUT["book"], tmp_path / "web")
    assert "katex" in names and "purgecss" in names and not {"axe-core", "vnu-jar", "lighthouse"} & set(names)
    assert {"axe-core", "vnu-jar"} <= set(install.missing_npm(install.LEFT_OUT["test"], tmp_path / "web"))


def test_what_cannot_be_fetched_is_one_clear_sentence():
    with pytest.raises(SystemExit) as said:
        install.pip(["no-such-thing==1.0"], "--no-index")
    assert str(said.value) == ("could not fetch no-such-thing==1.0; what is installed stays: connect to the network "
                               "and try again (ERROR: No matching distribution found for no-such-thing==1.0)")


def test_npm_that_fails_leaves_what_is_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(install, "WEB", tmp_path / "web")
    monkeypatch.setattr(install, "TOOLS", tmp_path)
    (tmp_path / "web/node_modules/katex").mkdir(parents=True)
    (tmp_path / "package.json").write_text('{"dependencies": {"katex": "1.0.0"}}')
    (tmp_path / "package-lock.json").write_text("{}")  # does not fit: npm ends before it asks the network
    with pytest.raises(SystemExit, match=r"^could not fetch katex; what is installed stays: .* \(npm error .*\)$"):
        install.npm(["katex"], [])
    assert (tmp_path / "web/node_modules/katex").is_dir()
