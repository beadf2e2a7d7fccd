"""The book on paper: its built pages as one tagged PDF and one EPUB, and the exercises as a sheet.

    python tools/paper.py paper|sheet [--out FOLDER] [CHAPTER ...]

A sheet has the exercises of these chapters, or of all.

Chromium prints, since the pages are made for it; pikepdf packs what it wrote. Nothing is numbered here: figures,
equations and exercises keep the numbers of the pages.
"""
import argparse
import base64
import copy
import hashlib
import html
import io
import itertools
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urljoin

import deflate
import numpy as np
import pikepdf
import yaml
from bs4 import BeautifulSoup, Comment, Tag
from PIL import Image

import guard
import lighthouse
import notebooks

ROOT = Path(__file__).resolve().parent.parent
STYLE = Path(__file__).with_name("paper.css")
NEEDS_CHROMIUM = "chromium: not there, wanted it to print; on Debian: apt install chromium"


def gone(part: Tag) -> bool:
    """Whether a part has no place on paper: a button, a script, a picture by night, folded code, what moves."""
    classes = set(part.get("class", []))
    return (part.name in ("answer-clear", "script", "button", "fieldset") or part.get("data-by") == "night"
            or bool(classes & {"headerlink", "offer", "explore-larger"}) or part.name == "details" and "hide" in classes
            or bool(classes & {"explore-controls", "explore-frame", "explore-said"})
            and "explore" in part.parent.get("class", []))


class Book:
    """A built book, page by page, ready for paper; `frames` is where cut pictures go."""

    def __init__(self, root: Path, frames: Path):
        self.html, self.frames = root / "_build/html", frames
        settings = yaml.safe_load(notebooks.read_text(root / "_build/config.yml"))
        self.title, self.author = settings["title"], settings["author"]
        self.site = settings.get("html", {}).get("baseurl", "")
        toc = yaml.safe_load(notebooks.read_text(root / "_toc.yml"))
        self.parts = [("", [Path(toc["root"]).name])] + [
            (part.get("caption", ""), [Path(page["file"]).name for page in part["chapters"]])
            for part in toc.get("parts", [toc])]
        self.kept = []  # formulas and code, out of the way while pages are changed: most tags of a page are theirs
        frames.mkdir(parents=True, exist_ok=True)
        self.pages = {name: self.page(name) for _, names in self.parts for name in names}

    def twin(self) -> "Book":
        """The same book, whose pages can be changed without changing these."""
        other = copy.copy(self)
        other.pages = {name: copy.copy(article) for name, article in self.pages.items()}
        return other

    def page(self, name: str) -> Tag:
        """The article of a page without what only a screen has, its answers in a section at the end."""
        def kept(match):
            self.kept.append(match[0])
            return f"\ue000{len(self.kept) - 1}\ue001"
        text = guard.MATH.sub(kept, notebooks.read_text(self.html / f"chapters/{name}.html"))
        text = re.sub(r"(?s)(?<=<pre tabindex=\"0\">).+?(?=</pre>)", kept, text)
        soup = BeautifulSoup(text[text.index("<article"):text.index("</article>")], "html.parser")
        article = soup.article
        for part in article.find_all(gone):
            part.decompose()
        for live in article.find_all(lambda tag: "-" in tag.name and tag.name != "answer-check"):
            said = re.sub(r".*?: it ", "A figure that ", next(live.stripped_strings), count=1)
            live.replace_with(soup.new_tag("img", src=f"../_static/{live.name}.png", alt=said, attrs={"class": "live"}))
        for frame in article.find_all(class_="explore-frame"):
            frame.replace_with(self.cut(frame))
        for link in article.find_all("a", class_="enlarge"):
            link.unwrap()
        for part in article.find_all(True):
            for key in ("tabindex", "loading", "decoding"):
                part.attrs.pop(key, None)
        for figure in article.find_all("figure"):  # readers of tagged PDF would miss a text of the box around a picture
            figure.name, figure["class"] = "div", [*figure.get("class", []), "figure"]
        for caption in article.find_all("figcaption"):
            caption.name, caption["class"] = "div", "figcaption"
        for fold in article.find_all("details"):
            fold.name, fold.summary.name = "div", "p"
        self.answers(soup, article)
        return article

    def cut(self, frame: Tag) -> Tag:
        """The one frame of an explorable that is in sight, as a picture of its own."""
        strip, (rows, columns) = frame.img, map(int, frame.find_parent(class_="explore")["data-shape"].split())
        up, _, left = (-float(side) for side in re.findall(r"-?[\d.]+(?=%)", strip["style"].partition("margin:")[2]))
        with Image.open(self.html / "chapters" / strip["src"]) as picture:
            w, tall = picture.width // columns, picture.height // rows
            x, y = round(left / 100) * w, round(up / 100 * w / tall) * tall
            cut = picture.convert("RGB").crop((x, y, x + w, y + tall))
        name = hashlib.sha256(cut.tobytes() + repr(cut.size).encode()).hexdigest()[:16] + ".png"
        if not (self.frames / name).exists():
            cut.save(self.frames / name)
        return BeautifulSoup(f'<img src="{(self.frames / name).as_uri()}" width="{w}" height="{tall}" '
                             f'alt="{html.escape(strip["alt"])}">', "html.parser").img

    def answers(self, soup: BeautifulSoup, article: Tag) -> None:
        """Solutions go to the end, so that an answer is not read with its question, and what the page tells to
        predictions and checks; links lead there and back."""
        predictions = [one for one in article.find_all("answer-check") if told(one)[2]]
        found = article.find_all(class_="solution")
        if not found and not predictions:
            return
        section = soup.new_tag("section", id="answers")
        section.append(soup.new_tag("h2", string="Answers"))
        for i, question in enumerate(predictions, 1):
            answer = BeautifulSoup(
                f'<div class="admonition prediction" id="prediction-{i}"><p class="admonition-title">Prediction {i}</p>'
                f"<p>{told(question)[0]}</p></div>", "html.parser").div
            self.joined(soup, question.p, question["id"], answer.p, answer["id"])
            section.append(answer)
        for i, solution in enumerate(found, 1):
            exercise = solution.find_previous(class_="exercise")
            solution["id"] = f"answer-{i}"
            title = solution.select_one(".admonition-title")
            title.string = title.text.removeprefix("Solution to ")
            self.joined(soup, exercise.select_one(".admonition-title"), exercise["id"], title, solution["id"])
            if asked := checks(exercise):
                items = "".join(f"<li>{told(one)[0]}</li>" for one in asked)
                solution.append(BeautifulSoup(f'<p><b>Checks</b></p><ul class="told">{items}</ul>', "html.parser"))
            section.append(solution.extract())
        article.section.append(section)

    def joined(self, soup: BeautifulSoup, question: Tag, asked: str, answer: Tag, answered: str) -> None:
        """Links from a question, in this paragraph, to its answer and back."""
        for here, there, said in ((question, answered, "Answer"), (answer, asked, "Question")):
            here.extend([" ", soup.new_tag("a", href=f"#{there}", string=said, attrs={"class": "turn"})])

    def filled(self, text: str, mathml: bool = False) -> str:
        """A text with its code and its formulas, these as the page has them or as MathML alone."""
        def original(match):
            said = self.kept[int(match[1])]
            tex = re.search(r"<annotation[^>]*>(.*?)</annotation>", said, re.S)
            if not (mathml and tex):
                return said
            math = re.search(r"<math.*?</math>", said, re.S)[0].replace(tex[0], "")
            return math.replace("<math ", f'<math alttext="{tex[1].replace(chr(34), "&quot;")}" ', 1)
        return re.sub("\ue000(\\d+)\ue001", original, text)

    def words(self, text: str) -> str:
        """A text with its formulas in words, in one line."""
        return " ".join(html.unescape(re.sub(r"<[^>]+>", "", self.filled(html.escape(text, False), True))).split())

    def headings(self, name: str) -> list[tuple[int, str, str]]:
        """(level, id, text) of a page's headings; that of the page itself has no id."""
        return [(int(h.name[1]), "" if h.name == "h1" else h.find_parent("section")["id"], self.words(h.text))
                for h in self.pages[name].find_all(["h1", "h2", "h3"])]

    def lead(self, name: str, address: str) -> tuple[str, str] | str | None:
        """Where a link of a page leads: (page, id) within the book, an address outside, None where nothing is."""
        if re.match(r"[a-z]+:", address):
            return address
        path, _, anchor = address.partition("#")
        page = Path(path).stem if path else name
        if page in self.pages and (not path or path.endswith(".html")):
            return page, unquote(anchor)
        return urljoin(f"{self.site}chapters/", path) if self.site else None

    def relink(self, name: str, article: Tag, inside) -> None:
        """Links of a page, those within the book as inside(page, id) says; one that leads nowhere becomes words."""
        for link in article.find_all("a", href=True):
            to = self.lead(name, link["href"])
            if to is None:
                link.unwrap()
            else:
                link["href"] = to if isinstance(to, str) else inside(*to)


# PDF

def prefixed(book: Book, name: str) -> Tag:
    """A page whose ids are its own in the whole book: name, or name--id."""
    article = book.pages[name]
    book.relink(name, article, lambda page, anchor: f"#{page}--{anchor}" if anchor else f"#{page}")
    for key in ("id", "aria-labelledby", "aria-describedby", "for"):
        for part in article.find_all(attrs={key: True}):
            part[key] = f"{name}--{part[key]}"
    article["id"], article["style"] = name, f"page: {name}"
    return article


def entry(level: int, address: str, text: str) -> str:
    return f'<li class="level{level}"><a href="#{address}"><span>{html.escape(text)}</span></a></li>'


def contents(book: Book) -> str:
    """The parts, pages and sections of the book; number_contents() adds the numbers of the pages."""
    lines = []
    for caption, names in book.parts:
        lines += [f'<li class="part">{html.escape(caption)}</li>'] * bool(caption)
        for name in names:
            lines += [entry(level, f"{name}--{anchor}" if anchor else name, text)
                      for level, anchor, text in book.headings(name) if level < 3]
    return f'<nav id="contents"><h1>Contents</h1><ul>{"".join(lines)}</ul></nav>'


def running_heads(book: Book) -> str:
    """What stands above the pages of each chapter: its title."""
    titles = {name: book.headings(name)[0][2] for name in book.pages}
    return "".join(f"@page {name} {{ @top-left {{ content: {json.dumps(title, ensure_ascii=False)} }} }}\n"
                   for name, title in titles.items())


def sheet_of_paper(book: Book, title: str, body: str, style: str = "") -> str:
    """An HTML file that Chromium prints, with the styles and pictures of the pages."""
    place = book.html.resolve().as_uri()  # no <base>, which would lead #links out of the file
    body = re.sub(r'(<img\b[^>]*? src=")\.\./', rf"\1{place}/", book.filled(body))
    return (f'<!DOCTYPE html><html lang="en" data-theme="light"><head><meta charset="utf-8">'
            f"<title>{html.escape(title)}</title>"
            f'<link rel="stylesheet" href="{place}/_static/styles.css">'
            f"<style>{notebooks.read_text(STYLE)}{style}</style></head><body>{body}</body></html>")


def cover(book: Book, title: str, more: str = "") -> str:
    place = f'<p><a href="{book.site}">{book.site}</a></p>' if book.site else ""
    return (f'<header class="cover"><p class="title">{html.escape(title)}</p>{more}<p>{html.escape(book.author)}</p>'
            f"{place}<p>Text CC BY 4.0, code MIT</p></header>")


def whole(book: Book) -> str:
    """The book as one HTML file."""
    listed = contents(book)
    heads = running_heads(book)
    picture = ('<img src="../_static/social_card.png" alt="The mark and title of the book over four reconstructions of '
               'one body: back-projection, a UNet on the views, back-projection with a UNet, and the truth.">')
    articles = "".join(str(prefixed(book, name)) for name in book.pages)
    return sheet_of_paper(book, book.title, cover(book, book.title, picture) + listed + articles, heads)


def printed(page: Path, path: Path) -> None:
    """Print a page with Chromium as a tagged PDF with bookmarks."""
    if not lighthouse.CHROMIUM:
        sys.exit(NEEDS_CHROMIUM)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([lighthouse.CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu",
                        "--no-pdf-header-footer", f"--user-data-dir={folder}/profile", "--export-tagged-pdf",
                        "--generate-pdf-document-outline", "--virtual-time-budget=600000",
                        f"--print-to-pdf={path}", page.resolve().as_uri()],
                       check=True, capture_output=True, timeout=600)


def titles(text: str) -> list[str]:
    """The headings of an HTML file, formulas in words, each in one line."""
    said = [guard.MATH.sub(lambda math: re.sub(r"(?s)<annotation.*|.*?(?=<math)", "", math[0]), heading)
            for heading in re.findall(r"<h[1-6]\b[^>]*>(.*?)</h[1-6]>", text, re.S)]
    return [" ".join(html.unescape(re.sub(r"<[^>]*>", "", heading)).split()) for heading in said]


def packed(path: Path, bookmarks: list[str]) -> None:
    """The same PDF, smaller: objects in streams, pictures predicted row by row as in a PNG.

    Its bookmarks get these texts: Chromium writes a heading behind a page break twice, and drops spaces at line ends.
    """
    with pikepdf.open(path, allow_overwriting_input=True) as pdf:
        with pdf.open_outline() as outline:
            found = list(below(outline.root))
            if len(found) != len(bookmarks):
                raise ValueError(f"{path.name}: {len(found)} bookmarks, wanted {len(bookmarks)}, one for each heading")
            for item, title in zip(found, bookmarks):
                item.title = title
        number_contents(pdf)
        for thing in (one for one in pdf.objects if isinstance(one, pikepdf.Stream)):
            if thing.get("/Subtype") == "/Image":
                repack(thing)
            if thing.get("/Filter") == "/FlateDecode":
                data = bytes(deflate.zlib_compress(zlib.decompress(thing.read_raw_bytes()), 10))
                thing.write(data, filter=pikepdf.Name.FlateDecode, decode_parms=thing.get("/DecodeParms"))
        pdf.save(path, object_stream_mode=pikepdf.ObjectStreamMode.generate)


def number_contents(pdf: pikepdf.Pdf) -> None:
    """Page numbers at the right end of the contents' lines: Chromium has no target-counter()."""
    places, numbers = pdf.Root.Dests, {page.objgen: i for i, page in enumerate(pdf.pages, 1)}
    font = pikepdf.Dictionary(Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica)
    for page in pdf.pages[1:]:
        lines = [note for note in page.get("/Annots", []) if note.Subtype == "/Link" and "/Dest" in note]
        rows = [note for note in lines if float(note.Rect[2] - note.Rect[0]) > 400]  # points: as wide as the page
        if not rows:
            break
        name, drawn = page.add_resource(font, pikepdf.Name.Font), ["Q /Artifact BMC"]
        for note in rows:
            number = str(numbers[places[note.Dest][0].objgen])
            x, y = float(note.Rect[2]) - 4.5 * len(number), (float(note.Rect[1]) + float(note.Rect[3])) / 2 - 2.8
            drawn.append(f"BT {name} 8 Tf {x:.1f} {y:.1f} Td ({number}) Tj ET")
        page.contents_add(b"q", prepend=True)
        page.contents_add("\n".join([*drawn, "EMC"]).encode())


def below(items: list) -> Iterator:
    """Bookmarks and all under them, in their order."""
    for item in items:
        yield item
        yield from below(item.children)


def repack(image: pikepdf.Stream) -> None:
    """A picture of the same values as Pillow packs it for a PNG, with a palette where its colours are few."""
    space, size = image.get("/ColorSpace"), (int(image.Width), int(image.Height))
    rgb = isinstance(space, pikepdf.Array) and space[0] == "/ICCBased" and space[1].N == 3
    if not rgb or image.BitsPerComponent != 8 or image.get("/Filter") != "/FlateDecode":
        return
    picture = Image.frombytes("RGB", size, image.read_bytes())
    channels = 3
    if picture.getcolors(256):
        values = np.frombuffer(picture.tobytes(), np.uint8).reshape(-1, 3) @ np.array([65536, 256, 1])
        table, indexed = np.unique(values, return_inverse=True)
        picture, channels = Image.frombytes("L", size, indexed.astype(np.uint8).tobytes()), 1
        table = b"".join(int(value).to_bytes(3, "big") for value in table)
        space = pikepdf.Array([pikepdf.Name.Indexed, space, len(table) // 3 - 1, pikepdf.String(table)])
    picture.save(stream := io.BytesIO(), "PNG", optimize=True)
    if len(data := idat(stream.getvalue())) < len(image.read_raw_bytes()):
        image.write(data, filter=pikepdf.Name.FlateDecode, decode_parms=pikepdf.Dictionary(
            Predictor=15, Colors=channels, BitsPerComponent=8, Columns=size[0]))
        image.ColorSpace = space


def idat(png: bytes) -> bytes:
    """The packed pixels of a PNG."""
    found, at = b"", 8
    while at < len(png):
        length, kind = int.from_bytes(png[at:at + 4], "big"), png[at + 4:at + 8]
        found += png[at + 8:at + 8 + length] if kind == b"IDAT" else b""
        at += 12 + length
    return found


# Questions with a field

def checks(exercise: Tag) -> list[Tag]:
    """The questions with a field that stand below an exercise."""
    return list(itertools.takewhile(lambda part: part.name == "answer-check", exercise.find_next_siblings()))


def told(check: Tag) -> tuple[str, list[str], bool]:
    """What the page tells to answers, as HTML: the right one with its reason, the near misses with their hints; and
    whether the question is a prediction."""
    kind, _, right, misses, why, first, _, written = json.loads(base64.b64decode(check["data-table"]))
    if kind == "choice":
        written = [f"({notebooks.answers()['letter'](i)})" for i in (right, *range(len(misses)))]
        hints = misses
    else:
        hints = [hint for _, hint in misses]
    answer, *others = (html.escape(one.partition("±")[0].strip()) for one in written)
    return (f"<b>{answer}.</b> {html.escape(why)}".strip(),
            [f"{other}: {html.escape(hint)}" for other, hint in zip(others, hints) if hint], first)


# The sheet


def exercises(book: Book, chapters: list[str]) -> str:
    """The exercises of these chapters, then their hints and answers; links lead from one to the other."""
    asked, answered = [], []
    for name in chapters:
        article = prefixed(book, name)
        questions = article.select(".exercise")
        if not questions:
            continue
        title = f"<h2>{article.h1.decode_contents()}</h2>"
        answers = article.select(".solution")
        for answer in answers:
            back = answer.select_one(".turn")["href"].removeprefix("#")
            asked_of = next((checks(one) for one in questions if one["id"] == back), [])
            for item, check in zip(answer.select(".told > li"), asked_of):
                items = "".join(f"<li>{hint}</li>" for hint in told(check)[1])
                item.append(BeautifulSoup(f"<ul>{items}</ul>" * bool(items), "html.parser"))
        whole_questions = "".join(str(part) for one in questions for part in (one, *checks(one)))
        asked.append(f"<section>{title}{whole_questions}</section>")
        answered.append(f"<section>{title}{''.join(map(str, answers))}</section>")
    title = f"{book.title}: exercises"
    body = (f'<header class="cover"><p class="title">{html.escape(title)}</p></header>'
            f'<article class="bd-article"><h1>Questions</h1>{"".join(asked)}</article>'
            f'<article class="bd-article"><h1>Answers</h1>{"".join(answered)}</article>')
    soup = BeautifulSoup(body, "html.parser")
    ids = {part["id"] for part in soup.select("[id]")}
    for link in soup.select('a[href^="#"]'):  # what the sheet lacks is on the page
        if (there := link["href"].removeprefix("#")) not in ids:
            page, _, anchor = there.partition("--")
            link["href"] = f"{book.site}chapters/{page}.html" + (f"#{anchor}" if anchor else "")
            if not book.site:
                link.unwrap()
    return sheet_of_paper(book, title, str(soup))


# EPUB

XHTML = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops" lang="en" xml:lang="en">
<head><title>{title}</title><link rel="stylesheet" href="book.css"/></head>
<body>{body}</body>
</html>
"""
CONTAINER = """<?xml version="1.0"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="book/book.opf" media-type="application/oebps-package+xml"/></rootfiles>
</container>
"""
PACKAGE = """<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id" xml:lang="en">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:identifier id="id">urn:sha256:{digest}</dc:identifier><dc:title>{title}</dc:title><dc:creator>{author}</dc:creator>
<dc:language>en</dc:language><dc:rights>Text CC BY 4.0, code MIT</dc:rights>
<meta property="dcterms:modified">{now}</meta>
<meta property="schema:accessMode">textual</meta><meta property="schema:accessMode">visual</meta>
<meta property="schema:accessModeSufficient">textual</meta>
<meta property="schema:accessibilityFeature">alternativeText</meta>
<meta property="schema:accessibilityFeature">MathML</meta>
<meta property="schema:accessibilityHazard">none</meta>
</metadata>
<manifest>{items}</manifest>
<spine>{spine}</spine>
</package>
"""


def chapter(book: Book, name: str, pictures: dict[Path, str]) -> str:
    """A page as XHTML with MathML; the pictures that it shows are added to {file: name in the EPUB}."""
    article = book.pages[name]
    book.relink(name, article, lambda page, anchor: f"{page}.xhtml" + (f"#{anchor}" if anchor else ""))
    for part in article.find_all(id=True):
        part["id"] = part["id"].replace("/", "-")
    for image in article.find_all("img"):
        source = image["src"]
        file = (book.frames / Path(source).name if source.startswith("file:")
                else (book.html / "chapters" / unquote(source)).resolve())
        image["src"] = pictures.setdefault(file, f"{file.stem}.png")
        for key in ("width", "height", "style"):
            image.attrs.pop(key, None)
    for part in article.find_all(True):
        for key in ("data-shape", "data-said", "data-pictures", "align", *["width"] * (part.name in ("td", "th"))):
            part.attrs.pop(key, None)
    for check in article.find_all("answer-check"):  # XHTML of a book knows no elements of our own
        check.name, check.attrs = "div", {"class": "check", "id": check["id"]}
    for comment in article.find_all(string=lambda text: isinstance(text, Comment)):
        comment.extract()
    article["id"] = "page"
    return XHTML.format(title=html.escape(book.headings(name)[0][2]), body=book.filled(article.decode(), True))


def listing(book: Book) -> str:
    """The contents of the EPUB: pages and their sections."""
    lines = []
    for name in book.pages:
        (_, _, title), *rest = book.headings(name)
        below = "".join(f'<li><a href="{name}.xhtml#{anchor}">{html.escape(text)}</a></li>'
                        for level, anchor, text in rest if level == 2)
        lines.append(f'<li><a href="{name}.xhtml">{html.escape(title)}</a>{f"<ol>{below}</ol>" if below else ""}</li>')
    return XHTML.format(title="Contents", body=f'<nav epub:type="toc"><h1>Contents</h1><ol>{"".join(lines)}</ol></nav>')


def bound(book: Book, path: Path) -> None:
    """The book as an EPUB."""
    cover_picture = (book.html / "_static/social_card.png").resolve()
    pictures, files = {cover_picture: "social_card.png"}, {"nav.xhtml": listing(book).encode()}
    files |= {f"{name}.xhtml": chapter(book, name, pictures).encode() for name in book.pages}
    files["book.css"] = STYLE.with_name("epub.css").read_bytes()
    for file, name in pictures.items():
        with Image.open(file) as picture:
            picture.save(stream := io.BytesIO(), "PNG")
        files[name] = stream.getvalue()
    kinds = {".xhtml": "application/xhtml+xml", ".css": "text/css", ".png": "image/png"}
    marks = {"nav.xhtml": "nav", "social_card.png": "cover-image"} | {
        name: "mathml" for name, text in files.items() if name.endswith(".xhtml") and b"<math" in text}
    items = "".join(f'<item id="f{i}" href="{name}" media-type="{kinds[Path(name).suffix]}"'
                    + (f' properties="{marks[name]}"' if name in marks else "") + "/>" for i, name in enumerate(files))
    spine = "".join(f'<itemref idref="f{i}"/>' for i, name in enumerate(files) if name.endswith(".xhtml"))
    package = PACKAGE.format(digest=notebooks.digest(*files.values()), title=html.escape(book.title), items=items,
                             author=html.escape(book.author), spine=spine,
                             now=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        out.writestr("META-INF/container.xml", CONTAINER)
        out.writestr("book/book.opf", package)
        for name, data in files.items():
            out.writestr(f"book/{name}", data)


def offer(root: Path, files: list[Path]) -> None:
    """Lay the files beside the built pages, and links to them into the landing page."""
    html_folder = root / "_build/html"
    first = html_folder / f"{yaml.safe_load(notebooks.read_text(root / '_toc.yml'))['root']}.html"
    links = []
    for file in files:
        shutil.copy(file, html_folder)
        size = f"{file.stat().st_size / 1e6:.0f} MB"
        links.append(f'<a class="reference external" href="../{file.name}">{file.suffix[1:].upper()}</a> ({size})')
    text = re.sub(r'<span class="offer">.*?</span>', "", notebooks.read_text(first), flags=re.S)
    text, found = re.subn(r"(<p><strong>Read\.</strong>.*?)(</p>)", rf'\1<span class="offer"> On paper or a reader: '
                          rf'{", ".join(links)}.</span>\2', text, count=1, flags=re.S)
    if not found:
        raise ValueError(f"{first.name}: has no paragraph **Read.**, wanted one to put the links to PDF and EPUB in")
    first.write_text(text, encoding="utf-8")


def make(what: str, root: Path, out: Path, names: list[str] | None = None) -> list[Path]:
    """Print the whole book and bind its EPUB, or print the sheet, of some chapters or of all; the files."""
    chosen = [path.stem for path in notebooks.choose(names or [], root)]
    out.mkdir(parents=True, exist_ok=True)
    frames = out / "frames"
    book = Book(root, frames)
    text = exercises(book, chosen) if what == "sheet" else whole(book.twin())  # it changes the pages
    files = [out / ("exercises.pdf" if what == "sheet" else "book.pdf")]
    files[0].with_suffix(".html").write_text(text, encoding="utf-8")
    printed(files[0].with_suffix(".html"), files[0])
    packed(files[0], titles(text))
    if what == "paper":
        files.append(out / "book.epub")
        bound(book, files[1])
    return files


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("what", choices=["paper", "sheet"])
    ap.add_argument("--out", type=Path, default=ROOT / "_build/paper")
    ap.add_argument("chapters", nargs="*")
    args = ap.parse_args()
    try:
        files = make(args.what, ROOT, args.out, args.chapters)
        if args.what == "paper":
            offer(ROOT, files)
        for path in files:
            print(f"{path.as_uri()}  {path.stat().st_size / 2**20:.1f} MiB")
    except ValueError as e:
        sys.exit(str(e))
    except OSError as e:
        sys.exit(guard.unwritable(e))


if __name__ == "__main__":
    main()
