"""Slides of chapters: one HTML file each, that asks nobody for anything.

    python tools/slides.py [--out FOLDER] [CHAPTER ...]

Made from the built page: title, goals, and of each section its formulas, figures, tables and verdicts. Explorables stay
alive. Scroll snapping, forty lines of styles and twenty of script do what a library of slides would do here, and touch,
keys, printing and zooming are those of the browser.
"""
import argparse
import base64
import re
import sys
from pathlib import Path

from bs4 import BeautifulSoup, Tag

import guard
import notebooks

ROOT = Path(__file__).resolve().parent.parent
HERE = Path(__file__).resolve().parent
LIST = 480  # letters of a list on one slide, at most
# In the order of the page; what stands within another of these is shown with it
SHOWN = ("div.math, div.check, figure, div.cell_output img, div.figure, table.numbers, .claim, "
         ".pst-scrollable-table-container")
GONE = ".headerlink, [data-by=night], .cell_input, details, button, script, .explore-paper, .hide"
KINDS = {".svg": "image/svg+xml", ".webp": "image/webp", ".png": "image/png", ".woff2": "font/woff2"}


def data(path: Path) -> str:
    return f"data:{KINDS[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def slide(title: str, body: str, kind: str = "") -> str:
    return f'<section class="slide {kind}"><h2>{title}</h2><div class="body">{body}</div></section>'


def lists(found: Tag) -> list[str]:
    """The items of a list, as many together as fit on a slide."""
    items = found.find_all("li", recursive=False)
    slides = min(-(-len(found.text) // LIST), len(items))
    ends = [round(len(items) * k / slides) for k in range(slides + 1)]
    return [f"<ul>{''.join(map(str, items[a:b]))}</ul>" for a, b in zip(ends, ends[1:])]


def shortened(text: Tag, sentences: int) -> Tag:
    """The text with its first sentences alone; the page has the rest."""
    ends = [found.end() for found in re.finditer(r"[.?!](?=\s)(?!\s*[a-z(])", text.text)] + [len(text.text)]
    end, length = ends[:sentences][-1], 0
    for part in list(text.find_all(string=True)):
        size = len(part)
        if length + size > end:
            part.replace_with(part[:max(0, end - length)])
        length += size
    for math in text.select(".katex"):
        if not math.text:
            math.decompose()
    return text


def slides(root: Path, name: str) -> list[str]:
    """The slides of a chapter of a built book, as HTML."""
    soup = BeautifulSoup(notebooks.read_text(root / f"_build/html/chapters/{name}.html"), "html.parser")
    article = soup.find("article")
    for part in article.select(GONE):
        part.decompose()
    for check in article.select("answer-check"):  # asked by the lecturer
        check.name, check.attrs = "div", {"class": "check"}
    for live in article.find_all(lambda tag: "-" in tag.name):
        picture = soup.new_tag("img", src=f"../_static/{live.name}.png", alt=live.text.strip())
        live.wrap(soup.new_tag("figure"))
        live.replace_with(picture)
    for link in article.select("a"):
        link.unwrap()
    for caption in article.select("figcaption"):
        shortened(caption.select_one(".caption-text") or caption, 1)
    page = article.section
    hook = page.find("p", recursive=False)
    made = [f'<section class="slide first"><h1>{page.h1.decode_contents()}</h1>'
            f'<div class="body">{hook if hook and not hook.strong else ""}</div></section>']
    goals = page.find("p", string=re.compile("What you will be able to do"))
    for group in lists(goals.find_next("ul")) if goals else []:
        made.append(slide("What you will be able to do", group))
    for section in page.find_all("section", recursive=False):
        title = section.h2.decode_contents()
        if section["id"] in ("exercises", "further-reading"):
            continue
        if section["id"] == "recap":
            made += [slide(title, group) for found in section.find_all("ul", recursive=False) for group in lists(found)]
            continue
        parts = [part for part in section.select(SHOWN) if not part.find_parent(within)]
        made += [slide(title, shown(part), kind(part)) for part in parts] or [slide(title, said(section))]
    opening = [part for part in page.find_all(["figure", "div"], recursive=False) if part.select_one("img")]
    return made[:1] + [slide(page.h1.decode_contents(), shown(part), kind(part)) for part in opening[:1]] + made[1:]


def within(tag: Tag) -> bool:
    """Whether what stands in it is shown with it."""
    return tag.name == "figure" or bool({"claim", "explore"} & set(tag.get("class", [])))


def kind(part: Tag) -> str:
    if "math" in part.get("class", []):
        return "formula"
    return "picture" if part.name == "figure" or part.img else "table"


def said(section: Tag) -> str:
    """The first sentences of a section that has nothing to show."""
    paragraph = section.find("p")
    return str(paragraph or "")


def shown(part: Tag) -> str:
    """A figure, table or verdict; a formula with the paragraph that leads to it, a verdict with its reason."""
    before = part.find_previous("p") if "math" in part.get("class", []) else ""
    because = ""
    if "claim" in part.get("class", []):  # the page has the numbers, which nobody reads from the last row
        because = part.find_next(lambda tag: tag.name == "p" and tag.text.startswith("Because."))
        for table in part.select("table"):
            table.decompose()
        because = because and shortened(because, 2)
    return f"{before or ''}{part}{because or ''}"


def embedded(text: str, html_folder: Path) -> str:
    """The text, with the pictures that it names within it."""
    def inside(match):
        return f'src="{data((html_folder / "chapters" / match[1]).resolve())}"'
    return re.sub(r'src="(\.\./[^"]+)"', inside, text)


def styles(static: Path, text: str) -> str:
    """KaTeX's styles with those fonts that the slides use, the book's own, and those of slides."""
    css = notebooks.read_text(static / "katex.min.css")
    css = re.sub(r"url\((fonts/[\w-]+\.woff2)\)", lambda m: f"url({data(static / m[1])})", css)
    return css + notebooks.read_text(static / "book.css") + notebooks.read_text(HERE / "slides.css")


def deck(root: Path, name: str) -> str:
    """A chapter of a built book as one HTML file."""
    folder, made = root / "_build/html", slides(root, name)
    body = embedded("\n".join(made), folder)
    title = re.sub(r"<[^>]+>", "", re.search(r"<h1>(.*?)</h1>", made[0], re.S)[1])
    scripts = notebooks.read_text(HERE / "slides.js")
    if 'class="explore"' in body:
        scripts = notebooks.read_text(folder / "_static/explore.js") + scripts
    return (f'<!DOCTYPE html>\n<html lang="en" data-theme="light"><head><meta charset="utf-8">'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
            f'<link rel="icon" href="{data(folder / "_static/favicon.svg")}">'
            f"<style>{styles(folder / '_static', body)}</style></head>\n"
            f'<body class="bd-article"><main>{body}</main><script>{scripts}</script></body></html>\n')


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", type=Path, default=ROOT / "_build/slides")
    ap.add_argument("chapters", nargs="*")
    args = ap.parse_args()
    try:
        chosen = notebooks.choose(args.chapters)
        args.out.mkdir(parents=True, exist_ok=True)
    except ValueError as e:
        sys.exit(str(e))
    except OSError as e:
        sys.exit(guard.unwritable(e))
    for path in chosen:
        file = args.out / f"{path.stem}.html"
        file.write_text(deck(ROOT, path.stem), encoding="utf-8")
        print(f"{file.as_uri()}  {file.stat().st_size / 2**20:.1f} MiB", flush=True)


if __name__ == "__main__":
    main()
