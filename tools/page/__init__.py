"""Sphinx extension: pages that are light and ask no other host for anything.

Each module does one thing, as its first line says. What they take from the theme stands in theme.py.
"""
import re
from pathlib import Path

from page import (
    addresses,
    checks,
    folds,
    formulas,
    head,
    live,
    markup,
    night,
    numbers,
    paper,
    pictures,
    search,
    styles,
    theme,
)


def on_page(app, pagename, template, context, doctree):
    """What becomes of a page before the theme lays it out."""
    styles.collect(app, context)
    if body := context.get("body"):
        body = pictures.frames_to_files(app, body, context["pathto"])
        body = formulas.hold(numbers.chapter_links(app, pagename, body))
        body = night.pairs(app, body)  # has files of the frames, and not yet those for paper
        context["body"] = numbers.caption(numbers.results(paper.on_paper(body)))
    head.fill(app, pagename, template, context)
    context["doctree"] = doctree  # for theme.Templates
    if number := app.env.toc_secnumbers.get(pagename, {}).get(""):
        context["pagetitle"] = f"{number[0]}. {context.get('pagetitle')}"


def always(app, env, added, changed, removed):
    """Pages that show numbers of other pages, or what they cite, are read each time, beside those that changed."""
    return [page for page in env.found_docs
            if re.search(r"\.ipynb::|\{bibliography\}", Path(env.doc2path(page)).read_text(encoding="utf-8"))]


def finish(app, exception):
    """What needs all pages: pictures, one file of the styles, fonts."""
    formulas.stop(app)
    try:
        if not exception and app.builder.format == "html":
            out = Path(app.outdir)
            pictures.encode(out)
            live.write(app)
            theme.edit_static(out / "_static", app.missed)
            pages = "".join(path.read_text(encoding="utf-8") for path in out.rglob("[!.]*.html"))
            styles.cut_fonts(out / "_static", styles.one_style(app, pages), pages)
    finally:
        theme.tell(app.missed)


def setup(app):
    app.config.templates_path.append(str(Path(__file__).with_name("templates")))
    app.config.html_context["default_mode"] = "auto"  # light or dark as the reader's system says
    for part in (addresses, checks, folds, formulas, live, markup, numbers, pictures, search, styles, theme):
        part.setup(app)
    app.connect("env-get-outdated", always)
    app.connect("html-page-context", on_page, priority=900)
    app.connect("build-finished", finish, priority=900)  # after the theme has written its colours of code
    return {"parallel_read_safe": True, "parallel_write_safe": False}
