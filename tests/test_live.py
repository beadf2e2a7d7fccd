"""The live figures in a real browser, from http and from disk: arithmetic against torch, controls by keyboard."""
import random
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import kernel_pictures
from visits import without_scripts

ROOT = Path(__file__).resolve().parent.parent
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Live figures</title><link rel="stylesheet" href="../_static/book.css"><body class="bd-article">
<script src="../_static/kernel-editor.js"></script><script defer src="../_static/receptive-field.js"></script>
<receptive-field-builder>Needs JavaScript: layers.</receptive-field-builder><div style="height: 3000px"></div>
<kernel-editor>Needs JavaScript: filters.</kernel-editor>"""
MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}
SOBEL = [-1.0, -2.0, -1.0, 0.0, 0.0, 0.0, 1.0, 2.0, 1.0]


@pytest.fixture
def editor(page):
    """The kernel editor, scrolled to, with its picture."""
    page.locator("kernel-editor").scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('kernel-editor .live-said').textContent")
    return page.locator("kernel-editor")


def filtered(x, kernel, flip=False, padding="zeros"):
    """torch's conv2d of x (H, W) with nine weights; flip turns the filter, which makes it the convolution."""
    kernel = torch.tensor(kernel, dtype=torch.float64).view(1, 1, 3, 3)
    padded = F.pad(x[None, None], (1, 1, 1, 1), mode=MODES[padding])
    return F.conv2d(padded, kernel.flip(2, 3) if flip else kernel)[0, 0]


def photo():
    """The picture shown first, (112, 112)."""
    side = kernel_pictures.SIDE
    return torch.tensor(list(kernel_pictures.levels("photo")), dtype=torch.float64).view(side, side) / 255


def choice(figure, name):
    """The select of this name, as a screen reader says it."""
    return figure.get_by_role("combobox", name=name, exact=True)


def drawn(editor, position=1):
    """The canvas, (side, side) levels: the input at position 0, the result at 1."""
    levels = editor.locator("canvas").nth(position).evaluate(
        "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]")
    rgba = torch.tensor(levels, dtype=torch.float64).view(-1, 4)
    assert (rgba[:, :3] == rgba[:, :1]).all() and (rgba[:, 3] == 255).all()
    return rgba[:, 0].view(int(len(rgba) ** 0.5), -1)


def assert_drawn(editor, result, black, white):
    want = (255 * (result - black) / (white - black)).clamp(0, 255)
    assert (drawn(editor) - want).abs().max() <= 0.5 + 1e-6


def says(editor, *numbers):
    """Whether the readout gives these numbers, each to two decimals."""
    said = editor.locator(".live-said").inner_text()
    return all(f"{number:.2f}".rstrip("0").rstrip(".").replace("-", "−") in said for number in numbers)


# Arithmetic

def test_convolve_is_torchs(page):
    torch.manual_seed(0)
    for case in range(48):
        padding, flip = list(MODES)[case % 4], case % 8 > 3
        x = torch.randn(*torch.randint(2, 20, (2,)).tolist(), dtype=torch.float64)
        kernel = torch.randn(9, dtype=torch.float64).tolist()
        got = page.evaluate("args => [...KernelEditor.convolve(...args)]",
                            [x.flatten().tolist(), *x.shape, kernel, {"flip": flip, "padding": padding}])
        got = torch.tensor(got, dtype=torch.float64).view_as(x)
        assert (got - filtered(x, kernel, flip, padding)).abs().max() < 1e-5


def torch_footprint(layers):
    """Derivative of the one output value of filters of ones, without padding, on the smallest input that they take."""
    side = 1
    for k, s, d in reversed(layers):
        side = s * (side - 1) + d * (k - 1) + 1
    x = torch.zeros(1, 1, side, side, dtype=torch.float64, requires_grad=True)
    out = x
    for k, s, d in layers:
        out = F.conv2d(out, torch.ones(1, 1, k, k, dtype=torch.float64), stride=s, dilation=d)
    out.backward()  # an error if there are several values
    return x.grad[0, 0]


def test_footprint_is_autograds(page):
    draw = random.Random(0)
    for _ in range(24):
        layers = [(draw.choice([1, 3, 5, 7]), draw.choice([1, 2]), draw.choice([1, 2, 4]))
                  for _ in range(draw.randint(1, 4))]
        want = torch_footprint(layers)
        paths = page.evaluate("layers => ReceptiveFieldBuilder.footprint(layers)", layers)
        widths = page.evaluate("layers => ReceptiveFieldBuilder.recursion(layers)", layers)
        paths = torch.tensor(paths, dtype=torch.float64)
        assert widths[-1]["r"] == len(paths) == len(want), layers
        assert torch.allclose(paths[:, None] * paths[None, :], want, rtol=1e-5), layers


# The kernel editor

@pytest.mark.parametrize("name", kernel_pictures.NAMES)
def test_pictures_are_the_books(editor, name):
    choice(editor, "Picture").select_option(name)
    editor.page.wait_for_function(f"KernelEditor.levels.{name}")
    assert drawn(editor, 0).flatten().tolist() == list(kernel_pictures.levels(name))
    assert (ROOT / f"chapters/_static/kernel-{name}.js").stat().st_size < 20_000


def test_pictures_wait_until_they_are_near(page):
    assert page.evaluate("Object.keys(KernelEditor.levels)") == []
    page.locator("kernel-editor").scroll_into_view_if_needed()
    page.wait_for_function("KernelEditor.levels.photo")
    assert page.evaluate("Object.keys(KernelEditor.levels)") == ["photo"]


def test_first_view(editor):
    result = filtered(photo(), SOBEL)
    largest = result.abs().max().item()
    assert_drawn(editor, result, -largest, largest)
    gap = (result - filtered(photo(), SOBEL, flip=True)).abs().max()
    assert says(editor, result.min(), result.max(), gap) and "0 is middle grey" in editor.inner_text()


def test_a_weight_moves_by_keyboard(editor):
    field = editor.get_by_label("weight in row 2, column 2")
    field.focus()
    for _ in range(8):
        editor.page.keyboard.press("ArrowUp")
    divisor = editor.get_by_label("divided by")
    divisor.focus()
    for _ in range(7):
        editor.page.keyboard.press("ArrowUp")
    assert field.input_value() == divisor.input_value() == "8"
    assert choice(editor, "Filter").input_value() == "own weights"
    result = filtered(photo(), [w / 8 for w in (*SOBEL[:4], 8, *SOBEL[5:])])
    assert_drawn(editor, result, 0, 1)
    outside = 100 * ((result < 0) | (result > 1)).double().mean()
    assert says(editor, 1, result.min(), result.max(), outside)


def test_choices_move_by_keyboard(editor):
    for label, presses in (("Filter", 5), ("Operation", 1), ("Padding", 1)):  # 1 to 9, convolution, reflect
        choice(editor, label).focus()
        for _ in range(presses):
            editor.page.keyboard.press("ArrowDown")
    nine = [k / 45 for k in range(1, 10)]
    result = filtered(photo(), nine, flip=True, padding="reflect")
    assert_drawn(editor, result, 0, 1)
    gap = (result - filtered(photo(), nine, padding="reflect")).abs().max()
    rim = (result - filtered(photo(), nine, flip=True)).abs().max()
    assert says(editor, result.min(), result.max(), gap, rim)


def test_sobel_on_the_chapters_rectangle(editor):
    choice(editor, "Picture").select_option("rectangle")
    x = torch.zeros(32, 32, dtype=torch.float64)
    x[8:24, 10:22] = 1
    assert torch.equal(drawn(editor, 0), 255 * x)
    assert_drawn(editor, filtered(x, SOBEL), -4, 4)
    assert says(editor, -4, 4)


def test_an_impulse_tells_convolution_from_correlation(editor):
    choice(editor, "Picture").select_option("impulse")
    choice(editor, "Filter").select_option("1 to 9")
    correlation = drawn(editor)[2:5, 2:5]
    choice(editor, "Operation").select_option("flip")
    convolution = drawn(editor)[2:5, 2:5]
    want = torch.arange(1, 10, dtype=torch.float64).view(3, 3) * 255 / 9
    assert (convolution - want).abs().max() <= 0.5 and torch.equal(correlation, convolution.flip(0, 1))


def test_unfinished_numbers_are_said(editor):
    choice(editor, "Filter").select_option("identity")
    for label, typed in (("weight in row 1, column 1", ""), ("weight in row 1, column 2", "1000"), ("divided by", "0")):
        editor.get_by_label(label).fill(typed)
    assert "An empty weight counts as 0" in editor.inner_text()
    result = filtered(photo(), [0, 99, 0, 0, 1, 0, 0, 0, 0])
    assert_drawn(editor, result, 0, 100)


# The receptive field builder

def cells(builder):
    """How many pixels are drawn as seen."""
    outlines = builder.locator(".live-cells path").evaluate_all("shades => shades.map(s => s.getAttribute('d'))")
    return "".join(outlines).count("M")


def test_layers_come_and_go_by_keyboard(page):
    builder, keys = page.locator("receptive-field-builder"), page.keyboard

    def said():
        return builder.locator(".live-said").inner_text().replace("\xa0", " ")

    assert "3 layers see a field of 7×7 = 49 input pixels" in said() and cells(builder) == 49
    builder.get_by_role("button", name="Add a layer").focus()
    keys.press("Enter")
    assert "4 layers see a field of 9×9 = 81" in said()
    assert "up to 361 paths, a corner of the field 1 path;" in said()  # as the chapter's cell prints
    builder.get_by_label("dilation of layer 1").focus()
    keys.press("ArrowDown")
    assert "field of 11×11 = 121" in said()
    assert builder.locator("td.r").all_inner_texts() == ["5", "7", "9", "11"]
    for _ in range(3):
        builder.get_by_role("button", name="remove layer 2").focus()
        keys.press("Enter")
        assert builder.locator("button:focus").count() == 1
    assert "only 9 of them have a path" in said() and cells(builder) == 9
    assert builder.get_by_role("button", name="remove layer 1").is_disabled()


def test_strides_are_the_chapters(page):
    builder = page.locator("receptive-field-builder")
    choice(builder, "Stack").select_option("5 layers 3×3, all stride 2")
    assert builder.locator("td.r").all_inner_texts() == ["3", "7", "15", "31", "63"]
    assert builder.locator("td.j").all_inner_texts() == ["2", "4", "8", "16", "32"]
    assert builder.locator("svg").get_attribute("viewBox").split()[2] == "64"


# Both

def test_a_phone_scrolls_in_one_direction(editor):
    editor.page.set_viewport_size({"width": 320, "height": 640})
    assert editor.page.evaluate("document.documentElement.scrollWidth") <= 320


def test_every_control_and_picture_has_a_name(editor):
    html = editor.page.evaluate("""[...document.querySelectorAll("input, select, button, [role=img]")].filter(element =>
        !element.ariaLabel && !element.labels?.length && !element.textContent).map(element => element.outerHTML)""")
    assert html == []


def test_without_scripts_a_sentence_remains(browser, address):
    assert without_scripts(browser, address, "kernel-editor") == "Needs JavaScript: filters."
