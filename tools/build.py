"""Render the book, check the result, print its address.

    python tools/build.py [--repository https://HOST/OWNER/NAME] [--branch main]

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

ROOT = Path(__file__).resolve().parent.parent
# The hosts are those the theme has buttons for.
REPOSITORY = re.compile(r"https://[\w.-]*(?:github|gitlab|bitbucket)[\w.-]*/[\w.-]+/[\w.-]+")
JUPYTER_BOOK = """
import functools, importlib.metadata, sys
sys.modules["rfc3987_syntax"] = None  # jsonschema would compile its grammar of addresses: 1.3 s
importlib.metadata.entry_points = functools.cache(importlib.metadata.entry_points)  # pybtex asks at every citation: 2 s
from jupyter_book.cli.main import main
main()
"""
SEEN = re.compile(r"^[\s\"]*(?:#+ .*|\([\w-]+\)=|:label: .*|:name: .*|\$\$ \(.*|`{3,}\{exercise\}.*|name\": \"fig-.*)",
                  re.M)  # lines of a source that name something
TEXTS = {".css", ".html", ".js", ".json", ".py", ".svg", ".txt"}  # ours, among what systems and editors lay there
NOISE = re.compile(r"\x1b\[[0-9;]*m")


def configuration(repository: str, branch: str, root: Path = ROOT) -> dict:
    """The book's configuration, with the buttons of a repository where one is given.

    Raises
    ------
    ValueError                   if the repository is no address https://HOST/OWNER/NAME of a known kind of host
    """
    config = yaml.load(guard.read_text(root / "_config.yml"), guard.UniqueKeys)
    # No draft, no export like cnn.html, nothing hidden beside the pages: Sphinx would take each for a page.
    config["sphinx"]["config"]["include_patterns"] = [p.relative_to(root).as_posix() for p in guard.sources(root)]
    if not repository:
        return config
    url = repository.rstrip("/").removesuffix(".git")
    if not REPOSITORY.fullmatch(url):
        wanted = "https://HOST/OWNER/NAME on GitHub, GitLab or Bitbucket"
        raise ValueError(f"REPOSITORY: got {repository!r}, wanted {wanted}")
    config["repository"] = {"url": url, "branch": branch, "path_to_book": ""}
    config["html"] = {**config.get("html", {}), "use_repository_button": True, "use_issues_button": True,
                      "use_edit_page_button": True}
    if pages := re.fullmatch(r"https://github\.com/([\w.-]+)/([\w.-]+)", url):
        config["html"]["baseurl"] = f"https://{pages[1].lower()}.github.io/{pages[2]}/"
    config["launch_buttons"] = {"binderhub_url": "https://mybinder.org", "notebook_interface": "jupyterlab"}
    return config


def shape(settings: str, root: Path = ROOT) -> str:
    """A digest of all that a page may show of another one, and of what all pages share."""
    static = root / "chapters/_static"
    texts = [root / "_toc.yml", root / "references.bib"]
    for folder in (static, ROOT / "tools"):
        texts += sorted(p for p in folder.rglob("*") if p.suffix in TEXTS and p.is_file()
                        and not any(part.startswith(".") for part in p.relative_to(folder).parts))
    parts = [settings.encode(), *(guard.read_text(p).encode() for p in texts),
             *(p.read_bytes() for folder in (static, root / "imgs") for p in guard.pictures(folder))]
    parts += ["\n".join([page.name, *SEEN.findall(guard.read_text(page))]).encode() for page in guard.sources(root)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def render(repository: str = "", branch: str = "main", root: Path = ROOT) -> list[str]:
    """Build the book at `root` into `root/_build/html`; the warnings and errors of Jupyter Book."""
    settings = yaml.safe_dump(configuration(repository, branch, root))
    out, now = root / "_build", shape(settings, root)
    stamp = out / "shape"
    fresh = not stamp.exists() or stamp.read_text() != now
    if fresh:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
    stamp.unlink(missing_ok=True)
    config = out / "config.yml"
    config.write_text(settings, encoding="utf-8")
    command = [sys.executable, "-c", JUPYTER_BOOK, "build", str(root), "--config", str(config), "-W", "-n",
               "--keep-going", *(["--all"] if fresh else [])]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "tools")}  # where the extensions `cards` and `light` lie
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True)
    if not done.returncode:
        stamp.write_text(now)
        return []
    lines = NOISE.sub("", done.stdout + done.stderr).splitlines()
    return [line for line in lines if re.search("WARNING|ERROR|Error", line)] or lines[-20:]


def build(repository: str = "", branch: str = "main", root: Path = ROOT) -> list[str]:
    """Render the book and let the guard look at it; what is wrong, one line each."""
    return guard.yaml_complaints(root) or render(repository, branch, root) or guard.complaints(root)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--repository", default="")
    ap.add_argument("--branch", default="main")
    args = ap.parse_args()
    try:
        found = build(args.repository, args.branch)
    except ValueError as e:
        sys.exit(str(e))
    if found:
        sys.exit("\n".join(["the book is not right:", *found]))
    print(f"the book: {(ROOT / '_build/html/index.html').as_uri()}")


if __name__ == "__main__":
    main()
