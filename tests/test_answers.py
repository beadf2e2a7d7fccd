"""Answers that are checked, both ways: by course.check and on the page, where a script judges as the helper does."""
import copy
import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import expect

import course
import notebooks
from course.machinery import checks
from visits import go, visiting

ROOT = Path(__file__).resolve().parent.parent


def tables(path):
    """The tables of a chapter; none where they are faulty, as test_notebooks says what they lack."""
    try:
        return checks.tables(notebooks.prose(notebooks.read(path)))
    except ValueError:
        return {}


TABLES = {path.stem: tables(path) for path in notebooks.chapters()}
CHECKED = [name for name, found in TABLES.items() if found]
WRONG = 20  # other answers for each check
VARIANTS = [str, lambda s: f"  {s} ", lambda s: s.replace("-", "−"), lambda s: s.replace("-", "–"),
            lambda s: s.replace("*", "·"), lambda s: s.replace("^", "**"), lambda s: s.replace("^2", "²")]
OF_NUMBERS = [lambda s: f"{s} pixels", lambda s: f"n = {s}", lambda s: f"≈{s}"]
OF_SHARES = [lambda s: f"{100 * s:.15g} %", lambda s: f"{100 * s:.15g}%", lambda s: f"{100 * s:.15g} per cent"]


def texts(check, written):
    """An answer as several people would type it."""
    plain = written.partition("±")[0].strip()
    found = {variant(plain) for variant in VARIANTS}
    if check.kind in ("number", "percent"):
        found |= {variant(plain) for variant in OF_NUMBERS} | {plain.replace(".", ",")}
        found |= {variant(checks.value(checks.clean(plain)) / (100 if check.kind == "percent" else 1))
                  for variant in OF_SHARES}
        if re.fullmatch(r"\d{4,}", plain):
            found |= {f"{int(plain):,}", f"{int(plain):,}".replace(",", "\u202f")}
    if check.kind == "list":
        found |= {f"({plain})", f"[{plain}]", f"torch.Size([{plain}])"}
        found |= {plain.replace(", ", "×"), plain.replace(",", " ")}
    if check.kind == "formula":
        found |= {re.sub(r"([A-Za-z])(\d)", r"\1_\2", plain), plain.replace("l", "ℓ")}
    return sorted(found)


def others(check):
    """Twenty answers that are neither right nor a near miss: readable, but for choices; a share without its %, too."""
    draw, found = random.Random(check.name), []
    known = [check.right, *(miss for miss, _ in check.misses)] if check.kind != "choice" else []
    likely = [f"{100 * v:.15g}" for (v, _), *_ in known] if check.kind == "number" else []
    likely += [f"{v:.15g} %" for (v, _), *_ in known] if check.kind == "number" else []
    while len(found) < WRONG:
        scale = abs(known[0][0][0]) + 1 if known else 1
        number = f"{scale * draw.uniform(-3, 3):.4g}"
        match check.kind:
            case "choice":
                text = draw.choice(["z", "yes", "i", "ab", "1", "?"]) + str(len(found))
            case "list":
                text = ", ".join(str(draw.randint(0, 99)) for _ in range(draw.choice([len(check.right), 1, 5])))
            case "formula":
                one, two = draw.choice(check.names), draw.choice(check.names)
                text = f"{draw.randint(2, 99)} {one} {draw.choice('+-*/')} {two}^{draw.randint(2, 5)}"
            case _:
                text = likely.pop() if likely else draw.choice(
                    [number, f"{number} cm", f"{number} %", f"{draw.randint(2, 9)}/{draw.randint(97, 999)}"])
        read = checks.readings(text, check.kind, check.names) if known else []
        if text not in found and not any(checks.same(one, value) for one in read for value in known):
            found.append(text)
    return found


def hints(check):
    """{answer: hint} of all wrong answers that the table knows; a choice without a hint has an empty one."""
    if check.kind == "choice":
        return {checks.letter(i): hint for i, (_, hint) in enumerate(check.misses) if i != check.right}
    return dict(zip(check.written[1:], (hint for _, hint in check.misses)))


def rights(check):
    return [checks.letter(check.right)] if check.kind == "choice" else texts(check, check.written[0])


def said(check, hint="", right=False):
    start = "Right." if right else "Not so." if check.first else "Not yet."
    return " ".join(filter(None, [start, hint, check.why if right or check.first else ""]))


def cases(check):
    """[(answer, what is said to it)]: right ones, near misses, others; those of a choice cannot be read."""
    letters = ", ".join(checks.letter(i) for i in range(len(check.misses)))
    yield from ((text, said(check, right=True)) for text in rights(check))
    for miss, hint in hints(check).items():
        yield from ((text, said(check, hint)) for text in (texts(check, miss) if check.kind != "choice" else [miss]))
    other = f"This cannot be read as one of {letters}." if check.kind == "choice" else said(check)
    yield from ((text, other) for text in others(check))


@pytest.mark.parametrize("chapter", CHECKED)
def test_right_answers_pass_near_misses_get_their_hint_and_others_none(chapter):
    wrong = [(check.name, text, told, wanted) for check in TABLES[chapter].values() for text, wanted in cases(check)
             if (told := checks.judged(check.name, text)[1]) != wanted]
    assert wrong == []


@pytest.mark.parametrize("chapter", CHECKED)
def test_no_two_near_misses_are_the_same_and_none_is_right(chapter):
    for check in TABLES[chapter].values():
        values = [check.right, *(miss for miss, _ in check.misses)] if check.kind != "choice" else []
        for i, (first, *rest) in enumerate(values[k:] for k in range(len(values))):
            for other in rest:
                apart = len(first) != len(other) or any(
                    abs(a - b) > da + db for (a, da), (b, db) in zip(first, other))
                assert apart, f"{check.name}: {check.written[i]} and another one are too near"


def test_there_are_enough_checks():
    found = [check for tables in TABLES.values() for check in tables.values()]
    counts = {"checks": sum(not c.first for c in found), "predictions": sum(c.first for c in found),
              "hints": sum(bool(h) for c in found for h in hints(c).values()), "wrong answers": WRONG * len(found)}
    print(counts, {kind: sum(c.kind == kind for c in found) for kind in checks.LIKE})
    assert counts["checks"] >= 76 and all(c.proof for c in found if c.first)


# How answers are read

READ = {"1/64": 1 / 64, "2^10": 1024, "2**10": 1024, "-6,23": -6.23, "−6.23": -6.23, "1 049 600": 1049600,
        "1,049,600": 1049600, "1.049.600": 1049600, "1\u202f049\u202f600": 1049600, "2e-3": 0.002, "3 (4 + 1)": 15,
        "-2^2": -4, "2^-1": 0.5, "2^3^2": 512, "(1 + 2)(3 + 4)": 21, ".5": 0.5, "½": 0.5, "5²": 25, "64 × 64": 4096,
        "64·64": 4096, "6 ÷ 3": 2, "12 dB": 12, "50 %": 0.5, "2,5%": 0.025, "1/4 %": 0.0025, "5 percent": 0.05,
        "5 per cent of all": 0.05, "x = 3": 3, "> 3": 3, "3.": 3, "+4": 4, "--4": 4}
UNREAD = ["", "abc", "1/0", "2 3", "1 +", "(1", "1)", "^2", "2^", "1..2", "0^-1", "10^999", "constructor", "(-8)^0.5",
          "()", "７３７", "٧٣٧"]


def number_of(text):
    found = checks.readings(text, "number", [])
    return [one for one, in found]


@pytest.mark.parametrize("text", READ)
def test_numbers_are_read(text):
    assert any(abs(one - READ[text]) < 1e-9 for one in number_of(text)), number_of(text)


@pytest.mark.parametrize("text", UNREAD)
def test_what_is_no_number_is_told(text):
    assert number_of(text) == []


@pytest.mark.parametrize(("question", "answer", "right", "wrong"), [
    ("Which share of the pixels is black?", "0.25", ["0.25", "25 %", "25%", "≈ 25 %", "25 per cent", "1/4"],
     ["25", "0.25 %", "0.25%", "2500 %"]),
    ("Which share, in %, is black?", "25", ["25", "25 %", "25%", "25 per cent"], ["0.25", "1/4", "0.25 %", "2500 %"]),
    ("How many per cent, in per cent?", "0.5", ["0.5", "0.5 %"], ["50 %", "50", "0.005"]),
    ("How often? Write t0 and l.", "t0/l", ["t0/l", "t_0/l", "t_0/ℓ", "t0 / ℓ"], ["t/l", "t_1/l", "t0 l", "t_ 0/l"]),
    ("How often? Write t_0.", "2 t_0", ["2 t0", "2 t_0", "2*t_0"], ["t_0", "2 t"]),
])
def test_a_share_may_be_told_in_per_cent_and_a_letter_with_its_index_below(question, answer, right, wrong):
    table = checks.parsed("check", "ex-a-b", f"{question}\n= {answer}")
    assert [checks.reply(table, text)[0] for text in right + wrong] == [True] * len(right) + [False] * len(wrong)


def test_answers_of_a_notebook_are_read():
    right = {"ex-cnn-count": [2625, 2625.0, np.int64(2625), torch.tensor(2625), torch.tensor([[2625.0]]), "2625"],
             "predict-unet-shape": [(16, 32, 32), [16, 32, 32], torch.zeros(16, 32, 32).shape, torch.zeros(16, 32, 32),
                                    np.zeros((16, 32, 32)), torch.tensor([16, 32, 32]), "16×32×32"],
             "ex-convolutions-motion": [torch.tensor([3.0, 2, 1]), np.array([3, 2, 1]), (3, 2, 1)],
             "predict-cnn-seen": [0.5, torch.tensor(0.5), "1/2"], "ex-unet-break-even": [0, torch.tensor(0)],
             "ex-end_to_end-kinds": ["b", "(b)", "B", "(b) and (d)"],
             "ex-posterior-half": [0.67, torch.tensor(0.673), "67 %", "67.3%"],
             "ex-end_to_end-break-even": ["t0/(t2 - t1)", "t_0 / (t_2 - t_1)"],
             next(name for of in TABLES.values() for name in of if name.endswith("-count-formula")): [
                 "9 (c + l g) g + g", "9 g (c + ℓ g) + g"]}
    for name, answers in right.items():
        for answer in answers:
            assert checks.judged(name, answer)[0], (name, answer)
    assert not checks.judged("predict-unet-shape", torch.zeros(16, 31, 31))[0]
    assert "half whole" in checks.judged("predict-unet-shape", torch.zeros(16, 31, 31))[1]


def test_check_prints_what_is_said(capsys):
    course.check("ex-cnn-count", 2592)
    assert capsys.readouterr().out == "Not yet. The biases count, too: one for each output channel of each layer.\n"


@pytest.mark.parametrize(("name", "answer", "error", "told"), [
    ("ex-cnn-nothing", 1, ValueError, "got 'ex-cnn-nothing', wanted one of predict-cnn-rim, "),
    ("ex-nowhere-count", 1, ValueError, "got the chapter 'nowhere', wanted one of cnn, "),
    ("count", 1, ValueError, "wanted one of"), (3, 1, ValueError, "wanted one of"),
    ("ex-cnn-count", None, TypeError, "answer: got NoneType, wanted a number"),
    ("ex-cnn-count", {}, TypeError, "answer: got dict"),
    ("ex-cnn-disjoint", object(), TypeError, "wanted one of a, b, c"),
    ("ex-cnn-count", 10**400, TypeError, "answer: got int, wanted a number"),
    ("ex-cnn-count", (10**400, 1), TypeError, "answer: got tuple, wanted a number"),
    (f"ex-{'a' * 5000}-b", 1, ValueError, "wanted one of cnn, "), ("ex-../cnn-b", 1, ValueError, "wanted one of cnn, "),
])
def test_what_cannot_be_checked_is_told(name, answer, error, told):
    with pytest.raises(error, match=re.escape(told)):
        course.check(name, answer)


@pytest.mark.parametrize("text", ["(" * 3000 + "2625" + ")" * 3000, "-" * 3000 + "2625", "2^" * 2000 + "1"])
def test_an_endless_answer_is_told(text):
    assert checks.judged("ex-cnn-count", text) == (False, f"This cannot be read as {checks.NUMBER}.")


@pytest.mark.parametrize(("body", "told"), [
    ("How many?", "wanted a question, then one line '= answer'"), ("= 3", "wanted a question"),
    ("How many?\n= 3\n= 4", "one line '= answer'"), ("How many?\n= 3\n~ 4", "the near miss '4' without a hint"),
    ("How many?\n= 3 +", "answer: got '3 +', wanted a number"),
    ("Which?\n- [ ] a\n- [ ] b", "one of them '- [x] text'"),
    ("Which?\n- [x] a\n- [x] b", "one of them"), ("Which?\n- [x] a", "one of them")])
def test_a_table_that_is_none_is_told(body, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        checks.parsed("check", "ex-a-b", body)


def test_a_notebook_of_its_own_reads_the_table_that_it_unpacked(tmp_path, monkeypatch):
    (tmp_path / "cnn.checks").write_text(checks.encoded(TABLES["cnn"]))
    monkeypatch.setattr(checks, "FOLDER", tmp_path)
    assert {name: copy.copy(check) for name, check in checks.of_chapter("cnn").items()}.keys() == TABLES["cnn"].keys()
    for check in TABLES["cnn"].values():
        for text, wanted in cases(check):
            assert checks.judged(check.name, text)[1] == wanted
    with pytest.raises(ValueError, match="wanted one of cnn"):
        course.check("ex-unet-shift", "a")


# On the page

JUDGED = """cases => cases.map(([name, text]) => document.getElementById(`answer-${name}`).judge(text)[1])"""


def of_page(check):
    """The cases that a field can get: choices are pressed."""
    return [(text, wanted) for text, wanted in cases(check) if check.kind != "choice" or "cannot be read" not in wanted]


def page_complaints(tab, chapter) -> list:
    """What a page says of answers otherwise than the helper: of all by its script, of the right one and of a near miss
    also by keyboard."""
    asked = [(check.name, text, wanted) for check in TABLES[chapter].values() for text, wanted in of_page(check)]
    asked += [(check.name, text, checks.judged(check.name, text)[1]) for check in TABLES[chapter].values()
              if check.kind != "choice" for text in [*READ, *UNREAD[1:]]]
    told = tab.evaluate(JUDGED, [case[:2] for case in asked])
    for check in TABLES[chapter].values():
        field = tab.locator(f"answer-check[id='answer-{check.name}']")
        for text, wanted in [(rights(check)[0], said(check, right=True)),
                             *[(miss, said(check, hint)) for miss, hint in hints(check).items()][-1:]]:
            if check.kind == "choice":
                field.locator(f"input[value={text}]").focus()
                tab.keyboard.press("Space")
                tab.keyboard.press("Enter")
            else:
                field.locator("input").fill(text.partition("±")[0])
                field.locator("input").press("Enter")
            expect(field.locator(".answer-said")).to_have_text(wanted)
    return [(name, text, a, wanted) for (name, text, wanted), a in zip(asked, told) if a != wanted]


def first_of(chapter, kind):
    return next(check for check in TABLES[chapter].values() if check.kind == kind)


def test_nothing_shows_the_answer_before_it_is_asked_for(site):
    for chapter in CHECKED:
        html = (site.folder / f"chapters/{chapter}.html").read_text(encoding="utf-8")
        lone = (site.folder / f"_sources/chapters/{chapter}.ipynb").read_text(encoding="utf-8")
        for check in TABLES[chapter].values():
            for hint in filter(None, hints(check).values()):
                assert hint not in html and json.dumps(hint)[1:-1] not in lone, check.name


def test_answers_are_kept_and_forgotten(browser, site):
    check, choice = first_of("cnn", "number"), first_of("cnn", "choice")
    with visiting(browser, site) as visit:
        tab = visit.tab
        go(visit, site, "chapters/cnn")
        number, options = (tab.locator(f"answer-check[id='answer-{one.name}']") for one in (check, choice))
        number.get_by_label("Your answer").fill("12")
        number.get_by_role("button", name="Check").click()
        options.get_by_label(choice.misses[0][0]).check()
        options.get_by_role("button", name="Check").click()
        assert json.loads(tab.evaluate("localStorage.getItem('answers')")) == {
            f"answer-{check.name}": "12", f"answer-{choice.name}": "a"}
        tab.reload()
        expect(number.get_by_label("Your answer")).to_have_value("12")
        expect(number.locator(".answer-said")).to_have_text(said(check))
        expect(options.get_by_label(choice.misses[0][0])).to_be_checked()
        number.get_by_label("Your answer").fill("")
        number.get_by_label("Your answer").press("Enter")
        expect(number.locator(".answer-said")).to_have_text("No answer is given yet.")
        assert tab.context.cookies() == []
        go(visit, site, "chapters/exercises")
        expect(tab.locator("answer-clear p")).to_have_text("This browser keeps 1 answer of yours.")
        tab.get_by_role("button", name="Forget my answers").press("Enter")
        expect(tab.locator("answer-clear p")).to_have_text("This browser keeps no answer of yours.")
        assert tab.evaluate("localStorage.getItem('answers')") is None
        go(visit, site, "chapters/cnn")
        expect(number.get_by_label("Your answer")).to_have_value("")
        assert visit.wrong == []


@pytest.mark.parametrize("kept", ["{", "3", "null", '"a"', '{"ex-cnn-count": 5}'])
def test_what_another_page_left_in_the_storage_does_no_harm(browser, site, kept):
    with visiting(browser, site) as visit:
        visit.tab.add_init_script(f"localStorage.setItem('answers', {json.dumps(kept)})")
        for page in ("chapters/cnn", "chapters/exercises"):
            go(visit, site, page)
            expect(visit.tab.locator("answer-check button, answer-clear button").first).to_be_visible()
        assert visit.wrong == []


FORBIDDEN = """for (const name of ["localStorage", "sessionStorage"])
  Object.defineProperty(window, name, {configurable: true,
    get() { throw new DOMException("no", "SecurityError"); }});"""


def test_where_storage_is_forbidden_answers_are_checked_and_not_kept(browser, site):
    check = first_of("cnn", "number")
    with visiting(browser, site) as visit:
        visit.tab.add_init_script(FORBIDDEN)
        go(visit, site, "chapters/cnn")
        field = visit.tab.locator(f"answer-check[id='answer-{check.name}']")
        field.locator("input").fill(check.written[0])
        field.locator("input").press("Enter")
        expect(field.locator(".answer-said")).to_have_text(said(check, right=True))
        visit.tab.reload()
        expect(field.locator("input")).to_have_value("")
        go(visit, site, "chapters/exercises")
        expect(visit.tab.locator("answer-clear p")).to_have_text("This browser keeps no answer of yours.")
        assert visit.wrong == []


@pytest.mark.parametrize("how", ["without scripts", "on paper"])
def test_a_question_without_a_field_can_be_read(browser, site, how):
    scripts = how == "on paper"
    with visiting(browser, site, java_script_enabled=scripts) as visit:
        visit.tab.goto(f"{site.url}chapters/cnn.html")
        visit.tab.emulate_media(media="print" if scripts else "screen")
        choice = first_of("cnn", "choice")
        box = visit.tab.locator(f"answer-check[id='answer-{choice.name}']")
        assert box.locator("li").first.is_visible() and box.locator("p").first.is_visible()
        fields = visit.tab.locator("answer-check :is(input, button, .answer-said)")
        assert fields.count() == 0 if not scripts else all(not field.is_visible() for field in fields.all())
        if not scripts:
            assert box.bounding_box()["height"] <= box.evaluate("e => e.scrollHeight") + 1
            assert visit.tab.locator("details.solution > summary").first.is_visible()


def test_the_script_is_small_and_only_where_a_question_is(site):
    import gzip
    assert len(gzip.compress((site.folder / "_static/answers.js").read_bytes())) <= 2 * 1024
    for path in sorted(site.folder.glob("chapters/*.html")):
        html = path.read_text(encoding="utf-8")
        for script, element in (("answers.js", "<answer-check"), ("forget.js", "<answer-clear")):
            assert (script in html) == (element in html), path
