"""The head of a page: scripts once, deferred, and only where used; fonts that are asked for at once; a description."""
import re

from page import theme

# A script of ours with such a word in its name is left out unless its page has what follows.
NEEDED = {"explore": 'class="explore"', "kernel-editor": "<kernel-editor", "receptive-field": "<receptive-field",
          "your-picture": "<your-picture",
          "answers": "<answer-check", "forget": "<answer-clear"}

# So that nothing moves when they arrive: fonts, and what on a page needs them
FONTS = {theme.ICONS.old: "", "fonts/KaTeX_Main-Regular.woff2": 'class="katex"',
         "fonts/KaTeX_Math-Italic.woff2": "mathnormal", "fonts/KaTeX_AMS-Regular.woff2": "mathbb|amsrm"}


def scripts(files: list, body: str, place: str, missed: dict) -> list:
    """Those that the page needs."""
    named, signs = {}, {literal.old: sign for literal, sign in theme.SCRIPTS.items()} | NEEDED
    for file in files:
        named.setdefault(f"{file.filename or ''}{file.attributes.get('body') or ''}", file)
    theme.edit("\n".join(named), theme.SCRIPTS, place, missed)
    kept = [file for name, file in named.items() if not any(
        re.search(word, name) and not (sign and re.search(sign, body)) for word, sign in signs.items())]
    return [type(file)(file.filename, priority=file.priority, **{**file.attributes, "defer": "defer"})
            if file.filename else file for file in kept]


def fill(app, pagename: str, template: str, context: dict) -> None:
    body = context.get("body", "")
    if template == "page.html":
        context["script_files"] = scripts(context["script_files"], body, f"{pagename}.html", app.missed)
    context["fonts"] = [f"_static/{font}" for font, sign in FONTS.items() if re.search(sign, body)]
    page = app.config.root_doc if pagename == "index" else pagename  # index.html forwards to the first page
    context["description"] = context.get("descriptions", {}).get(page.rpartition("/")[2], context.get("title", ""))
