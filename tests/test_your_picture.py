"""The reader's own picture in Chromium, from http and from disk: arithmetic against torch, files, keyboard."""
import base64
import io
import struct
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from playwright.sync_api import expect

import course
import course.studies
from course.machinery.verdict import compare
from page import live
from studies import live_restorers
from test_live import ROOT
from test_markup import RESTORED
from visits import without_scripts

CLOSE = 1e-5  # of levels from 0 to 1
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Your picture</title><link rel="stylesheet" href="../_static/book.css"><body class="bd-article">
<your-picture>Needs JavaScript: pictures.
<img src="../_static/your-picture.png" width="704" height="518" alt="Five pictures."></your-picture>
<script src="../_static/your-picture.js"></script>"""
STATIC = {live.FILE: live.data(ROOT)}
NETWORKS = {name: partial(live_restorers.untrained, method=name, updates=0, seed=0) for name in live.NETWORKS}
# As base64 what a script gives: its numbers are as many as pixels
PACKED = "x => btoa(Array.from(new Uint8Array(x.buffer), b => String.fromCharCode(b)).join(''))"
AGREE = f"""(networks, x, side) => {{
  const floats = text => new Float32Array(YourPicture.bytes(text).buffer), y = floats(x), found = {{}};
  const read = layers => Object.fromEntries(layers.map(([name, shape, weight, bias]) =>
    [name, {{ shape, weight: YourPicture.floats(weight), bias: YourPicture.floats(bias) }}]));
  for (const [name, layers] of Object.entries(networks)) found[name] = Restore[name](y, side, read(layers));
  for (const sd of [0.8, 1.5, 2.5]) found[`blur ${{sd}}`] = Restore.blur(y, side, sd);
  found.tv = Restore.tv(y, side, 1.5, 0.01, 100);
  return Object.fromEntries(Object.entries(found).map(([name, z]) => [name, ({PACKED})(z)]));
}}"""
RESULTS = f"""() => {{
  const figure = document.querySelector("your-picture"), pack = {PACKED};
  return Object.entries(figure.pictures).map(([name, x]) => {{
    const canvas = figure.querySelector(`[data-name=${{name}}] canvas`);
    const {{ data }} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return [name, pack(x), pack(data), canvas.nextElementSibling.textContent, canvas.ariaLabel];
  }});
}}"""


def floats(packed, kind=np.float32):
    return torch.from_numpy(np.frombuffer(base64.b64decode(packed), kind).copy())


def packed(x):
    return base64.b64encode(x.numpy().tobytes()).decode()


# What Chromium and the other engines are asked

def random_networks():
    """Networks with random weights of 16 bits, as torch has them and as the page's file has them."""
    torch.manual_seed(0)
    models, told = {}, {}
    for name, make in NETWORKS.items():
        models[name] = make()
        for part in models[name].parameters():
            bound = 1 / part[0].numel() ** 0.5 if part.ndim > 1 else 0.1  # so that the last layer is not zero either
            torch.nn.init.uniform_(part, -bound, bound)
        state = models[name].half().float().state_dict()
        np.savez(file := io.BytesIO(), **{part: one.half().numpy() for part, one in state.items()})
        told[name] = live.layers(io.BytesIO(file.getvalue()))
    return models, told


@torch.no_grad()
def farthest(evaluate, side=64):
    """{what: the largest difference to torch, in levels of a result of range 1} on a random picture."""
    models, told = random_networks()
    x = torch.rand(1, 1, side, side)
    found = {name: floats(z).view(1, 1, side, side) for name, z in evaluate(AGREE, [told, packed(x), side]).items()}
    wanted = {name: model(x) for name, model in models.items()}
    wanted |= {f"blur {sd}": course.blur(x, course.gaussian(sd)) for sd in (0.8, 1.5, 2.5)}
    wanted["tv"] = live_restorers.tv(x, 1.5, 0.01, 100)
    assert found.keys() == wanted.keys() and all(wanted[name].std() > 0.1 for name in NETWORKS)
    return {name: ((found[name] - z).abs().max() / (z.max() - z.min()).clamp(min=1)).item()
            for name, z in wanted.items()}


@torch.no_grad()
def wrong_in_sight(shown, blur, noise):
    """What of the pictures in sight is not as torch computes it from the page's measurement, and as the page says."""
    pictures, found = {name: floats(x).view(1, 1, 256, 256) for name, x, *_ in shown}, []
    y, x = pictures["measurement"], pictures["original"]
    for name, make in NETWORKS.items():
        (model := make()).load_state_dict(course.studies.weights(f"live_{name}"))
        if (far := (model(y) - pictures[name]).abs().max()) > CLOSE:
            found.append(f"{name}: {far} from torch")
    weight = live.rows(ROOT, method="tv", seed=0)[f"penalty_{live.NOISES.index(noise)}"][0]
    if (far := (live_restorers.tv(y, float(blur), weight) - pictures["tv"]).abs().max()) > 10 * CLOSE:
        found.append(f"tv: {far} from torch")
    residual = (y - course.blur(x, course.gaussian(float(blur)))) / float(noise)
    if abs(residual.std() - 1) > 0.02 or abs(residual.mean()) > 0.02:
        found.append(f"noise of mean {residual.mean()} and deviation {residual.std()}")
    for name, _, levels, caption, label in shown:
        levels = floats(levels, np.uint8).view(256, 256, 4).float()
        if (levels[..., :3] - 255 * pictures[name][0, 0, :, :, None].clamp(0, 1)).abs().max() > 0.501:
            found.append(f"{name}: drawn otherwise than computed")
        psnr = course.psnr(pictures[name].clamp(0, 1), x).item()
        if name != "original" and not caption.endswith(f": {psnr:.1f} dB") or not label.startswith(caption):
            found.append(f"{name}: {caption!r} and {label!r}, wanted {psnr:.1f} dB")
    return found


# Chromium

def evaluate(tab):
    return lambda script, arguments: tab.evaluate(f"arguments => ({script})(...arguments)", arguments)


def test_arithmetic_is_torchs(page):
    far = farthest(evaluate(page))
    assert all(one <= CLOSE for one in far.values()), far


def test_nothing_is_loaded_before_it_is_asked_for(page):
    assert page.evaluate("YourPicture.data") is None
    page.get_by_role("button", name="Restore").click()
    page.wait_for_function(RESTORED)
    assert sorted(page.evaluate("Object.keys(YourPicture.data.networks)")) == ["cnn", "unet"]


def test_what_is_shown_is_what_torch_computes(page):
    page.get_by_role("button", name="Restore").click()
    page.wait_for_function(RESTORED)
    shown = page.evaluate(RESULTS)
    assert [name for name, *_ in shown] == ["original", "measurement", "tv", "cnn", "unet"]
    assert wrong_in_sight(shown, "1.5", "0.02") == []
    original = floats(shown[0][1]).view(256, 256)
    assert (original - course.load_grey("photo.png", 256)[0, 0]).abs().max() < 1e-6
    assert page.evaluate("document.querySelector('your-picture').getAttribute('aria-busy')") is None


def test_a_damaged_weight_is_red(page):
    page.get_by_role("button", name="Restore").click()
    page.wait_for_function(RESTORED)
    for network, layer in (("cnn", "layers.8"), ("unet", "last")):
        page.evaluate("""async ([network, layer]) => {
          (await YourPicture.load()).networks[network][layer].bias[0] += 1e-4;
          document.querySelector("your-picture").restore();
        }""", [network, layer])
        page.wait_for_function(RESTORED)
    assert [said.split(":")[0] for said in wrong_in_sight(page.evaluate(RESULTS), "1.5", "0.02")] == ["cnn", "unet"]


def test_failing_cases_by_keyboard(page):
    said = page.locator("your-picture .live-said")
    cases = {"Text": ("text", "1.5", "0.02", "No letters were among"),
             "Other noise": ("photograph", "1.5", "0.08", "Level with doing nothing: CNN. Worse"),
             "Another blur": ("photograph", "0.8", "0.02", "Worse than doing nothing: CNN and UNet.")}
    for name, (picture, blur, noise, words) in cases.items():
        page.get_by_role("button", name=name).focus()
        page.keyboard.press("Enter")
        page.wait_for_function(RESTORED)
        fields = {field: page.locator(f"[name={field}]").input_value() for field in ("picture", "blur", "noise")}
        assert list(fields.values()) == [picture, blur, noise]
        expect(said).to_contain_text(words)
        assert wrong_in_sight(page.evaluate(RESULTS), blur, noise) == []
    page.get_by_label("Blur").focus()
    page.keyboard.press("End")
    expect(said).to_contain_text("The blur is stronger than in the training")


def test_a_quick_second_choice_wins(page):
    for name in ("Text", "Other noise", "Another blur"):
        page.get_by_role("button", name=name).click()
    page.wait_for_function(RESTORED)
    assert wrong_in_sight(page.evaluate(RESULTS), "0.8", "0.02") == []
    assert "weaker" in page.locator("your-picture .live-said").inner_text()


# Files

def encoded(image, kind="PNG", **options):
    image.save(stream := io.BytesIO(), kind, **options)
    return stream.getvalue()


def noisy(mode, *size):
    rng = np.random.default_rng(0)
    channels = len(Image.new(mode, (1, 1)).getbands())
    return Image.frombytes(mode, size, rng.integers(0, 256, size[0] * size[1] * channels, np.uint8).tobytes())


def huge():
    """A PNG whose header says 20000×20000 pixels."""
    data = bytearray(encoded(Image.new("L", (300, 300))))
    data[16:24] = struct.pack(">II", 20000, 20000)
    return bytes(data)


def with_segments(inserted):
    """A JPEG with these bytes behind its first two."""
    data = encoded(noisy("L", 300, 300), "JPEG")
    return data[:2] + inserted + data[2:]


UNREADABLE = "{size} bytes that are no picture this page can read, wanted PNG or JPEG with 8 bits per channel."
WRONG = {
    "empty.png": (lambda: b"", UNREADABLE), "words.png": (lambda: b"no picture", UNREADABLE),
    "drawn.svg": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>', UNREADABLE),
    "moves.gif": (lambda: encoded(Image.new("L", (300, 300)), "GIF"), UNREADABLE),
    "a.webp": (lambda: encoded(Image.new("L", (300, 300)), "WEBP"), UNREADABLE),
    "short.jpg": (lambda: b"\xff\xd8\xff\xe0", UNREADABLE),
    "huge.png": (huge, "too large (20000×20000 pixels), wanted at most 64,000,000 pixels."),
    "small.png": (lambda: encoded(Image.new("L", (300, 255))), "300×255 pixels, wanted 256 or more on each side."),
    "deep.png": (lambda: encoded(Image.new("I;16", (300, 300))), "16 bits per channel, wanted 8."),
    "moves.png": (lambda: encoded(Image.new("L", (300, 300)), save_all=True, append_images=[
        Image.new("L", (300, 300), 9)]), "2 pages or frames, wanted a single picture."),
    "inks.jpg": (lambda: encoded(Image.new("CMYK", (300, 300)), "JPEG"),
                 "pixels of four inks (CMYK), wanted grey levels or red, green and blue."),
    "glass.png": (lambda: encoded(Image.new("LA", (300, 300), (9, 200))),
                  "has transparent pixels, wanted an opaque picture."),
    "half.png": (lambda: encoded(noisy("L", 300, 300))[:50_000], "damaged picture, wanted a whole PNG or JPEG."),
    "half.jpg": (lambda: encoded(noisy("L", 300, 300), "JPEG")[:20_000],
                 "damaged picture, wanted a whole PNG or JPEG."),
}


def give(page, name, data):
    page.locator("[name=file]").set_input_files({"name": name, "mimeType": "image/png", "buffer": data})


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_gets_one_sentence(page, name):
    make, said = WRONG[name]
    give(page, name, make())
    expect(page.locator("your-picture .live-said")).to_have_text(f"{name}: {said.format(size=len(make()))}")
    assert page.locator("[name=picture]").input_value() == "photograph"
    assert page.evaluate("!document.querySelector('your-picture').pictures")


def test_an_own_picture_is_its_middle_square_in_grey(page):
    at = np.linspace(0, 1, 1024)
    colours = [np.tile(at, (512, 1)), np.tile(at[:512, None], 1024), np.zeros((512, 1024))]
    levels = (255 * np.stack(colours, 2)).astype(np.uint8)
    give(page, "own.png", encoded(Image.fromarray(levels)))
    page.wait_for_function(RESTORED)
    shown = page.evaluate(RESULTS)
    grey = (levels[:, 256:768] @ [0.299, 0.587, 0.114]).reshape(256, 2, 256, 2).mean((1, 3)) / 255
    assert np.abs(floats(shown[0][1]).view(256, 256).numpy() - grey).max() < 2 / 255
    assert wrong_in_sight(shown, "1.5", "0.02") == [] and page.locator("[name=picture]").input_value() == "own"
    assert shown[0][4] == "Original; picture: your own"
    give(page, "words.png", b"no picture")
    expect(page.locator("your-picture .live-said")).to_contain_text("words.png: 10 bytes")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    give(page, "photo.jpg", encoded(noisy("RGB", 400, 300), "JPEG", icc_profile=profile))
    page.wait_for_function(RESTORED)


@pytest.mark.parametrize("inserted", [b"\xff" * 7, 18 * (b"\xff\xe1\xff\xff" + bytes(65533))],
                         ids=["fill bytes", "a megabyte before the frame"])
def test_a_jpeg_may_begin_with_more(page, inserted):
    give(page, "own.jpg", with_segments(inserted))
    page.wait_for_function(RESTORED)
    expect(page.locator("your-picture .live-said")).to_contain_text("Restored: own.jpg. ")


def test_a_large_picture_has_no_false_stripes(page):
    """One of 50 million pixels, as telephones take them, with stripes far too fine for 256 pixels."""
    stripes = np.where(np.arange(8160) % 3.6 < 1.8, 255, 0).astype(np.uint8)
    give(page, "fine.png", encoded(Image.fromarray(np.tile(stripes, (6144, 1))), compress_level=1))
    page.wait_for_function("document.querySelector('your-picture').pictures?.original")
    original = page.evaluate(RESULTS)[0]
    assert floats(original[1]).std() < 0.02


def test_a_picture_is_dropped(page):
    drop = """(text) => {
      const moved = new DataTransfer(), figure = document.querySelector("your-picture");
      if (text) moved.items.add(new File([YourPicture.bytes(text)], "dropped.png"));
      figure.dispatchEvent(new DragEvent("drop", {dataTransfer: moved, bubbles: true, cancelable: true}));
    }"""
    page.evaluate(drop, "")
    expect(page.locator("your-picture .live-said")).to_contain_text("What was dropped is no file")
    page.evaluate(drop, base64.b64encode(encoded(noisy("L", 300, 300))).decode())
    page.wait_for_function(RESTORED)
    assert page.locator("[name=picture]").input_value() == "own"


# What comes late, or not at all

HELD = """() => {  // each file is read when its name is released
  const grey = YourPicture.grey, held = window.held = {}, done = {};
  YourPicture.grey = blob => !blob.name ? grey(blob)
    : done[blob.name] = new Promise(go => held[blob.name] = go).then(() => grey(blob));
  window.release = async name => {
    held[name]();
    await done[name].catch(() => {});
    await new Promise(go => setTimeout(go));
  };
}"""
SLOW = """() => {  // a worker answers when it is told to, unless it was ended
  window.Worker = class { postMessage() {} terminate() { this.onmessage = null; } };
}"""
ANSWER = """() => {
  const figure = document.querySelector("your-picture");
  for (const name of ["measurement", "tv", "cnn", "unet"])
    figure.worker.onmessage?.({data: [name, figure.pictures.original]});
}"""
BUSY = "document.querySelector('your-picture').getAttribute('aria-busy')"
LEFT = """() => [...document.querySelectorAll("your-picture figure")].map(({firstChild: canvas, lastChild: caption}) =>
  [caption.textContent, canvas.getContext("2d").getImageData(0, 0, 256, 256).data.some(v => v), canvas.role,
   canvas.ariaLabel])"""
EMPTY = [[said, False, None, None] for said in ("Original", "Measurement", "Total variation", "CNN", "UNet")]


def own_picture(page):
    return floats(page.evaluate(RESULTS)[0][1]).mean().item()


@pytest.mark.parametrize("wrong", ["a file", "no file"])
def test_an_error_stays_while_a_picture_is_restored(page, wrong):
    page.evaluate(SLOW)
    page.get_by_role("button", name="Restore").click()
    page.wait_for_function("document.querySelector('your-picture').worker")
    if wrong == "a file":
        give(page, "words.png", b"no picture")
    else:
        page.dispatch_event("your-picture", "drop", {"dataTransfer": page.evaluate_handle("new DataTransfer()")})
    said = page.locator("your-picture .live-said")
    expect(said).to_contain_text("wanted PNG or JPEG")
    page.evaluate(ANSWER)
    assert "wanted PNG or JPEG" in said.inner_text() and page.evaluate(BUSY) is None


@pytest.mark.parametrize("late", ["whole", "damaged"])
def test_of_two_files_the_later_one_counts(page, late):
    page.evaluate(HELD)
    first = encoded(Image.new("L", (300, 300), 50))
    give(page, "first.png", first if late == "whole" else first[:-30])
    page.wait_for_function("'first.png' in held")
    give(page, "second.png", encoded(Image.new("L", (300, 300), 204)))
    page.wait_for_function("'second.png' in held")
    page.evaluate("release('second.png')")
    page.wait_for_function(RESTORED)
    page.evaluate("release('first.png')")
    page.wait_for_function(RESTORED)
    assert page.locator("your-picture .live-said").inner_text().startswith("Restored: second.png. ")
    assert own_picture(page) == pytest.approx(0.8) and page.evaluate(BUSY) is None


def test_a_choice_counts_more_than_a_file_still_read(page):
    page.evaluate(HELD)
    give(page, "own.png", encoded(Image.new("L", (300, 300), 204)))
    page.wait_for_function("'own.png' in held")
    page.get_by_role("button", name="Text").click()
    page.evaluate("release('own.png')")
    page.wait_for_function(RESTORED)
    assert page.locator("[name=picture]").input_value() == "text"
    assert "No letters were among" in page.locator("your-picture .live-said").inner_text()


def test_blur_and_button_wait_for_a_file_still_read(page):
    page.evaluate(HELD)
    give(page, "own.png", encoded(Image.new("L", (300, 300), 204)))
    page.wait_for_function("'own.png' in held")
    page.get_by_label("Blur").select_option("2.5")
    page.get_by_role("button", name="Restore").click()
    expect(page.locator("your-picture .live-said")).to_have_text("Reading own.png…")
    page.evaluate("release('own.png')")
    page.wait_for_function(RESTORED)
    assert own_picture(page) == pytest.approx(0.8)
    assert "The blur is stronger" in page.locator("your-picture .live-said").inner_text()


def test_nothing_of_an_old_picture_stays(page):
    page.get_by_role("button", name="Restore").click()
    page.wait_for_function(RESTORED)
    assert [label for *_, label in page.evaluate(LEFT)].count(None) == 0
    page.evaluate(SLOW)
    page.get_by_role("button", name="Text").click()
    expect(page.locator("your-picture [role=img]")).to_have_count(1)
    assert page.evaluate(LEFT) == [["Original", True, "img", "Original; picture: text"], *EMPTY[1:]]


def test_a_printed_picture_stands_for_five_empty_ones(page):
    figures, printed = page.locator("your-picture figure"), page.locator("your-picture > img")
    assert page.evaluate(LEFT) == EMPTY
    expect(figures.filter(visible=True)).to_have_count(0)
    expect(printed).to_be_visible()
    page.get_by_role("button", name="Restore").click()
    expect(figures.filter(visible=True)).to_have_count(5)
    expect(printed).to_have_count(0)


def test_a_browser_without_workers_is_said(page):
    page.evaluate("() => { window.Worker = class { constructor() { throw Error('The operation is insecure.'); } }; }")
    page.get_by_role("button", name="Restore").click()
    expect(page.locator("your-picture .live-said")).to_have_text("The networks cannot be run by this browser.")
    assert page.evaluate(BUSY) is None


def test_a_file_that_is_gone_is_said(page, tmp_path):
    path = tmp_path / "gone.png"
    path.write_bytes(encoded(noisy("L", 300, 300)))
    page.evaluate("figure => figure.take = () => {}", page.query_selector("your-picture"))
    page.locator("[name=file]").set_input_files(path)
    page.wait_for_function("document.querySelector('[name=file]').files[0]?.size > 0")
    path.unlink()
    page.evaluate("""figure => {
      delete figure.take;
      figure.take(figure.fields.file.files[0]);
    }""", page.query_selector("your-picture"))
    expect(page.locator("your-picture .live-said")).to_have_text("gone.png: cannot be read, wanted a file.")


@pytest.mark.parametrize("answer", [{}, {"body": "<!doctype html><title>Sign in</title>", "content_type": "text/html"}],
                         ids=["nothing", "a page"])
def test_a_file_that_cannot_be_loaded_is_said_and_tried_again(browser, address, answer):
    tab = browser.new_page()
    tab.route(f"**/{live.FILE}", lambda route: route.fulfill(**answer) if answer else route.abort())
    tab.goto(address)
    tab.get_by_role("button", name="Restore").click()
    expect(tab.locator("your-picture .live-said")).to_have_text("The networks could not be loaded.")
    tab.unroute(f"**/{live.FILE}")
    tab.get_by_role("button", name="Restore").click()
    tab.wait_for_function(RESTORED)
    tab.close()


def test_nothing_is_sent(browser, address):
    tab, asked = browser.new_page(), []
    tab.on("request", lambda request: asked.append((request.method, request.url.rpartition("/")[2])))
    tab.goto(address)
    give(tab, "own.png", encoded(noisy("RGB", 300, 300)))
    tab.wait_for_function(RESTORED)
    files = [name for method, name in asked if name.startswith("your")]
    assert {method for method, _ in asked} == {"GET"}
    assert sorted(files) == [live.FILE, "your-picture.js", "your-picture.png"]
    tab.close()


def test_a_phone_scrolls_in_one_direction(page):
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    give(page, f"{'long' * 50}.png", b"no picture")
    expect(page.locator("your-picture .live-said")).to_contain_text("wanted PNG")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.parametrize("width", [390, 1280])
def test_words_stand_above_the_pictures_or_beside(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.add_style_tag(content="body { max-width: 688px; }")  # as in the book
    page.get_by_role("button", name="Restore").click()
    page.wait_for_function(RESTORED)
    said, first = (page.locator(f"your-picture {part}").bounding_box() for part in (".live-said", "figure >> nth=0"))
    assert said["y"] + said["height"] <= first["y"] if width < 720 else said["y"] == first["y"]
    file = page.locator("[name=file]").bounding_box()
    assert file["width"] >= 205  # "No file chosen" fits beside the button


def test_small_letters_keep_all_their_rows(page):
    """A canvas is shown smaller than it is: no row of its pixels is left out."""
    page.set_viewport_size({"width": 390, "height": 900})
    page.get_by_role("button", name="Restore").click()
    page.wait_for_function(RESTORED)
    canvas = page.locator("your-picture canvas").first
    page.evaluate("""canvas => { const context = canvas.getContext("2d");
      context.fillStyle = "black", context.fillRect(0, 0, 256, 256), context.fillStyle = "white";
      for (let at = 8; at < 256; at += 16) context.fillRect(0, at + at / 16 % 7, 256, 1); }""", canvas.element_handle())
    with Image.open(io.BytesIO(canvas.screenshot())) as image:
        levels = np.asarray(image.convert("L"), float)[:, 50]
    rows = [8 + 16 * k + (0.5 + k) % 7 for k in range(15)]
    seen = [levels[round(row * len(levels) / 256) - 2:][:5].max() for row in rows]
    assert min(seen) > 60, seen


def test_the_page_says_what_the_rule_says():
    """Of each task which methods the rule of the ledger finds ahead of the two others."""
    last, ahead = max(live.rows(ROOT)["updates"]), {}
    rows = {name: live.rows(ROOT, method=name, updates=last if name in NETWORKS else 0) for name in ("tv", *NETWORKS)}
    for task in live.TASKS:
        psnrs = {name: -20 * np.log10(found[task]) for name, found in rows.items()}
        ahead[task] = [name for name, one in psnrs.items() if all(
            compare(task, (one, ">", other), "psnr")["judged"] == "yes"
            for other in psnrs.values() if other is not one)]
    assert ahead == {"rmse": [], "rmse_text": [], "rmse_patients": ["unet"], "rmse_noise": ["tv"],
                     "rmse_weaker": ["tv"], "rmse_stronger": ["tv"]}
    text = (ROOT / "chapters/your_picture.md").read_text(encoding="utf-8")
    for sentence in ("On drawn slices the UNet is ahead", "On photographs as in the training and on text, no method is "
                     "ahead", "With noise and blurs that the networks never saw, total variation is ahead"):
        assert sentence in text


def test_methods_that_differ_little_share_the_first_place(page):
    said = page.locator("your-picture .live-said")
    page.get_by_role("button", name="Restore").click()
    page.wait_for_function(RESTORED)
    expect(said).to_have_text("Best, within 0.2 dB: UNet, 28.6 dB; Total variation, 28.5 dB; "
                              "the measurement has 24.1 dB.")
    page.get_by_role("button", name="Text").click()
    page.wait_for_function(RESTORED)
    expect(said).to_contain_text("Best: Total variation, 17.9 dB; the measurement")


def test_a_picture_restored_without_any_error_is_best(page):
    page.evaluate(SLOW)
    page.get_by_role("button", name="Restore").click()
    page.wait_for_function("document.querySelector('your-picture').worker")
    page.evaluate(ANSWER)  # the original itself
    expect(page.locator("your-picture .live-said")).to_contain_text("dB: Total variation, Infinity dB;")


def test_without_scripts_a_sentence_remains(browser, address):
    assert without_scripts(browser, address, "your-picture") == "Needs JavaScript: pictures."
