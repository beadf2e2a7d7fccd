"""The package chapters/course against outside truth: torch, SciPy, scikit-image, closed forms; and bad input."""
import ast
import base64
import hashlib
import io
import json
import re
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import skimage.data
import skimage.metrics
import tifffile
import torch
from bs4 import BeautifulSoup
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.pylabtools import print_figure
from ipywidgets.widgets.widget import _instances
from matplotlib.colors import ListedColormap
from PIL import Image, PngImagePlugin
from scipy import ndimage
from torch import nn

import course
import reach
from course.machinery import assets

ROOT = Path(__file__).resolve().parent.parent


def code_lines(code: str) -> int:
    """Lines of a module without docstrings and blank ones."""
    texts = [node for node in ast.walk(ast.parse(code)) if reach.is_text(node)]
    told = {line for node in texts for line in range(node.lineno, node.end_lineno + 1)}
    return sum(bool(line.strip()) for i, line in enumerate(code.splitlines(), 1) if i not in told)


def test_a_student_reads_the_helper_in_ten_minutes():
    assert code_lines('"""Told\n\nhere."""\n\nx = 1\n\n\ndef f():\n    """Told."""\n    return "said"\n') == 3
    modules = [path for path in reach.files(ROOT) if len(path.parts) == 1]  # the machinery lies apart
    texts = [(ROOT / f"chapters/course/{path}.py").read_text(encoding="utf-8") for path in modules]
    assert sum(map(code_lines, texts)) <= 300


@pytest.fixture
def imgs(tmp_path, monkeypatch):
    """An empty folder of pictures in place of the book's."""
    monkeypatch.setattr(course.machinery.pictures, "IMGS", tmp_path)
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


def test_small_ct_slice_is_the_one_of_pydicom(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "imgs")
    import read_ct_small
    with Image.open(ROOT / "imgs/ct_small.png") as picture:
        assert np.array_equal(np.asarray(picture) - 1024.0, read_ct_small.hounsfield())


def test_ledger_lists_every_picture_and_no_other():
    rows = re.findall(r"^\| `([^`]+)` \|.* (\d+) × (\d+) \| `([0-9a-f]{64})` \|$",
                      (ROOT / "imgs/LEDGER.md").read_text(encoding="utf-8"), re.M)
    originals = [p for name in course.ORIGINALS for p in assets.originals(name, ROOT / "imgs")]
    assert {row[0] for row in rows} == {p.name for p in assets.pictures(ROOT / "imgs") if p not in originals}
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


@pytest.mark.parametrize("name", ["GoPro.jpg", "GoPro.JPG", "GOPRO.JPEG", "gopro.png", "GoPro.Tif"])
def test_original_wins_in_any_case_and_git_ignores_it(imgs, name):
    Image.new("L", (4, 4), 51).save(imgs / "photo.png")
    Image.new("L", (4, 4), 102).save(imgs / name, format="PNG")
    assert torch.allclose(course.load_grey("photo.png", 2), torch.tensor(0.4))
    assert course.course_asset_path("photo.png").name == name
    subprocess.run(["git", "init", "-q", imgs], check=True)
    shutil.copy(ROOT / ".gitignore", imgs)
    for path in (f"imgs/{name}", "imgs/" + name.lower().replace("gopro", "MAYO")):
        command = ["git", "-c", "core.ignorecase=false", "check-ignore", "-q", path]
        assert subprocess.run(command, cwd=imgs).returncode == 0, path


def test_original_that_cannot_be_read_is_said_not_passed_over(imgs):
    Image.new("L", (4, 4), 51).save(imgs / "ct_slice.png")
    (imgs / "Mayo.DCM").write_bytes(bytes(128) + b"DICM")
    with pytest.raises(ValueError, match="^Mayo.DCM: 132 bytes that are no picture .* wanted PNG or JPEG"):
        course.load_grey("ct_slice.png", 2)


def test_two_originals_for_one_picture_are_refused(imgs):
    for name in ("GoPro.jpg", "GoPro.JPG"):
        Image.new("L", (4, 4)).save(imgs / name)
    with pytest.raises(ValueError, match="'photo.png': got GoPro.JPG and GoPro.jpg, wanted one original"):
        course.course_asset_path("photo.png")


def test_what_systems_and_editors_lay_there_is_no_picture(imgs):
    Image.new("L", (4, 4), 51).save(imgs / "photo.png")
    for name in (".DS_Store", "._GoPro.jpg", ".GoPro.jpg.swp", "Thumbs.db", "desktop.ini", "GoPro.jpg~", "#GoPro.jpg#",
                 "GoPro.jpg.part"):
        (imgs / name).write_bytes(b"no picture")
    (imgs / "GoPro.png").mkdir()
    (imgs / ".#GoPro.jpg").symlink_to("someone@host.4711")
    (imgs / "GoPro.webp").symlink_to("nowhere")
    assert [p.name for p in assets.pictures(imgs)] == ["photo.png"]
    assert torch.allclose(course.load_grey("photo.png", 2), torch.tensor(0.2))


def test_pictures_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert course.course_asset_path("photo.png").is_file()


def test_missing_picture_says_where_it_looked_and_what_is_there(imgs):
    Image.new("L", (4, 4)).save(imgs / "other.png")
    with pytest.raises(FileNotFoundError, match=rf"(?s)'photo.png'.*{re.escape(str(imgs))}.*other.png"):
        course.load_grey("photo.png", 8)


def test_missing_folder_is_said(imgs, monkeypatch):
    monkeypatch.setattr(course.machinery.pictures, "IMGS", imgs / "nowhere")
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


def truncated_gif(path):
    """Ends inside the header of its second frame."""
    frames("GIF")(path)
    data = path.read_bytes()
    path.write_bytes(data[:data.rindex(b"!\xf9") + 4])


def broken_checksum(path):
    Image.effect_noise((64, 64), 50).save(path)
    data = bytearray(path.read_bytes())
    data[20] ^= 1  # inside the header chunk
    path.write_bytes(data)


def raw_png(path, width, height, depth, kind, rows):
    """A PNG whose header and rows are given: Pillow writes no 16-bit colour, and no size that is not there."""
    chunk = lambda name, body: struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    chunks = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


def png_16(kind, channels):
    """Writes 8×8 pixels of 12 bits in a PNG of 16: white is 4095, and nothing in the file says so."""
    row = bytes([0]) + np.full(8 * channels, 4095, ">u2").tobytes()
    return lambda path: raw_png(path, 8, 8, 16, kind, 8 * row)


def tiff_16(*shape, **named):
    return lambda path: tifffile.imwrite(path, np.full(shape, 4095, np.uint16), **named)


def jpeg_12(path):
    """A JPEG whose header claims 12 bits."""
    Image.new("L", (8, 8), 100).save(path, format="JPEG")
    data = bytearray(path.read_bytes())
    data[data.index(b"\xff\xc0") + 4] = 12
    path.write_bytes(data)


def frames(kind, **named):
    """Writes two frames or pages, black and white."""
    pair = [Image.new("L", (8, 8), level) for level in (0, 255)]
    return lambda path: pair[0].save(path, format=kind, save_all=True, append_images=pair[1:], **named)


BAD = {
    "truncated PNG": (truncated, "damaged picture"),
    "truncated JPEG": (truncated_jpeg, "damaged picture"),
    "broken checksum": (broken_checksum, "damaged picture|no picture"),
    "text": (lambda p: p.write_text("not a picture"), "13 bytes that are no picture"),
    "zero bytes": (lambda p: p.write_bytes(b""), "0 bytes that are no picture"),
    "16 bits": (lambda p: Image.fromarray(np.full((8, 8), 40000, np.uint16)).save(p), "16 bits per channel, wanted 8"),
    "transparent": (lambda p: Image.new("RGBA", (8, 8), (9, 9, 9, 100)).save(p), "transparent pixels"),
    "transparent palette": (lambda p: Image.new("P", (8, 8)).save(p, transparency=0), "transparent pixels"),
    "16 bits, RGB": (png_16(2, 3), "16 bits per channel, wanted 8"),
    "16 bits, RGBA": (png_16(6, 4), "16 bits per channel, wanted 8"),
    "16 bits, grey and alpha": (png_16(4, 2), "16 bits per channel, wanted 8"),
    "TIFF of 16 bits": (tiff_16(8, 8), "16 bits per channel, wanted 8"),
    "TIFF of 16 bits, RGB": (tiff_16(8, 8, 3, photometric="rgb"), "16 bits per channel, wanted 8"),
    "PPM of 16 bits": (lambda p: p.write_bytes(b"P6 8 8 65535\n" + 192 * b"\x0f\xff"), "16 bits per channel, wanted 8"),
    "PPM of 12 bits": (lambda p: p.write_bytes(b"P6 8 8 4095\n" + 192 * b"\x0f\xff"), "12 bits per channel, wanted 8"),
    "PGM of 12 bits": (lambda p: p.write_text("P2 2 2 4095\n0 4095 4095 0\n"), "12 bits per channel, wanted 8"),
    "JPEG of 12 bits": (jpeg_12, "wanted PNG or JPEG with 8 bits per channel"),
    "AVIF": (lambda p: Image.new("RGB", (8, 8)).save(p, format="AVIF"), "wanted PNG or JPEG with 8 bits per channel"),
    "truncated animation": (truncated_gif, "damaged picture"),
    "TIFF of two pages": (frames("TIFF"), "2 pages or frames, wanted a single picture"),
    "animated PNG": (frames("PNG"), "2 pages or frames, wanted a single picture"),
    "animated GIF": (frames("GIF"), "2 pages or frames, wanted a single picture"),
    "animated WebP": (frames("WEBP", lossless=True), "2 pages or frames, wanted a single picture"),
    "bomb": (lambda p: raw_png(p, 20000, 20000, 8, 0, bytes(9)), "too large .*wanted at most 50,000,000 pixels"),
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


def few_bits(depth):
    """Writes a grey PNG of 1, 2 or 4 bits."""
    def write(grey, path):
        levels = np.asarray(grey) // (255 // (2**depth - 1))  # (H, W), from 0 to 2**depth - 1
        bits = (levels[..., None] >> np.arange(depth)[::-1]) & 1
        rows = np.packbits(bits.reshape(len(levels), -1), axis=1)
        raw_png(path, *grey.size, depth, 0, b"".join(b"\0" + row.tobytes() for row in rows))
    return write


def with_preview(grey, path):
    """As cameras write it: a JPEG with a second, smaller one behind it."""
    grey.save(path, format="MPO", save_all=True, append_images=[Image.new("L", (8, 8))], quality=100)


GOOD = {
    "grey": lambda g, p: g.save(p),
    "black and white": lambda g, p: g.point(lambda v: 255 * (v > 127)).convert("1").save(p),
    "RGB": lambda g, p: g.convert("RGB").save(p),
    "opaque alpha": lambda g, p: g.convert("RGBA").save(p),
    "palette": as_palette,
    "palette of 16 colours": lambda g, p: g.quantize(16).save(p, bits=4),
    "PNG of 1 bit": few_bits(1),
    "PNG of 2 bits": few_bits(2),
    "PNG of 4 bits": few_bits(4),
    "TIFF": lambda g, p: g.save(p, format="TIFF"),
    "TIFF, colour": lambda g, p: g.convert("RGB").save(p, format="TIFF", compression="tiff_lzw"),
    "TIFF, black and white": lambda g, p: g.convert("1").save(p, format="TIFF"),
    "TIFF, white is 0": lambda g, p: tifffile.imwrite(p, 255 - np.asarray(g), photometric="miniswhite"),
    "PGM": lambda g, p: g.save(p, format="PPM"),
    "PPM": lambda g, p: g.convert("RGB").save(p, format="PPM"),
    "PGM of 4 bits": lambda g, p: p.write_bytes(b"P5 32 32 15\n" + (np.asarray(g) // 17).tobytes()),
    "GIF": lambda g, p: g.save(p, format="GIF"),
    "WebP": lambda g, p: g.save(p, format="WEBP", lossless=True),
    "BMP": lambda g, p: g.save(p, format="BMP"),
    "JPEG with a preview": with_preview,
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


def test_psnr_and_rmse_are_scikit_images_one_value_an_image():
    a, b = random(3, 1, 20, 24), random(3, 1, 20, 24, seed=1)
    b[1] = a[1] + 0.1
    pairs = [(p.numpy(), q.numpy()) for p, q in zip(a, b)]
    square, decibels = skimage.metrics.mean_squared_error, skimage.metrics.peak_signal_noise_ratio
    assert course.rmse(a, b).tolist() == pytest.approx([square(*pair) ** 0.5 for pair in pairs])
    assert course.psnr(a, b).tolist() == pytest.approx([decibels(*pair, data_range=1) for pair in pairs])
    assert course.rmse(a, b, together=True).item() == pytest.approx(square(a.numpy(), b.numpy()) ** 0.5)
    assert course.psnr(a, b, together=True).item() == pytest.approx(decibels(a.numpy(), b.numpy(), data_range=1))


def test_errors_have_the_shape_that_they_say():
    a = random(5, 3, 2, 8, 8)
    assert course.rmse(a, 0 * a).shape == (5, 3) and course.psnr(a[0], 0 * a[0]).shape == (3,)
    for image in (a[0, 0], a[0, 0, 0], a[0, 0, 0, 0], a[a > 0.5]):
        assert course.rmse(image, 0 * image).shape == course.psnr(image, 0 * image).shape == ()
    assert course.psnr(a, a).isposinf().all() and not course.rmse(a.requires_grad_(), 0 * a).requires_grad
    for metric in (course.rmse, course.psnr):
        with pytest.raises(ValueError, match=r"rmse: got shapes \(3, 2, 8, 8\) and \(2, 8, 8\), wanted the same"):
            metric(a[0], a[0, 0])


def test_ssim_is_scikit_images():
    a, b = random(2, 1, 24, 30), random(2, 1, 24, 30, seed=1)
    want = []
    for p, q in zip(a[:, 0].numpy(), b[:, 0].numpy()):
        _, full = skimage.metrics.structural_similarity(p, q, data_range=1, gaussian_weights=True, sigma=1.5,
                                                        use_sample_covariance=False, full=True)
        want.append(full[5:-5, 5:-5].mean())  # windows inside the image
    assert course.ssim(a, b).tolist() == pytest.approx(want, abs=1e-5)
    assert course.ssim(a, a).tolist() == pytest.approx([1, 1])
    course.ssim(a.requires_grad_(), b)[0].backward()
    assert a.grad[0].abs().max() > 0 and a.grad[1].abs().max() == 0
    for bad in (b[:1], b[..., :10]):
        with pytest.raises(ValueError, match="ssim: got shapes"):
            course.ssim(a if len(bad) == 1 else a[..., :10], bad)


@pytest.mark.parametrize("sigma", [0.6, 1.0, 2.5])
def test_gaussian_is_scipys(sigma):
    kernel = course.gaussian(sigma)
    radius = len(kernel) // 2
    impulse = np.zeros((2 * radius + 1,) * 2)
    impulse[radius, radius] = 1
    want = ndimage.gaussian_filter(impulse, sigma, radius=radius, mode="constant")
    assert np.allclose(kernel, want, atol=1e-6) and kernel.sum().item() == pytest.approx(1)


@pytest.mark.parametrize("sigma", [0, -1, float("nan"), float("inf")])
def test_gaussian_refuses_bad_widths(sigma):
    with pytest.raises(ValueError, match=f"sigma: got {sigma}"):
        course.gaussian(sigma)


def test_parameter_count_of_a_convolution():
    layer = nn.Conv2d(3, 5, 3)
    assert course.parameter_count(layer) == 3 * 5 * 9 + 5
    layer.bias.requires_grad_(False)
    assert course.parameter_count(layer) == 3 * 5 * 9


def test_spread():
    assert course.spread([1.0, 2.0, 3.0]) == "n = 3, mean 2.000 ± 1.000, range 1.000 to 3.000"
    with pytest.raises(ValueError, match=r"values: got shape \(1,\)"):
        course.spread([1.0])


def test_mean_sd_gives_mean_and_sd_to_the_same_place():
    assert course.mean_sd([1.0, 2.0, 3.0]) == "2.000 ± 1.000"
    assert course.mean_sd([0.0123, 0.0125]) == "0.01240 ± 0.00014"
    assert course.mean_sd([120.0, 140.0]) == "130.0 ± 14.1"
    assert course.mean_sd([1e-7, 3e-7]) == "2.000e-07 ± 1.41e-07"
    with pytest.raises(ValueError, match=r"values: got shape \(\)"):
        course.mean_sd(1.0)


def test_table_has_one_style(capsys):
    course.table({"doing nothing": {"blur": 1.0}, "CNN": {"blur": [0.7, 0.8, 0.9]}}, title="RMSE ratio", extremes=True)
    assert capsys.readouterr().out == ("RMSE ratio, n = 3, mean ± sd [range]\n"
                                       "                                           blur\n"
                                       "doing nothing                             1.000\n"
                                       "CNN            0.8000 ± 0.1000 [0.7000, 0.9000]\n")
    with pytest.raises(ValueError, match="wanted the same in all"):
        course.table({"a": {"x": 1.0}, "b": {"y": 1.0}})


ERRORS = {"doing nothing": {"blur": 1.0, "no <b>": 2.0}, "CNN": {"blur": [0.7, 0.8, 0.9], "no <b>": 3.0}}


@pytest.mark.parametrize(("best", "said", "stars"), [
    ("", "", []), ("low", " ★ the lowest of each column.", ["★ 2.000", "★ 0.8000 ± 0.1000"]),
    ("high", " ★ the highest of each column.", ["★ 1.000", "★ 3.000"]),
    ("low of row", " ★ the lowest of each row.", ["★ 1.000", "★ 0.8000 ± 0.1000"]),
    ("high of row", " ★ the highest of each row.", ["★ 2.000", "★ 3.000"])])
def test_a_table_with_a_caption_is_html_and_marks_the_best(monkeypatch, capsys, best, said, stars):
    kept = []
    monkeypatch.setattr("course.machinery.numbers.display", lambda data, raw: kept.append(data))
    course.table(ERRORS, caption="RMSE, on new patients", best=best)
    soup, text = BeautifulSoup(kept[0]["text/html"], "html.parser"), kept[0]["text/plain"]
    assert soup.caption.text == text.splitlines()[0] == f"RMSE, on new patients. n = 3, mean ± sd.{said}"
    assert [th.text for th in soup.select("thead th[scope=col]")] == ["blur", "no <b>"]
    assert [th.text for th in soup.select("tbody th[scope=row]")] == ["doing nothing", "CNN"]
    cells = [td.text for td in soup.select("tbody td")]
    assert [td.removeprefix("★ ") for td in cells] == ["1.000", "2.000", "0.8000 ± 0.1000", "3.000"]
    assert [td for td in cells if "★" in td] == [b.text for b in soup.select("td > b")] == stars
    assert text.count("★ ") == len(stars) + bool(best) and capsys.readouterr().out == ""


def test_an_unknown_best_is_one_clear_error():
    with pytest.raises(ValueError, match="best: got 'min', wanted low or high or low of row or high of row"):
        course.table(ERRORS, caption="RMSE", best="min")


def test_seeds_start_where_the_environment_says(monkeypatch):
    monkeypatch.delenv("SEED_OFFSET", raising=False)
    assert list(course.seeds(3)) == [0, 1, 2]
    monkeypatch.setenv("SEED_OFFSET", "1000")
    assert list(course.seeds(2)) == [1000, 1001]
    for bad in ("-1", "ten", ""):
        monkeypatch.setenv("SEED_OFFSET", bad)
        with pytest.raises(ValueError, match=f"SEED_OFFSET: got '{bad}'"):
            course.seeds()
    with pytest.raises(ValueError, match="count: got 0"):
        course.seeds(0)


# Phantoms and networks

def test_phantoms_are_seeded_bounded_and_differ():
    x = course.phantoms([100, 101], 64)
    assert x.shape == (2, 1, 64, 64) and x.dtype == torch.float32 and x.min() >= 0 and x.max() <= 1
    assert torch.equal(x[1:], course.phantoms([101], 64))
    assert course.rmse(x[:1], x[1:]) > 0.03
    air, heart, bone = x[:, :, 2, 2], x[:, :, 30, 32], x.amax((1, 2, 3))
    assert air.max() < 0.05 and heart.min() > 0.3 and bone.min() > 0.7
    assert not set(course.TRAIN_PATIENTS) & set(course.TEST_PATIENTS)
    for patients, size in (([], 64), ([1], 31)):
        with pytest.raises(ValueError, match=f"phantoms: got {len(patients)} patients, size {size}"):
            course.phantoms(patients, size)


def test_phantoms_leave_torchs_generator_alone():
    torch.manual_seed(0)
    want = torch.rand(3)
    torch.manual_seed(0)
    course.phantoms([7], 32)
    assert torch.equal(torch.rand(3), want)


@pytest.mark.parametrize("make", [course.CNN, course.UNet])
def test_networks_start_at_doing_nothing_unless_told(make):
    torch.manual_seed(0)
    y = random(2, 1, 16, 16)
    assert torch.equal(make()(y), y)
    plain = make(residual=False)(y)
    assert plain.shape == y.shape and not torch.allclose(plain, y, atol=1e-2)


def test_networks_have_the_parameters_that_arithmetic_gives():
    assert course.parameter_count(course.CNN(3, 24)) == 240 + 24 * (9 * 24 + 1) + 9 * 24 + 1 == 5665
    assert course.parameter_count(course.UNet(2, 5)) == 5656  # 50 + 460 + 1820 + 810 + 1810 + 205 + 455 + 46
    assert course.parameter_count(course.UNet(2, 5, skips=False)) == 5656 - 9 * (10 * 10 + 5 * 5)


def test_relu_is_the_unets_slope_zero():
    model = course.UNet(1, 4, slope=0.0)
    assert model.activate(torch.tensor([-1.0, 2.0])).tolist() == [0.0, 2.0]
    assert course.UNet(1, 4).activate(torch.tensor([-1.0])).item() == pytest.approx(-0.1)


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


def test_fit_draws_batches_without_repetition_and_is_watched():
    y = torch.arange(6.0)[:, None]
    model, sizes, watched = nn.Linear(1, 1), [], []

    def loss(x_hat, x):
        sizes.append(len(set(x.flatten().tolist())))
        return (x_hat - x).square().mean()

    def watch(step, model):
        watched.append(step)
        assert not model(y).requires_grad

    torch.manual_seed(0)
    first = course.fit(model, y, y, steps=5, lr=1e-2, loss=loss, batch=4, watch=watch)
    assert sizes == [4] * 5 and watched == [0, 1, 2, 3, 4, 5] and first.std() > 0


def test_crops_are_pairs_and_seeded():
    x = torch.arange(2 * 20 * 30.0).view(2, 1, 20, 30)
    torch.manual_seed(0)
    y_cut, x_cut = course.crops(2 * x, x, size=8, count=40)
    assert y_cut.shape == x_cut.shape == (40, 1, 8, 8) and torch.equal(y_cut, 2 * x_cut)
    assert (x_cut[:, 0, 1, 0] - x_cut[:, 0, 0, 0] == 30).all() and len(set(x_cut[:, 0, 0, 0].tolist())) > 30
    torch.manual_seed(0)
    assert torch.equal(course.crops(2 * x, x, size=8, count=40)[1], x_cut)


@pytest.mark.parametrize(("y", "arguments", "said"), [
    (torch.ones(2, 1, 8, 9), dict(size=4, count=1), "wanted pairs on the same grid"),
    (torch.ones(3, 1, 8, 8), dict(size=4, count=1), "wanted pairs on the same grid"),
    (torch.ones(2, 1, 8, 8), dict(size=9, count=1), "got size 9, count 1, wanted crops of 8×8"),
    (torch.ones(2, 1, 8, 8), dict(size=4, count=0), "got size 4, count 0"),
])
def test_crops_refuse_bad_input(y, arguments, said):
    with pytest.raises(ValueError, match=said):
        course.crops(y, torch.ones(2, 1, 8, 8), **arguments)


@pytest.mark.parametrize(("arguments", "said"), [
    (dict(y=torch.ones(2, 1), steps=1, lr=1.0, batch=3), "batch: got 3, wanted 1 to 2 pairs"),
    (dict(y=torch.ones(2, 1), steps=1, lr=1.0, batch=0), "batch: got 0"),
    (dict(y=torch.ones(3, 1), steps=1, lr=1.0), "got 3 measurements and 2 targets"),
    (dict(y=torch.ones(2, 1), steps=0, lr=1.0), "steps: got 0"),
    (dict(y=torch.full((2, 1), float("nan")), steps=2, lr=1.0), "the loss is nan at update 1"),
])
def test_fit_refuses_bad_input(arguments, said):
    with pytest.raises(ValueError, match=said):
        course.fit(nn.Linear(1, 1), x=torch.ones(2, 1), **arguments)


# Figures and glue

def test_band_draws_mean_and_range():
    _, (ax,) = course.panels(1)
    line = course.band(ax, [1, 2], torch.tensor([[0.0, 1.0], [2.0, 5.0]]), "runs")
    assert line.get_ydata().tolist() == [1.0, 3.0]
    corners = ax.collections[0].get_paths()[0].vertices
    assert {tuple(c) for c in corners.tolist()} >= {(1, 0), (1, 2), (2, 1), (2, 5)}
    with pytest.raises(ValueError, match=r"curves: got shape \(2, 2\), wanted \(runs, 3\)"):
        course.band(ax, [1, 2, 3], torch.zeros(2, 2), "runs")


def test_a_diagram_joins_boxes_by_arrows_that_end_at_their_rims():
    course.diagram({"a": ("input", 0, 0), "b": ("3×3", 1, 2)}, {"a b": "c×H×W"}, size=(3, 3))
    figure, = map(plt.figure, plt.get_fignums()[-1:])
    figure.canvas.draw()
    ax, = figure.axes
    texts = {text.get_text(): text for text in ax.texts}
    assert set(texts) == {"input", "3×3", "c×H×W", ""} and texts["c×H×W"].get_position() == (0.5, 1.0)
    arrow = texts[""].arrow_patch.get_window_extent()
    for name, end in {"input": (arrow.x0, arrow.y1), "3×3": (arrow.x1, arrow.y0)}.items():
        box = texts[name].get_bbox_patch().get_window_extent()
        assert box.padded(4).contains(*end) and not box.padded(-4).contains(*end)
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert (left, right, top, bottom) == (-0.5, 1.5, -0.5, 2.5)
    with pytest.raises(ValueError, match="arrows: got 'a c', wanted two names out of a, b"):
        course.diagram({"a": ("", 0, 0), "b": ("", 1, 0)}, {"a c": ""}, size=(3, 3))


def glued(monkeypatch, name, value):
    seen = []
    monkeypatch.setattr(course.machinery.numbers, "display", lambda data, **how: seen.append((data, how)))
    course.glue(name, value)
    return seen[0]


@pytest.mark.parametrize(("value", "text"), [
    (3, "3"), (0.25, "0.25"), ("word", "'word'"), (torch.tensor(0.5), "0.5"), (np.float64(2), "2.0"),
    (torch.tensor([0.25]), "0.25"), (torch.tensor([1.0, 2.0, 3.0]), "'2.000 ± 1.000'"),
    ([1.0, 2.0, 3.0], "'2.000 ± 1.000'"),
])
def test_glue_stores_what_mystnb_reads(monkeypatch, value, text):
    prefix = "application/papermill.record/"
    data, how = glued(monkeypatch, "name", value)
    assert data == {prefix + "text/plain": text}
    assert how == {"raw": True, "metadata": {"scrapbook": {"name": "name", "mime_prefix": prefix}}}


def test_glue_refuses_what_is_no_number():
    with pytest.raises(ValueError, match="glue 'name': got nan"):
        course.glue("name", torch.tensor(float("nan")))
    with pytest.raises(ValueError, match=r"values: got shape \(2, 2\)"):
        course.glue("name", torch.ones(2, 2))


def test_panels_stay_on_the_page():
    figure, axes = course.panels(7, width=3)
    assert len(axes) == 7 and figure.get_figwidth() == 8
    with pytest.raises(ValueError, match="count: got 0"):
        course.panels(0)


def test_draw_image_keeps_the_stated_window():
    _, (ax,) = course.panels(1)
    artist = course.draw_image(ax, random(1, 1, 5, 5), "t", window=(-1, 2))
    assert artist.get_clim() == (-1, 2) and artist.get_array().shape == (5, 5)


MAGENTA = ListedColormap(["magenta"])


def pictured(seed):
    """A figure of lines, an image, a colour bar, an image cut by its axes, and cells; all intensities are magenta."""
    shapes = np.random.default_rng(seed)
    figure, axes = plt.subplots(2, 2, figsize=shapes.uniform(4, 8, 2), layout="constrained" if seed % 2 else None)
    bar = figure.colorbar(axes[0, 0].imshow(np.eye(7), cmap=MAGENTA), ax=axes[0, 0], shrink=0.8, label="level")
    axes[0, 1].plot([1, 2])
    axes[1, 0].imshow(np.eye(9), cmap=MAGENTA, extent=(0, 3, 0, 2), aspect="auto")
    axes[1, 0].set_xlim(-1, 2.5)
    axes[1, 1].pcolormesh(shapes.random((5, 6)), cmap=MAGENTA)
    for ax in [*axes.flat, bar.ax]:
        ax.set(xticks=[], yticks=[], ylabel="a label beside")
        ax.spines[:].set_visible(False)
        ax.grid(False)
    return figure


@pytest.mark.parametrize("seed", range(6))
def test_a_stored_figure_says_where_its_pictures_lie(seed):
    course.set_style()
    formatter = InteractiveShell.instance().display_formatter.formatters["image/png"]
    stored = Image.open(io.BytesIO(base64.b64decode(formatter(pictured(seed)))))
    plain = Image.open(io.BytesIO(print_figure(pictured(seed))))
    assert np.array_equal(stored.convert("RGB"), plain.convert("RGB")) and "Software" not in stored.info
    red, green, blue = np.moveaxis(np.asarray(stored.convert("RGB"), dtype=int), 2, 0)
    marked = np.zeros(red.shape, dtype=bool)
    for box in stored.info["pictures"].split(", "):
        left, top, right, bottom = (round(float(side) * n) for side, n in zip(box.split(), 2 * stored.size))
        marked[top:bottom, left:right] = True
    assert np.array_equal(marked, (red > 250) & (green < 5) & (blue > 250))
    assert stored.info["pictures"].count(",") == 3
    plt.close("all")


def test_a_figure_without_intensities_says_so():
    course.set_style()
    figure, ax = plt.subplots()
    ax.plot([1, 2])
    ax.imshow(np.eye(3)).set_visible(False)
    assert Image.open(io.BytesIO(course.machinery.figures.png(figure))).info["pictures"] == ""
    assert course.machinery.figures.png(plt.figure()) is None
    plt.close("all")


def test_boxes_that_overlap_become_one():
    boxes = [(0, 0, 0.2, 0.2), (0.3, 0, 0.5, 0.2), (0.5, 0, 0.6, 0.2), (0.1, 0.1, 0.4, 0.4)]
    assert course.machinery.figures.hulls(boxes) == "0 0 0.5 0.4, 0.5 0 0.6 0.2"


# Explorables

def explored(monkeypatch, draw, **parameters):
    """The bundle that `explore` displays, its figure as soup, and the widget of the same cell."""
    seen = []
    monkeypatch.setattr(course.machinery.explorables, "display", lambda data, raw: seen.append(data))
    course.explore(draw, caption="A caption.", alt="A grey square that gets darker.", **parameters)
    view = seen[0]["application/vnd.jupyter.widget-view+json"]
    figure = BeautifulSoup(seen[0]["text/html"], "html.parser").figure
    return seen[0], figure, _instances[view["model_id"]]


def grey(level, rows=4):
    return np.full((rows, 6), level), f"level {level:g}"


def test_explore_stores_every_frame_without_loss(monkeypatch):
    levels = [0.0, 0.2, 0.4, 0.6, 0.8]
    _, figure, _ = explored(monkeypatch, grey, level=levels, start={"level": 0.6})
    strip = np.asarray(Image.open(io.BytesIO(base64.b64decode(figure.img["src"].partition(",")[2]))).convert("L"))
    assert figure["data-shape"] == "5 1" and strip.shape == (20, 6)
    assert (strip.reshape(5, 24) == np.array([[51 * i] for i in range(5)])).all()
    assert figure.img["style"].endswith("margin: -200% 0 -66.6667% 0%")  # of a frame's width, 3:2
    assert json.loads(figure["data-said"])[3] == figure.select_one(".explore-said").text == "level 0.6"
    assert figure.output.text == "0.6" and figure.input["value"] == "3" and figure.label.span.text == "level"
    assert figure.select_one(".explore-controls").has_attr("hidden"), "a control without a script is dead"
    assert not figure.select("label output"), "two fields with one label"
    assert figure["data-pictures"] == "0 0 1 1"


def test_explore_lays_two_parameters_out_in_rows_and_columns(monkeypatch):
    def draw(first, second):
        return f"{first}, {second}"

    data, figure, _ = explored(monkeypatch, draw, first=[1, 2, 3], second=["a", "b"], start={"second": "b"})
    assert figure["data-shape"] == "3 2" and figure.img is None
    assert json.loads(figure["data-said"]) == ["1, a", "1, b", "2, a", "2, b", "3, a", "3, b"]
    assert figure.select_one(".explore-said").text == "2, b"
    assert [o.text for o in figure.select("option[selected]")] == ["b"]
    assert data["text/plain"] == "explore first = 1, 2, 3; second = a, b"


def test_explore_draws_any_value_where_a_kernel_runs(monkeypatch):
    _, _, box = explored(monkeypatch, grey, level=[0.0, 1.0])
    slider, picture, sentence, caption = box.children
    slider.value = 0.37
    assert sentence.value == "level 0.37" and "caption" in caption.value.lower()
    image = BeautifulSoup(picture.value, "html.parser").img
    drawn = Image.open(io.BytesIO(base64.b64decode(image["src"].partition(",")[2])))
    assert np.asarray(drawn.convert("L")).max() == round(0.37 * 255)
    assert int(image["width"]) == drawn.width and len(image["alt"]) > 10
    _, _, box = explored(monkeypatch, lambda size: f"{3 // (size - 5)} pixels", size=[3, 7])
    slider, sentence, _ = box.children
    assert (slider.min, slider.max, slider.step) == (3, 7, 4)


def test_explore_takes_figures(monkeypatch):
    def draw(height):
        figure, ax = plt.subplots(figsize=(2, 1), dpi=50)
        ax.plot([0, height])
        return figure

    before = plt.get_fignums()
    _, figure, _ = explored(monkeypatch, draw, height=[1, 2])
    assert (figure.img["width"], figure.img["height"]) == ("100", "100") and plt.get_fignums() == before
    assert figure["data-pictures"] == ""


def test_explore_says_where_the_pictures_of_all_frames_lie(monkeypatch):
    def draw(left):
        figure, ax = plt.subplots(figsize=(2, 1), dpi=50)
        ax.set_position([left / 10, 0.2, 0.2, 0.6])
        ax.imshow(np.eye(4), aspect="auto")
        return figure

    _, figure, _ = explored(monkeypatch, draw, left=[1, 2, 6])
    assert figure["data-pictures"] == "0.1 0.2 0.4 0.8, 0.6 0.2 0.8 0.8"


@pytest.mark.parametrize(("draw", "arguments", "error", "said"), [
    (grey, {}, ValueError, "got 0 parameters, wanted one or two"),
    (grey, dict(a=[1, 2], b=[1, 2], c=[1, 2]), ValueError, "got 3 parameters"),
    (grey, dict(level=[1]), ValueError, "got 1 frames, wanted two values or more"),
    (grey, dict(level=range(65)), ValueError, "got 65 frames"),
    (grey, dict(level=[0.5, 0.2]), ValueError, "level: got .*, wanted increasing numbers"),
    (grey, dict(level=[0, 1], start={"level": 2}), ValueError, "start: got level = 2, wanted one of"),
    (grey, dict(level=[0, 1], start={"depth": 2}), ValueError, "start: got depth = 2, wanted one of"),
    (lambda rows: grey(0, rows), dict(rows=[3, 4]), ValueError, "draw: got frames of .*, wanted one size"),
    (lambda level: None, dict(level=[0, 1]), TypeError, "draw: returned NoneType, wanted"),
    (lambda level: (grey(0)[0], 3), dict(level=[0, 1]), TypeError, "draw: returned tuple, wanted"),
])
def test_explore_refuses_bad_input(draw, arguments, error, said):
    with pytest.raises(error, match=said):
        course.explore(draw, caption="A caption.", alt="Something to be seen.", **arguments)
