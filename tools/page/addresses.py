"""The page for missing pages, the forward to the first page, and what search engines ask for.

Whole addresses need html_baseurl; without it there are none.
"""
import posixpath
from pathlib import Path

SITEMAP = "http://www.sitemaps.org/schemas/sitemap/0.9"


def pages(app):
    icon = Path(app.srcdir, app.config.html_favicon).read_text(encoding="utf-8")
    return [("404", {"icon": icon}, "404.html"), ("index", {"title": app.config.html_title}, "forward.html")]


def on_page(app, pagename, template, context, doctree):
    root, base = app.config.root_doc, app.config.html_baseurl
    context["landing"] = pagename in (root, "index")
    if pagename == "index" and base:
        context["pageurl"] = posixpath.join(base, f"{root}.html")
    context["card"] = posixpath.join(base, "_static/social_card.png")


def write_sitemap(app, exception):
    """sitemap.xml, and robots.txt, which is read where the book is the root of its host."""
    base = app.config.html_baseurl
    if exception or app.builder.format != "html" or not base:
        return
    places = [posixpath.join(base, f"{page}.html") for page in sorted(app.env.found_docs)]
    urls = "".join(f"<url><loc>{place}</loc></url>\n" for place in places)
    sitemap = f'<?xml version="1.0" encoding="utf-8"?>\n<urlset xmlns="{SITEMAP}">\n{urls}</urlset>\n'
    Path(app.outdir, "sitemap.xml").write_text(sitemap, encoding="utf-8")
    Path(app.outdir, "robots.txt").write_text(f"Sitemap: {posixpath.join(base, 'sitemap.xml')}\n", encoding="utf-8")


def setup(app):
    app.connect("html-collect-pages", pages)
    app.connect("html-page-context", on_page)
    app.connect("build-finished", write_sitemap)
