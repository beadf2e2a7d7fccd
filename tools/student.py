"""Sphinx extension: the student edition, a notebook per chapter that reads like its page in every notebook program.

What MyST adds to Markdown becomes plain Markdown: numbers from the stored run, figures, equations, sections and
exercises numbered as on the page, references as links to it. The first code cell carries the helper and the pictures
for places where `course` cannot be imported. The files replace the sources that the page's download button gives.
"""
import base64
import io
import mimetypes
import posixpath
import re
import zipfile
from pathlib import Path
from urllib.parse import urlencode

import nbformat
import yaml
from docutils import nodes
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser
from sphinx import addnodes
from sphinx.errors import ExtensionError

import ledger
import notebooks
import reach
import refresh
from page import checks

# Within a line, in the order in which they are looked for: what is escaped, roles, code, formulas, links, footnotes
ROLE = re.compile(r"\\.|\{(?P<role>[\w:+.-]+)\}(?P<t>`+)(?P<text>.+?)(?P=t)(?!`)"
                  r"|(?P<code>`+)(?!`).+?(?<!`)(?P=code)(?!`)|\$\$.+?\$\$|\$(?:\\.|[^$\\])+\$"
                  r"|(?P<image>!?)\[(?P<words>(?:\\.|\[[^\]\[]*\]|[^\]\[\\])*)\]\(\s*<?(?P<to>[^)\s>]*)>?(?:\s+\"[^\"]*\")?\s*\)"
                  r"|<(?P<bare>(?:project|path|inv):[^>]*)>|\[\^(?P<note>[^\]\s]+)\]", re.S)
QUOTES = {"note", "warning", "tip", "important", "caution", "danger", "error", "hint", "attention", "seealso",
          "admonition", "dropdown", "margin", "sidebar", "topic"}
DIRECTIVE = re.compile(r"\{([\w:-]+)\}\s*(.*)")
# Tokens of markdown-it that are more than text within lines
BLOCKS = {"heading_open", "fence", "colon_fence", "code_block", "math_block", "math_block_label", "amsmath", "dl_open",
          "footnote_reference_open", "myst_target", "myst_line_comment", "myst_block_break"}
CODE = {"code", "code-block", "sourcecode"}
FOLDED = {"jupyter": {"source_hidden": True}, "cellView": "form"}  # what JupyterLab and Colab go by
# In the HTML of an explorable: the name of a parameter, and its value in the frame that is shown first
FRAME = re.compile(r"<div><label><span>([^<]*)</span>(?:<select.*?selected>|<input.*?<output>)([^<]*)<")
HIDDEN = {"hide-input", "remove-input", "hide-cell", "remove-cell"}  # tags of cells whose code the page folds or lacks
UNPACK = '''\
# @title The book's helper, for places that lack it: unpacked, not downloaded
# A chapter of {book}. Text CC BY 4.0, code MIT.
try:
    from course import explore, set_style
except Exception:  # this file is alone, or another package has that name
    import base64, io, sys, tempfile, zipfile
    for name in [name for name in sys.modules if name.partition(".")[0] == "course"]:
        del sys.modules[name]
    folder = tempfile.mkdtemp(prefix="course-")
    sys.path.insert(0, f"{folder}/chapters")
    zipfile.ZipFile(io.BytesIO(base64.b85decode("{data}"))).extractall(folder)
'''


def digest(notebook) -> str:
    """One for all that a person sees of a notebook."""
    seen = ([c.cell_type, c.source, c.get("execution_count"), c.get("outputs")] for c in notebook.cells)
    return notebooks.digest(*map(notebooks.canonical, seen))


def slide(kind: str) -> dict:
    """Where nbconvert puts a cell when it makes slides of a notebook; "-": below the last one."""
    return {"slideshow": {"slide_type": kind}}


def plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_\[\]<>|$])", r"\\\1", text)


class Edition:
    """The student edition of one chapter.

    Parameters
    ----------
    app : Sphinx                 after a build
    docname : str                of the chapter
    """

    def __init__(self, app, docname):
        self.app, self.env, self.docname = app, app.env, docname
        self.page = f"{posixpath.basename(docname)}.html"
        self.root, self.base = Path(app.srcdir), app.config.html_baseurl
        self.source = notebooks.read(self.root / f"{docname}.ipynb")
        self.kept = notebooks.glued(notebooks.outputs(self.source))
        config = MdParserConfig(enable_extensions=set(app.config.myst_enable_extensions))
        self.md = create_md_parser(config, RendererHTML)
        sections = [s for s in self.env.get_doctree(docname).findall(nodes.section)
                    if not s["ids"][0].endswith("-content")]
        numbers = self.env.toc_secnumbers.get(docname, {})
        self.numbers = iter([numbers.get("" if i == 0 else f"#{s['ids'][0]}") for i, s in enumerate(sections)])
        self.notes, self.titles, self.depth, self.cited = [], {}, 0, set()

    def lack(self, what: str, wanted: str = "one of the marks that CONTRIBUTING lists, or a form in tools/student.py"):
        return ExtensionError(f"{self.docname}.ipynb: {what} has no form in the student edition, wanted {wanted}")

    # What stands on the page

    def inside(self, uri: str) -> str:
        """An address on this page as one from the root of the book."""
        return posixpath.normpath(uri[1:] if uri[:1] == "/" else posixpath.join(posixpath.dirname(self.docname), uri))

    def address(self, uri: str) -> str | None:
        """The place of a reference for someone who has this file: on the published page, or in the notebook beside."""
        page, _, anchor = self.inside(uri).partition("#")
        if self.base:
            return posixpath.join(self.base, page) + (f"#{anchor}" if anchor else "")
        name = page.removesuffix(".html")
        beside = name != self.docname and (self.root / f"{name}.ipynb").exists()
        return f"{posixpath.basename(name)}.ipynb" if beside else None

    def link(self, words: str, uri: str) -> str:
        """Markdown of a reference; where nobody knows the address, its words, in italics if they name a page."""
        to, page = self.address(uri), self.inside(uri).partition("#")[0]
        named = page not in (f"{self.docname}.html", "chapters/bibliography.html")
        return f"[{words}]({to})" if to else f"*{words}*" if named and "*" not in words else words

    def label(self, name: str) -> str:
        """The anchor of a label in this chapter."""
        return self.env.domains["std"].anonlabels.get(name, ("", name))[1]

    def number(self, kind: str, name: str, docname: str = "") -> str:
        """The number of a figure, an equation or an exercise, as 3.1; of this chapter unless another is named."""
        numbers = self.env.toc_fignumbers.get(docname or self.docname, {}).get(kind, {})
        return ".".join(map(str, numbers.get(self.label(name)) or numbers.get(name, ())))

    def glued(self, key: str) -> str:
        """The number or word that {glue:text}`key` shows; key is [FILE.ipynb::]NAME[:FORMAT]."""
        file, _, key = key.rpartition("::")
        name, _, form = key.partition(":")
        path = self.root / self.inside(file)
        glued = notebooks.glued(notebooks.outputs(notebooks.read(path))) if file else self.kept
        if name in glued:
            return format(glued[name], "" if form == "s" else form)
        raise ExtensionError(f"{self.docname}.ipynb: nothing is glued as {name!r} in {path.name}")

    def resolved(self, role: str, text: str, before: str = ".", after: str = ".") -> str:
        """What a reference shows, as Markdown; before and after it, its paragraph has these texts."""
        match = re.fullmatch(r"(?P<words>.*?)\s*<(?P<target>[^<>]+)>", text, re.S)
        words, target = (match["words"], match["target"]) if match else ("", text)
        self.cited |= {key.strip() for key in target.split(",")} if role.startswith("cite:") else set()
        domain, kind = {"eq": ("math", "eq"), "doc": ("std", "doc"), "ref": ("std", "ref"),
                        "numref": ("std", "numref")}.get(role) or role.split(":", 1)
        exercise = getattr(self.env, "sphinx_exercise_registry", {}).get(target)
        if role in ("ref", "numref") and not words and exercise:
            there = exercise["docname"]
            page = self.app.builder.get_relative_uri(self.docname, there) or self.page
            number = self.number("exercise", target, there)
            if not number:
                raise self.lack(f"a reference to {target!r}, which has no number,")
            return self.link(f"Exercise {number}", f"{page}#{self.label(target)}")
        shown = nodes.inline("", words or target)
        asked = addnodes.pending_xref("", shown, refdomain=domain, reftype=kind, reftarget=target, refdoc=self.docname,
                                      refexplicit=bool(words))
        node = self.env.domains[domain].resolve_xref(
            self.env, self.docname, self.app.builder, kind, target, asked, shown)
        if node is None:
            raise ExtensionError(f"{self.docname}.ipynb: {{{role}}}`{text}` leads nowhere")
        if (uri := node.get("refuri")) and not words:
            page = self.inside(uri.partition(".html")[0])
            number = self.env.toc_secnumbers.get(page, {}).get("")
            if number and node.astext() == self.env.titles[page].astext():  # as page.numbers.chapter_links
                starts = re.search(r"(^|^\s*[-*+>]\s+|[.?!:]\s|\|\s?)$", before)
                if re.fullmatch(r"[-*+>\s]*", before) and not after.strip():
                    return self.markdown(node)  # alone, its title
                return self.link(f"{'Chapter' if starts else 'chapter'} {number[0]}", uri)
        return self.markdown(node)

    def markdown(self, node) -> str:
        """A resolved reference as Markdown."""
        if isinstance(node, nodes.Text):
            return plain(node.astext())
        inner = "".join(map(self.markdown, node.children))
        if isinstance(node, nodes.reference):
            uri = node.get("refuri") or f"{self.page}#{node['refid']}"
            return self.link(inner, uri)
        return f"*{inner}*" if isinstance(node, nodes.emphasis) else inner

    def embedded(self, name: str) -> str:
        """A picture of the book as its address, since Colab shows no attachments of cells."""
        path = self.root / self.inside(name)
        if not path.is_file():
            raise self.lack(f"the picture {name!r}, which is no file,", "the path of one in imgs/: ../imgs/NAME.png")
        kind = mimetypes.guess_type(path.name)[0]
        return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"

    # Markdown

    def place(self, words: str, to: str) -> str:
        """A link of Markdown to something in the book."""
        path, _, anchor = to.partition("#")
        page = self.inside(re.sub(r"\.(md|ipynb)$", "", path))
        if not path or page not in self.env.found_docs:
            label = to.removeprefix("#")
            if label not in self.env.domains["std"].anonlabels:
                raise self.lack(f"the link to {to!r}, which is no page and no label,", "a page or a (label)=")
            return self.resolved("ref", f"{words} <{label}>" if words else label)
        if not words:
            words = plain(self.env.titles[page].astext())
        uri = self.app.builder.get_relative_uri(self.docname, page) or self.page
        return self.link(words, uri + (f"#{self.label(anchor)}" if anchor else ""))

    def note(self, name: str) -> str:
        """The mark of a footnote: its number, or one in the order in which they are asked for."""
        if not name.isdecimal() and name not in self.notes:
            self.notes.append(name)
        return f"<sup>{name if name.isdecimal() else self.notes.index(name) + 1}</sup>"

    def line(self, text: str) -> str:
        """Text with what stands within a line: roles, links, notes; nothing reaches from a paragraph into the next."""
        def put(match):
            before, after = match.string[:match.start()], match.string[match.end():]
            if role := match["role"]:
                if role == "glue:text":
                    return plain(self.glued(match["text"]))
                if role == "math":
                    return f"${match['text']}$"
                if role in ("eq", "doc", "ref", "numref") or role.startswith("cite:"):
                    return self.resolved(role, match["text"], before, after)
                raise self.lack(f"the role {{{role}}}")
            if match["note"]:
                return self.note(match["note"])
            to = match["to"] or match["bare"]
            if to is None or re.match(r"(?!project:|path:|inv:)[a-z]+:", to):
                return match[0]
            if match["image"]:
                return f"![{match['words']}]({self.embedded(to)})"
            return self.place(match["words"] or "", to)
        return "".join(ROLE.sub(put, part) for part in re.split(r"(\n[\s>]*\n)", text))

    def equation(self, tex: str, label: str = "") -> str:
        tex = tex.strip()
        if r"\\" in tex and r"\begin" not in tex:
            tex = f"\\begin{{aligned}}\n{tex}\n\\end{{aligned}}"
        tex = re.sub(r"\\(begin|end)\{(align|gather)\*?\}", r"\\\1{\2ed}", tex)
        if label:
            tex += f"\n\\tag{{{self.number('displaymath', nodes.make_id(f'equation-{label}'))}}}"
        return "$$\n" + re.sub(r"\n\s*\n", "\n", tex) + "\n$$"

    def quote(self, title: str, body: str, folded: bool) -> str:
        """A box as a quotation, or folded; within the label of a fold Markdown is not read."""
        if folded:
            return f"<details>\n<summary>{MarkdownIt().renderInline(title)}</summary>\n\n{body}\n\n</details>"
        lines = [f"**{title}**", "", *body.splitlines()]
        return "\n".join(f"> {line}".rstrip() for line in lines)

    def directive(self, name: str, title: str, content: str) -> str:
        if inside := re.match(r"---\n(.*?)\n---\n?", content, re.S):
            options = {key: str(value) for key, value in yaml.safe_load(inside[1]).items()}
        else:
            inside = re.match(r"(?:^:[\w-]+:.*\n?)*", content, re.M)
            options = dict(re.findall(r"^:([\w-]+):[ \t]*(.*)$", inside[0], re.M))
        content = content[inside.end():].strip("\n")
        if "hidden" in options:
            return ""
        folded = "dropdown" in options.get("class", "") or name == "dropdown"
        label = options.get("label") or options.get("name") or ""
        if name == "exercise":
            if not label:
                raise self.lack("an exercise without :label:", "in its second line :label: ex-NAME-WORD")
            self.titles[label] = f" ({self.line(title)})" if title else ""
            number = self.number("exercise", label)
            head = f"Exercise{f' {number}' if number else ''}{self.titles[label]}"
            return self.quote(head, self.text(content), True) if folded else f"### {head}\n\n{self.text(content)}"
        if name == "solution":
            if title.strip() not in self.titles:
                raise self.lack(f"the solution of {title.strip()!r}, which is no exercise above it,",
                                "this label there; a block with code in it stands between longer fences: ````")
            number = self.number("exercise", title.strip())
            head = f"Solution to Exercise{f' {number}' if number else ''}{self.titles[title.strip()]}"
            return self.quote(head, self.text(content), True) if folded else f"#### {head}\n\n{self.text(content)}"
        if name in ("check", "predict"):
            check = notebooks.answers()["parsed"](name, title.strip(), content)
            call = f'`course.check("{check.name}", …)`'
            said = [*checks.shown(check), f"*Check your answer in a cell:* {call}"]
            return "\n".join(f"> {line}".rstrip() for line in self.text("\n\n".join(said)).splitlines())
        if name in QUOTES:
            own = "See also" if name == "seealso" else name.capitalize()
            head = self.line(title) if title else own
            if title and name not in ("admonition", "dropdown", "topic", "sidebar", "margin"):
                head, content = own, f"{title}\n{content}"  # a note may begin on its first line
            return self.quote(head, self.text(content), folded)
        if name == "math":
            return self.equation(f"{title}\n{content}", label)
        if name in CODE:
            marks = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", content)), 3)
            caption = f"*{self.line(options['caption'])}*\n\n" if "caption" in options else ""
            return f"{caption}{marks}{title}\n{content}\n{marks}"
        if name in ("figure", "image"):
            picture = f"![{options.get('alt', '')}]({self.embedded(title)})"
            number = self.number("figure", label)
            caption = f"{f'**Figure {number}.** ' if number else ''}{self.text(content)}"
            return f"{picture}\n\n{caption}" if name == "figure" else picture
        if name == "raw" and (live := re.search(r"<(\w+-[\w-]+)\b[^>]*>", content)):
            picture = self.root / f"chapters/_static/{live[1]}.png"
            if not picture.exists():
                raise ExtensionError(f"{self.docname}.ipynb: <{live[1]}> has no picture, wanted {picture.name} "
                                     "in chapters/_static")
            said, file = re.sub(r"<[^>]+>", "", content).strip(), f"/chapters/_static/{picture.name}"
            place = self.link("on its page", self.page)
            return (f"*This figure can be changed {place} only. Here is its picture.*\n\n"
                    f"![{re.sub(r'.*?: it ', 'A figure that ', said, count=1)}]({self.embedded(file)})")
        if name == "raw":
            return content if title.strip() == "html" else ""
        raise self.lack(f"the directive {{{name}}}")

    def block(self, token, lines: list[str]) -> str:
        """A block of MyST, which these lines hold, as plain Markdown."""
        match token.type:
            case "heading_open":
                number = next(self.numbers, None) if self.depth == 1 and not token.level else None
                words = re.sub(r"^[\s>]*#+\s+", "", " ".join(lines[:-1] if token.markup in "=-" else lines))
                shown = ".".join(map(str, number)) + ". " if number else ""
                return f"{'#' * int(token.tag[1])} {shown}{self.line(words)}"
            case "math_block":
                return self.equation(token.content)
            case "amsmath":
                raise self.lack("a formula that begins with \\begin", "$$ around it")
            case "footnote_reference_open":
                first, *rest = re.sub(r"^\s*\[\^.*?\]:\s*", "", "\n".join(lines)).split("\n")
                said = "\n".join([first, *(re.sub("^ {1,4}", "", line) for line in rest)])
                return f"{self.note(token.meta['label'])} {self.text(said).strip()}\n"
            case "math_block_label":
                return self.equation(token.content, token.info)
            case "dl_open":
                if token.level:
                    raise self.lack("a definition list within a list or a quotation")
                return self.definitions(lines)
            case "fence" | "colon_fence":
                if not (match := DIRECTIVE.fullmatch(token.info.strip())):
                    raise self.lack(f"{token.markup}{token.info.strip()}, which names no {{directive}},")
                name, title = match.groups()
                return self.directive(name, title, token.content)
        return ""  # a label, a comment, the end of a block

    def definitions(self, lines: list[str]) -> str:
        """A definition list as a list: **term**: what it means."""
        items, last = [], ""
        for line in lines:
            if match := re.match(r"\s{0,3}[:~]\s+", line):
                items[-1].append([line[match.end():]])
            elif line.strip() and not line[0].isspace() and not (last.strip() and items and len(items[-1]) > 1):
                items.append([line])
            elif items and len(items[-1]) > 1:
                items[-1][-1].append(re.sub("^ {1,4}", "", line))
            last = line
        made = []
        for term, *meanings in items:
            head = self.line(term) if "**" in term else f"**{self.line(term)}**"
            made.append(f"{head}: " + "\n\n".join(self.text("\n".join(said)).strip() for said in meanings))
        return "\n".join("- " + item.replace("\n", "\n  ") for item in made)

    def text(self, source: str) -> str:
        """Markdown with what MyST adds to it as plain Markdown."""
        lines, out, at = source.splitlines(), [], 0
        self.depth += 1
        for token in self.md.parse(source):
            if token.type not in BLOCKS or token.map is None or token.map[0] < at:
                continue
            start, end = token.map
            out += self.line("\n".join(lines[at:start])).split("\n") if start > at else []
            if token.type in ("fence", "code_block") and not DIRECTIVE.fullmatch(token.info.strip()):
                out += lines[start:end]  # code
            else:
                first = re.match(r"(?:[\s>]|(?:[-*+]|\d+[.)])\s)*", lines[start])[0]
                made, rest = self.block(token, lines[start:end]).splitlines(), re.sub(r"[^\s>]", " ", first)
                out += [(prefix + line).rstrip() for prefix, line in zip([first, *[rest] * len(made)], made)]
                if not lines[end - 1].strip() or end < len(lines) and lines[end].strip():
                    out.append(rest.rstrip())  # what follows is no part of it
            at = end
        self.depth -= 1
        return "\n".join(out + self.line("\n".join(lines[at:])).split("\n"))

    # Cells

    def prose(self, source: str, identity: str):
        text = self.text(source).strip("\n")
        kind = "slide" if text.startswith("#") else "-" if identity.endswith("-caption") else "subslide"
        return nbformat.v4.new_markdown_cell(text, id=identity[:64], metadata=slide(kind))

    def code(self, cell):
        """The cell and, behind a figure, its caption; behind an explorable, what its stored frame shows."""
        tags, about = cell.metadata.get("tags", []), cell.metadata.get("mystnb", {})
        kept = slide("-") | ({"tags": tags} if tags else {})
        if HIDDEN & set(tags):
            kept |= FOLDED
        outputs = [out for out in cell.outputs if notebooks.GLUED + "text/plain" not in out.get("data", {})]
        shown = nbformat.v4.new_code_cell(cell.source, id=cell.id, metadata=kept, outputs=outputs,
                                          execution_count=cell.execution_count)
        for out in (out for out in shown.outputs if "<cite>" in str(out.get("data", {}).get("text/html"))):
            self.cited |= {key for record in notebooks.records([out]) for key in record["sources"]}
            out.data["text/html"] = ledger.cited(self.app, "".join(out.data["text/html"]))
        cells = [shown]
        for i, html in enumerate(notebooks.of_kind(outputs, "text/html")):
            if frame := "; ".join(f"{name} = {value}" for name, value in FRAME.findall(html)):
                said = f"*The stored picture shows {frame}. Run all cells down to it, and controls above it change it.*"
                cells.append(self.prose(said, f"{cell.id}-frame-{i}"))
        if figure := about.get("figure"):
            number = self.number("figure", figure.get("name", ""))
            caption = f"**Figure {number}.** {figure['caption']}" if number else figure["caption"]
            if alt := about.get("image", {}).get("alt"):  # in the text, as few programs show one of an output
                caption += f"\n\n<details>\n<summary>The figure in words</summary>\n\n{alt}\n\n</details>"
            cells.append(self.prose(caption, f"{cell.id}-caption"))
        return cells

    def helper(self):
        """The cell that unpacks the helper, the pictures that the chapter names, the rows and weights that it reads."""
        course = [self.root / reach.FOLDERS["course"] / f"{path}.py" for path in reach.files(self.root)]
        read = [path for reads in (refresh.pictures_read, refresh.rows_read, refresh.weights_read)
                for path in reads(self.source, self.root)]
        files = {path.relative_to(self.root).as_posix(): path.read_bytes() for path in course + read}
        table = notebooks.answers()["encoded"](notebooks.checks(self.source))
        files[f"{self.docname}.checks"] = table.encode()
        with zipfile.ZipFile(stream := io.BytesIO(), "w") as file:
            for name, data in files.items():  # without a date
                file.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED, 9)
        data = base64.b85encode(stream.getvalue()).decode()
        title = self.app.config.html_title
        book = f"{title}, {posixpath.join(self.base, self.docname)}.html" if self.base else title
        source = UNPACK.replace("{data}", data).replace("{book}", book)
        return nbformat.v4.new_code_cell(source, id="helper", metadata={**FOLDED, **slide("skip")})

    def works(self):
        """A cell that lists the works that this chapter cites, for readers who have this file alone."""
        found = sorted(str(work.formatted_entry.text.render_as("markdown")).replace("\n", " ")
                       for work in self.env.get_domain("cite").citations if work.key in self.cited)
        return self.prose("## References\n\n" + "\n".join(f"- {work}" for work in found), "references")

    def notebook(self):
        cells = []
        for cell in self.source.cells:
            if cell.cell_type == "code" and not any(c.cell_type == "code" for c in cells):
                cells.append(self.helper())
            cells += self.code(cell) if cell.cell_type == "code" else [self.prose(cell.source, cell.id)]
        cells += [self.works()] * bool(self.cited)
        notebook = nbformat.v4.new_notebook(cells=cells, metadata=notebooks.CLEAN_METADATA)
        notebook.metadata["edition"] = digest(notebook)  # see tools/lab.py
        return notebook


def buttons(app, pagename, template, context, doctree):
    """Launch buttons open the student edition, which the Pages workflow puts on the branch `notebooks`."""
    repository = re.fullmatch(r"https://github\.com/(.+/.+)", app.config.html_theme_options.get("repository_url") or "")
    group = [b for b in context.get("header_buttons", []) if b.get("label") == "launch-buttons"]
    if repository and group:
        place, name = repository[1], f"{posixpath.basename(pagename)}.ipynb"
        file = f"{place}/blob/notebooks/{name}"
        hub = app.config.html_theme_options["launch_buttons"].get("jupyterhub_url")
        pulled = urlencode({"repo": f"https://github.com/{place}", "branch": "notebooks",
                            "urlpath": f"lab/tree/{posixpath.basename(place)}/{name}"}, safe="/:")
        for text, icon, url in (
                *[("JupyterHub", "_static/images/logo_jupyterhub.svg",
                   f"{hub}/hub/user-redirect/git-pull?{pulled}")][:bool(hub)],
                ("Binder", "_static/images/logo_binder.svg",
                 f"https://mybinder.org/v2/gh/{place}/notebooks?urlpath=lab/tree/{name}"),
                ("Colab", "_static/images/logo_colab.png", f"https://colab.research.google.com/github/{file}"),
                ("Kaggle", "fas fa-cloud", f"https://kaggle.com/kernels/welcome?src=https://github.com/{file}")):
            group[0]["buttons"] = [b for b in group[0]["buttons"] if b["text"] != text]
            group[0]["buttons"].append(
                {"type": "link", "text": text, "tooltip": f"Open in {text}", "icon": icon, "url": url})


def write(app, exception):
    """_sources/chapters/NAME.ipynb, which the download button gives."""
    if exception or app.builder.format != "html":
        return
    for docname in sorted(app.env.found_docs):
        path = Path(app.outdir, "_sources", f"{docname}.ipynb")
        if Path(app.srcdir, f"{docname}.ipynb").exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                notebook = Edition(app, docname).notebook()
            except (LookupError, TypeError, ValueError, AttributeError, OSError) as e:
                raise ExtensionError(f"{docname}.ipynb: has no student edition: {type(e).__name__}: {e}") from e
            notebooks.store(notebook, path)


def setup(app):
    app.connect("html-page-context", buttons, priority=502)  # after the theme's own
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
