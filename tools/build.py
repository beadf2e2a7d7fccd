"""Render the book, check the result, print its address.

    python tools/build.py [--repository https://HOST/OWNER/NAME] [--branch main] [--site https://HOST/PATH/]
                           [--hub https://HOST]

After a success, a build reads only the pages that changed, and those that show numbers of others. It is a fresh one
after a failure, or when something changed that other pages may show: settings, styles, tools, a title, a label.
"""
import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

import guard
import ledger
import lists
import notebooks
import refresh

ROOT = Path(__file__).resolve().parent.parent
NAME = r"[\w.-]*\w[\w.-]*"
# What an address looks like at the hosts that the theme has buttons for.
REST = r"[\w-]*\.[\w.-]+(?::\d+)?"
HOSTS = {"github": rf"github{REST}/{NAME}/{NAME}", "gitlab": rf"gitlab{REST}/{NAME}(?:/{NAME})+",
         "bitbucket": rf"bitbucket\.org/{NAME}/{NAME}"}
FORMS = ("https://github.com/OWNER/NAME, https://gitlab.com/GROUP/NAME, https://bitbucket.org/OWNER/NAME, "
         "or one of the first two on a host of your own whose name starts with github or gitlab")
BINDER = rf"https://(?:github|gitlab)\.com/{NAME}/{NAME}"  # mybinder.org reaches no private host, the theme no subgroup
BRANCH = r"\w[\w.-]*(?:/\w[\w.-]*)*"
SITE = r"https?://[\w-]+(?:\.[\w-]+)*(?::\d+)?(?:/[\w.~%-]+)*/?"  # http: GitHub Pages, until a certificate is there
HUB = (r"(https?://[\w-]+(?:\.[\w-]+)*(?::\d+)?(?:/(?!hub|user)[\w.~-]+)*)"
       r"(?:/(?:hub|user|user-redirect)(?:[/?#].*)?)?/?")  # as pasted
JUPYTER_BOOK = """
import functools, importlib.metadata
import notebooks  # before jsonschema, whose grammar it stops
importlib.metadata.entry_points = functools.cache(importlib.metadata.entry_points)  # pybtex asks at every citation: 2 s
from jupyter_book.cli.main import main
main()
"""
SEEN = re.compile(r"^[\s\"]*(?:#+ .*|\([\w-]+\)=|:label: .*|:name: .*|\$\$ \(.*|`{3,}\{exercise\}.*|name\": \"fig-.*)",
                  re.M)  # lines of a source that name something
TEXTS = {".css", ".html", ".js", ".json", ".py", ".svg", ".txt"}  # ours, among what systems and editors lay there


def place(repository: str) -> tuple[str, str]:
    """The kind of host that a repository lies on, and its address without what people paste along.

    Raises
    ------
    ValueError                   if the address has none of FORMS; a token in it is not repeated
    """
    scheme, _, rest = repository.partition("://")
    host, _, path = rest.partition("/")
    address = f"{host.lower().removeprefix('www.')}/{path.rstrip('/').removesuffix('.git')}"
    for kind, form in HOSTS.items():
        if scheme.lower() == "https" and re.fullmatch(form, address, re.ASCII):
            return kind, f"https://{address}"
    shown = re.sub(r"//.*@", "//…@", repository).partition("?")[0]
    raise ValueError(f"REPOSITORY: got {shown!r}, wanted {FORMS}")


def configuration(repository: str, branch: str, root: Path = ROOT, site: str = "", hub: str = "") -> dict:
    """The book's configuration, with the buttons of a repository and a hub, and the published address, where given.

    Raises
    ------
    ValueError                   if one of them is nothing that links can be made of
    """
    config = yaml.load(notebooks.read_text(root / "_config.yml"), guard.UniqueKeys)
    html, sphinx = config.setdefault("html", {}), config["sphinx"]["config"]
    # No draft, no export like cnn.html, nothing hidden beside the pages: Sphinx would take each for a page.
    sphinx["include_patterns"] = [p.relative_to(root).as_posix() for p in notebooks.sources(root)]
    if site:
        if not re.fullmatch(SITE, site, re.ASCII):
            raise ValueError(f"SITE: got {site!r}, wanted https://HOST/PATH/")
        html["baseurl"] = site.rstrip("/") + "/"
    if hub and not (hub_found := re.fullmatch(HUB, hub, re.ASCII)):
        raise ValueError(f"HUB: got {re.sub('//.*@', '//…@', hub)!r}, wanted https://HOST or https://HOST/PATH")
    if hub and not repository:
        raise ValueError("HUB: wanted REPOSITORY= too, from which the hub pulls the notebooks")
    if not repository:
        return config
    kind, url = place(repository)
    if not re.fullmatch(BRANCH, branch, re.ASCII) or ".." in branch:
        raise ValueError(f"BRANCH: got {branch!r}, wanted letters, digits, and . _ - / between them")
    if kind == "bitbucket" and "/" in branch:
        raise ValueError(f"BRANCH: got {branch!r}, wanted one without /, which Bitbucket takes for a folder")
    config["repository"] = {"url": url, "branch": branch, "path_to_book": ""}
    sphinx["html_theme_options"]["repository_provider"] = kind
    html |= {"use_repository_button": True, "use_edit_page_button": True, "use_issues_button": kind != "bitbucket"}
    if pages := re.fullmatch(r"https://github\.com/(.+)/(.+)", url):
        home = f"{pages[1].lower()}.github.io"
        html.setdefault("baseurl", f"https://{home}/" + ("" if pages[2].lower() == home else f"{pages[2]}/"))
    if re.fullmatch(BINDER, url, re.ASCII):
        config["launch_buttons"] = {"binderhub_url": "https://mybinder.org", "notebook_interface": "jupyterlab"}
    if hub:
        config.setdefault("launch_buttons", {"notebook_interface": "jupyterlab"})["jupyterhub_url"] = hub_found[1]
    return config


def shape(settings: str, root: Path = ROOT) -> str:
    """A digest of all that a page may show of another one, and of what all pages share."""
    static = root / "chapters/_static"
    texts = [root / "_toc.yml", root / "references.bib"]
    for folder in (static, ROOT / "tools"):
        texts += sorted(p for p in folder.rglob("*") if p.suffix in TEXTS and p.is_file()
                        and not any(part.startswith(".") for part in p.relative_to(folder).parts))
    parts = [settings.encode(), *(notebooks.read_text(p).encode() for p in texts),
             *(p.read_bytes() for folder in (static, root / "imgs") for p in guard.pictures(folder))]
    parts += ["\n".join([page.name, *SEEN.findall(notebooks.read_text(page))]).encode()
              for page in notebooks.sources(root)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def placed(line: str, root: Path = ROOT) -> str:
    """What Sphinx says, with the words that it is about: MyST-NB numbers the lines of a cell n from n0000."""
    line = line.replace(f"{root}{os.sep}", "")
    if not (at := re.match(r"(chapters/\w+\.ipynb):(\d+):", line)):
        return line
    cell, row = divmod(int(at[2]), 10000)
    text = notebooks.read(root / at[1]).cells[cell - 1].source.splitlines()
    return f"{at[1]}, at {text[min(row - 2, len(text) - 1)][:60]!r}:{line[at.end():]}"


def render(repository: str = "", branch: str = "main", root: Path = ROOT, site: str = "", hub: str = "") -> list[str]:
    """Build the book at `root` into `root/_build/html`; the warnings and errors of Jupyter Book."""
    settings = yaml.safe_dump(configuration(repository, branch, root, site, hub))
    out, now = root / "_build", shape(settings, root)
    stamp = out / "shape"
    fresh = not stamp.exists() or stamp.read_text() != now
    if fresh:
        out.mkdir(exist_ok=True)
        for path in out.iterdir():  # and not the folder itself, which may be a link
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    stamp.unlink(missing_ok=True)
    config = out / "config.yml"
    config.write_text(settings, encoding="utf-8")
    command = [sys.executable, "-c", JUPYTER_BOOK, "build", str(root), "--config", str(config), "-W", "-n",
               "--keep-going", *(["--all"] if fresh else [])]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "tools")}  # where the extensions `cards` and `page` lie
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True)
    if not done.returncode:
        stamp.write_text(now)
        return []
    lines = notebooks.ANSI.sub("", done.stdout + done.stderr).splitlines()
    return [placed(line, root) for line in lines if re.search(r"WARNING|ERROR|Error: \S", line)] or lines[-20:]


def build(repository: str = "", branch: str = "main", root: Path = ROOT, site: str = "", hub: str = "") -> list[str]:
    """Render the book and let the guard look at it; what is wrong, one line each."""
    if found := guard.source_complaints(root):
        return found
    configuration(repository, branch, root, site, hub)  # a bad address is told before all else
    return (refresh.foreign(root) or lists.complaints(root) or ledger.complaints(root)
            or render(repository, branch, root, site, hub) or guard.complaints(root))


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--repository", default="")
    ap.add_argument("--branch", default="main")
    ap.add_argument("--site", default="", help="where the book is published")
    ap.add_argument("--hub", default="", help="a JupyterHub that pulls the notebooks of the repository")
    args = ap.parse_args()
    try:
        found = build(args.repository, args.branch, site=args.site, hub=args.hub)
    except ValueError as e:
        sys.exit(str(e))
    except OSError as e:
        sys.exit(guard.unwritable(e))
    if found:
        sys.exit("\n".join(["the book is not right:", *found]))
    for path in sorted({*(ROOT / "chapters").glob("[!.]*.ipynb")} - {*notebooks.chapters()}):
        print(f"chapters/{path.name} is not in the book: _toc.yml has no line for it")
    print(f"the book: {(ROOT / '_build/html/index.html').as_uri()}")


if __name__ == "__main__":
    main()
