"""chapters/course.py against outside truth: torch, SciPy, scikit-image, closed forms; and bad pictures, one by one."""
import hashlib
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import skimage.metrics
import torch
from PIL import Image, PngImagePlugin
from scipy import ndimage
from torch import nn

import course

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def imgs(tmp_path, monkeypatch):
    """An empty folder of pictures in place of the book's."""
    monkeypatch.setattr(course, "IMGS", tmp_path)
    return tmp_path


def random(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


# Pictures

def test_photo_is_scikit_images_camera():
    assert np.array_equal(np.asarray(Image.open(ROOT / "imgs/photo.png")), skimage.data.camera())


def test_ct_slice_is_what_its_script_draws(tmp_path):
    subprocess.run([sys.executable, ROOT / "imgs/draw_ct_slice.py", tmp_path / "again.png"], check=True)
    drawn, stored = (np.asarray(Image.open(p), dtype=int) for p in (tmp_path / "again.png", ROOT / "imgs/ct_slice.png"))
    assert drawn.shape == stored.shape == (512, 512)
    assert abs(drawn - stored).max() <= 1  # levels out of 255: another machine may round the other way


def test_ledger_lists_every_picture_and_no_other():
    rows = re.findall(r"^\| `([^`]+)` \|.* (\d+) × (\d+) \| `([0-9a-f]{64})` \|$",
                      (ROOT / "imgs/LEDGER.md").read_text(encoding="utf-8"), re.M)
    there = {p.name for p in (ROOT / "imgs").iterdir() if p.suffix not in (".md", ".py")}
    assert {row[0] for row in rows} == there - set(course.ORIGINALS.values())
    for name, width, height, digest in rows:
        assert hashlib.sha256((ROOT / "imgs" / name).read_bytes()).hexdigest() == digest, f"{name} changed"
        assert Image.open(ROOT / "imgs" / name).size == (int(width), int(height)), name


def test_load_grey_is_pillows_default_resize():
    course_x = course.load_grey("photo.png", 192)
    want = np.asarray(Image.open(course.course_asset_path("photo.png")).convert("L").resize((192, 192)))
    assert course_x.shape == (1, 1, 192, 192) and course_x.dtype == torch.float32
    assert torch.equal(course_x[0, 0], torch.tensor(want, dtype=torch.float32) / 255)


def test_original_wins_over_stand_in(imgs):
    Image.new("L", (4, 4), 51).save(imgs / "ct_slice.png")
    assert torch.allclose(course.load_grey("ct_slice.png", 2), torch.tensor(0.2))
    Image.new("L", (4, 4), 102).save(imgs / "Mayo.png")
    assert torch.allclose(course.load_grey("ct_slice.png", 2), torch.tensor(0.4))


def test_pictures_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert course.course_asset_path("photo.png").is_file()


def test_missing_picture_says_where_it_looked_and_what_is_there(imgs):
    Image.new("L", (4, 4)).save(imgs / "other.png")
    with pytest.raises(FileNotFoundError, match=rf"(?s)'photo.png'.*{re.escape(str(imgs))}.*other.png"):
        course.load_grey("photo.png", 8)


def test_missing_folder_is_said(imgs, monkeypatch):
    monkeypatch.setattr(course, "IMGS", imgs / "nowhere")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        course.load_grey("photo.png", 8)


@pytest.mark.parametrize("size", [0, -3, 2.5, "8"])
def test_bad_size_is_refused(size):
    with pytest.raises(ValueError, match="size: got"):
        course.load_grey("photo.png", size)


def truncated(path):
    Image.effect_noise((64, 64), 50).save(path)
    path.write_bytes(path.read_bytes()[:1500])


def truncated_jpeg(path):
    Image.effect_noise((64, 64), 50).save(path, format="JPEG")
    path.write_bytes(path.read_bytes()[:900])


def broken_checksum(path):
    Image.effect_noise((64, 64), 50).save(path)
    data = bytearray(path.read_bytes())
    data[20] ^= 1  # inside the header chunk
    path.write_bytes(data)


def bomb(path):
    """A PNG of a few hundred bytes that claims 20000 × 20000 pixels."""
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    head = struct.pack(">IIBBBBB", 20000, 20000, 8, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


BAD = {
    "truncated PNG": (truncated, "damaged picture"),
    "truncated JPEG": (truncated_jpeg, "damaged picture"),
    "broken checksum": (broken_checksum, "damaged picture|no picture"),
    "text": (lambda p: p.write_text("not a picture"), "13 bytes that are no picture"),
    "zero bytes": (lambda p: p.write_bytes(b""), "0 bytes that are no picture"),
    "16 bits": (lambda p: Image.fromarray(np.full((8, 8), 40000, np.uint16)).save(p), "mode 'I;16', wanted 8 bits"),
    "transparent": (lambda p: Image.new("RGBA", (8, 8), (9, 9, 9, 100)).save(p), "transparent pixels"),
    "transparent palette": (lambda p: Image.new("P", (8, 8)).save(p, transparency=0), "transparent pixels"),
    "bomb": (bomb, "too large .*wanted at most 50,000,000 pixels"),
    "large, below the bomb": (lambda p: Image.new("1", (8000, 8000)).save(p), "too large"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_picture_is_refused_by_name(imgs, case, recwarn):
    make, message = BAD[case]
    make(imgs / "photo.png")
    with pytest.raises(ValueError, match=rf"^photo\.png: .*({message})"):
        course.load_grey("photo.png", 8)
    assert not recwarn.list


def as_palette(picture, path):
    picture.convert("P", palette=Image.Palette.ADAPTIVE).save(path)


def as_rotated(picture, path):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned by 90° to the left, to be shown turned to the right
    picture.transpose(Image.Transpose.ROTATE_90).save(path, format="PNG", exif=exif)


GOOD = {
    "grey": lambda g, p: g.save(p),
    "black and white": lambda g, p: g.point(lambda v: 255 * (v > 127)).convert("1").save(p),
    "RGB": lambda g, p: g.convert("RGB").save(p),
    "opaque alpha": lambda g, p: g.convert("RGBA").save(p),
    "palette": as_palette,
    "CMYK": lambda g, p: g.convert("RGB").convert("CMYK").save(p, format="JPEG", quality=100),
    "EXIF-rotated": as_rotated,
    "with text chunks": lambda g, p: g.save(p, pnginfo=(i := PngImagePlugin.PngInfo(), i.add_text("k", "v"))[0]),
}


@pytest.mark.parametrize("case", GOOD)
def test_unusual_picture_is_read_right(imgs, case):
    squares = np.array([[0, 255, 0, 0], [0, 255, 255, 255], [0, 0, 0, 255], [255, 0, 0, 255]], np.uint8)
    levels = squares.repeat(8, 0).repeat(8, 1)
    GOOD[case](Image.fromarray(levels), imgs / "photo.png")
    got = course.load_grey("photo.png", 32)[0, 0]
    assert (got - torch.tensor(levels) / 255).abs().max() < 0.02  # JPEG rounds


# Physics and metrics

@pytest.mark.parametrize("side", [1, 3, 5])
def test_blur_is_scipys_correlation_with_zeros(side):
    x, kernel = random(2, 3, 17, 11), random(side, side, seed=1)
    want = ndimage.correlate(x.numpy(), kernel.numpy()[None, None], mode="constant")
    assert np.allclose(course.blur(x, kernel), want, atol=1e-6)


def test_binomial_kernel_keeps_constants_inside_and_darkens_the_rim():
    y = course.blur(torch.ones(1, 1, 5, 5))[0, 0]
    assert torch.equal(y[1:-1, 1:-1], torch.ones(3, 3))
    assert y[0, 2] == 0.75 and y[0, 0] == 0.5625


@pytest.mark.parametrize(("x", "kernel", "said"), [
    (torch.zeros(1, 1, 4, 4), torch.zeros(2, 2), r"kernel: got shape \(2, 2\)"),
    (torch.zeros(1, 1, 4, 4), torch.zeros(3, 5), r"kernel: got shape \(3, 5\)"),
    (torch.zeros(4, 4), course.BINOMIAL, r"x: got shape \(4, 4\)"),
])
def test_blur_refuses_bad_shapes(x, kernel, said):
    with pytest.raises(ValueError, match=said):
        course.blur(x, kernel)


def test_noise_is_seeded_scaled_and_clamped():
    x = torch.full((1, 1, 200, 200), 0.5)
    torch.manual_seed(3)
    y = course.add_noise(x, 0.02)
    torch.manual_seed(3)
    assert torch.equal(y, (x + 0.02 * torch.randn_like(x)).clamp(0, 1))
    assert (y - x).std().item() == pytest.approx(0.02, rel=0.02)
    far = course.add_noise(x, 10.0)
    assert far.min() == 0 and far.max() == 1
    with pytest.raises(ValueError, match="sigma: got -1"):
        course.add_noise(x, -1)


def test_psnr_and_rmse_agree_with_scikit_image():
    a, b = random(1, 1, 20, 20), random(1, 1, 20, 20, seed=1)
    want = skimage.metrics.peak_signal_noise_ratio(a.numpy(), b.numpy(), data_range=1)
    assert course.psnr(a, b) == pytest.approx(want)
    assert course.rmse(a, b) ** 2 == pytest.approx(skimage.metrics.mean_squared_error(a.numpy(), b.numpy()))
    assert course.psnr(a, a) == float("inf")
    with pytest.raises(ValueError, match=r"rmse: got shapes \(1, 1, 20, 20\) and \(20, 20\)"):
        course.rmse(a, b[0, 0])


def test_parameter_count_of_a_convolution():
    layer = nn.Conv2d(3, 5, 3)
    assert course.parameter_count(layer) == 3 * 5 * 9 + 5
    layer.bias.requires_grad_(False)
    assert course.parameter_count(layer) == 3 * 5 * 9


def test_spread():
    assert course.spread([1.0, 2.0, 3.0]) == "n = 3, mean 2.000 ± 1.000, range 1.000 to 3.000"
    with pytest.raises(ValueError, match=r"spread: got shape \(1,\)"):
        course.spread([1.0])


# Training

def plain_loop(model, y, x, steps, lr):
    optimiser, losses = torch.optim.Adam(model.parameters(), lr=lr), []
    for _ in range(steps):
        optimiser.zero_grad()
        loss = ((model(y) - x) ** 2).mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return torch.tensor(losses)


def small_cnn():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))


def test_fit_is_a_plain_adam_loop():
    x, y = random(4, 1, 16, 16), random(4, 1, 16, 16, seed=1)
    ours, plain = small_cnn(), small_cnn()
    losses = course.fit(ours, y, x, steps=60, lr=1e-2)
    assert torch.allclose(losses, plain_loop(plain, y, x, 60, 1e-2), rtol=1e-3)
    for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-3)


def test_fit_solves_least_squares():
    a, w = random(50, 3).double(), torch.tensor([[1.0], [-2.0], [0.5]], dtype=torch.float64)
    model = nn.Linear(3, 1).double()
    assert course.fit(model, a, a @ w + 0.25, steps=4000, lr=1e-2)[-1] < 1e-8
    assert torch.allclose(model.weight.T, w, atol=1e-3) and model.bias.item() == pytest.approx(0.25, abs=1e-3)


def test_fit_takes_another_loss():
    model, x = nn.Linear(1, 1, bias=False), torch.tensor([[1.0], [1.0], [4.0]])
    course.fit(model, torch.ones(3, 1), x, steps=800, lr=1e-2, loss=nn.functional.l1_loss)
    assert model.weight.item() == pytest.approx(1.0, abs=0.02)  # the median; the mean is 2


@pytest.mark.parametrize(("arguments", "said"), [
    (dict(y=torch.ones(3, 1), steps=1, lr=1.0), "got 3 measurements and 2 targets"),
    (dict(y=torch.ones(2, 1), steps=0, lr=1.0), "steps: got 0"),
    (dict(y=torch.full((2, 1), float("nan")), steps=2, lr=1.0), "the loss is nan at update 1"),
])
def test_fit_refuses_bad_input(arguments, said):
    with pytest.raises(ValueError, match=said):
        course.fit(nn.Linear(1, 1), x=torch.ones(2, 1), **arguments)


# Figures and glue

def glued(monkeypatch, name, value):
    seen = []
    monkeypatch.setattr(course, "display", lambda data, **how: seen.append((data, how)))
    course.glue(name, value)
    return seen[0]


@pytest.mark.parametrize(("value", "text"), [
    (3, "3"), (0.25, "0.25"), ("word", "'word'"), (torch.tensor(0.5), "0.5"), (np.float64(2), "2.0"),
])
def test_glue_stores_what_mystnb_reads(monkeypatch, value, text):
    prefix = "application/papermill.record/"
    data, how = glued(monkeypatch, "name", value)
    assert data == {prefix + "text/plain": text}
    assert how == {"raw": True, "metadata": {"scrapbook": {"name": "name", "mime_prefix": prefix}}}


def test_glue_refuses_what_is_no_number():
    with pytest.raises(ValueError, match="glue 'name': got nan"):
        course.glue("name", torch.tensor(float("nan")))


def test_panels_stay_on_the_page():
    figure, axes = course.panels(7, width=3)
    assert len(axes) == 7 and figure.get_figwidth() == 8
    with pytest.raises(ValueError, match="count: got 0"):
        course.panels(0)


def test_draw_image_keeps_the_stated_window():
    _, (ax,) = course.panels(1)
    artist = course.draw_image(ax, random(1, 1, 5, 5), "t", window=(-1, 2))
    assert artist.get_clim() == (-1, 2) and artist.get_array().shape == (5, 5)
