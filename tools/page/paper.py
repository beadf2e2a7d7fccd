"""Explorables are complete on paper too."""
import copy
import json
import re

from bs4 import BeautifulSoup

from page.numbers import together

EXPLORABLE = re.compile(r'<figure class="explore".*?</figure>', re.S)


def printed(match) -> str:
    """An explorable with what takes its place in print: up to six frames, the first and the last among them.

    On a screen they are not shown, and cost no byte: their picture is the one that is there.
    """
    page = BeautifulSoup(match[0], "html.parser")
    figure, frame, controls = page.figure, page.select_one(".explore-frame"), page.select("input, select")
    rows, columns = map(int, figure["data-shape"].split())
    said, caption = [together(text) for text in json.loads(figure["data-said"])], figure.figcaption
    for text in (caption, *page.select(".explore-said")):
        text.string = together(text.text)
    figure["data-said"] = json.dumps(said, ensure_ascii=False)
    names = [control.find_previous_sibling("span").text for control in controls]
    values = [[option.text for option in c("option")] or json.loads(c["data-values"]) for c in controls]
    items = page.new_tag("ul", attrs={"class": "explore-paper"})
    for i in sorted({round(k * (len(said) - 1) / 5) for k in range(6)}):
        case = together(", ".join(f"{name} {of[at]}" for name, of, at in zip(names, values, divmod(i, columns))))
        item, text = page.new_tag("li"), page.new_tag("p")
        if frame:
            shown = copy.copy(frame)
            for picture in shown.select("[data-by=night]"):
                picture.decompose()
            tall = 100 * (int(frame.img["height"]) / rows) / (int(frame.img["width"]) / columns)
            margin = f"{-tall * (i // columns):g}% 0 {-tall * (rows - 1 - i // columns):g}% {-100 * (i % columns)}%"
            shown.img["style"] = re.sub(r"margin: .*", f"margin: {margin}", frame.img["style"])
            shown.img["alt"] = f"{case}. {caption.text}"
            item.append(shown)
        text.append(page.new_tag("b", string=case))
        text.append(f": {said[i]}" if said[i] else "")
        item.append(text)
        items.append(item)
    caption.insert_before(items)
    return str(page)


def on_paper(body: str) -> str:
    return EXPLORABLE.sub(printed, body)
