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
from page import live
from studies import live_restorers
from test_live import ROOT
from test_markup import RESTORED

CLOSE = 1e-5  # of levels from 0 to 1
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Your picture</title><link rel="stylesheet" href="../_static/book.css"><body class="bd-article">
<your-picture>Needs JavaScript: pictures.</your-picture><script src="../_static/your-picture.js"></script>"""
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
             "Other noise": ("photograph", "1.5", "0.08", "Worse than doing nothing: CNN and UNet."),
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


UNREADABLE = "{size} bytes that are no picture this page can read, wanted PNG or JPEG with 8 bits per channel."
WRONG = {
    "empty.png": (lambda: b"", UNREADABLE), "words.png": (lambda: b"no picture", UNREADABLE),
    "drawn.svg": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>', UNREADABLE),
    "moves.gif": (lambda: encoded(Image.new("L", (300, 300)), "GIF"), UNREADABLE),
    "a.webp": (lambda: encoded(Image.new("L", (300, 300)), "WEBP"), UNREADABLE),
    "short.jpg": (lambda: b"\xff\xd8\xff\xe0", UNREADABLE),
    "huge.png": (huge, "too large (20000×20000 pixels), wanted at most 50,000,000 pixels."),
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


def test_a_file_that_cannot_be_loaded_is_said_and_tried_again(browser, address):
    tab = browser.new_page()
    tab.route(f"**/{live.FILE}", lambda route: route.abort())
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
    files = [name for method, name in asked if "." in name]
    assert {method for method, _ in asked} == {"GET"} and sorted(files)[-2:] == [live.FILE, "your-picture.js"]
    tab.close()


def test_a_phone_scrolls_in_one_direction(page):
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_without_scripts_a_sentence_remains(browser, address):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(address)
    assert tab.locator("your-picture").inner_text() == "Needs JavaScript: pictures."
    context.close()
