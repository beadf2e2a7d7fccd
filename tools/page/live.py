"""The page "Your own picture": the file that its figure loads when asked, and the tables of the study behind it."""
import base64
import io
import json
import math
import re
import statistics
from pathlib import Path

import numpy as np
from PIL import Image

import evidence
import ledger

PAGE = "chapters/your_picture"
FILE = "your-picture-data.js"
NETWORKS = "cnn", "unet"  # chapters/weights/live_NAME.npz
PICTURES = {"photograph": "photo.png", "slice": "ct_slice.png", "text": "text.png"}
SIDE = 256  # pixels
NOISES = "0.005", "0.02", "0.08"  # of the page, in the order of the study's penalties
METHODS = {"nothing": "doing nothing", "tikhonov": "Tikhonov", "tv": "total variation", "cnn": "CNN", "unet": "UNet"}
TASKS = {"rmse": "photographs, as in the training", "rmse_patients": "drawn chest slices, as in the training",
         "rmse_text": "text", "rmse_noise": "photographs, four times the noise",
         "rmse_weaker": "photographs, blur of 0.8 pixels", "rmse_stronger": "photographs, blur of 2.5 pixels"}


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def layers(path) -> list[list]:
    """[name, shape, weight, bias] of each layer of a stored network; numbers of 16 bits, little end first."""
    with np.load(path) as file:
        names = [name.removesuffix(".weight") for name in file.files if name.endswith(".weight")]
        return [[name, file[f"{name}.weight"].shape, *(text(file[f"{name}.{part}"].astype("<f2").tobytes())
                                                       for part in ("weight", "bias"))] for name in names]


def picture(path: Path) -> str:
    """A picture in grey as PNG, resized as course.load_grey does."""
    with Image.open(path) as image:
        image.convert("L").resize((SIDE, SIDE)).save(stream := io.BytesIO(), "PNG", optimize=True)
    return text(stream.getvalue())


def rows(root: Path, **where) -> dict[str, list]:
    """Rows of the study; of the networks those after the last update."""
    return evidence.columns_of("live_restorers", folder=root / "studies/results", **where)


def data(root: Path) -> str:
    """A script, as a page from disk may load no other file: stored networks, pictures, weights of total variation."""
    best = rows(root, method="tv", seed=0)
    found = {"networks": {name: layers(root / f"chapters/weights/live_{name}.npz") for name in NETWORKS},
             "pictures": {name: picture(root / f"imgs/{file}") for name, file in PICTURES.items()},
             "weights": {noise: best[f"penalty_{i}"][0] for i, noise in enumerate(NOISES)}}
    return f"YourPicture.data = {json.dumps(found)};\n"


def results(root: Path) -> str:
    """PSNR of each method in each task, mean ± standard deviation over seeds, the best starred."""
    last, lines = max(rows(root)["updates"]), []
    found = {name: rows(root, method=name, updates=last if name in NETWORKS else 0) for name in METHODS}
    for task, said in TASKS.items():
        values = [[-20 * math.log10(one) for one in found[name][task]] for name in METHODS]
        means = [statistics.mean(one) for one in values]
        cells = [f"{mean:.1f} ± {statistics.stdev(one):.1f}{' ★' * (mean == max(means))}"
                 for mean, one in zip(means, values)]
        lines.append([said, *(cell.replace(" ", "\u202f") for cell in cells)])  # narrow, and no end of a line
    return ledger.table(" | ".join(["PSNR (dB)", *METHODS.values()]), lines)


def on_read(app, page, source) -> None:
    if page == PAGE:
        root = Path(app.srcdir)
        app.env.note_dependency(str(root / "studies/results/live_restorers.csv"))
        found = rows(root)
        words = {"results": results(root), "updates": str(max(found["updates"])), "seeds": str(len(set(found["seed"])))}
        source[0] = re.sub(r"<!-- (\w+) -->", lambda sign: words[sign[1]], source[0])


def write(app) -> None:
    """Put the file beside the script that loads it, in a book that has the page."""
    if PAGE in app.env.found_docs:
        Path(app.outdir, "_static", FILE).write_text(data(Path(app.srcdir)), encoding="utf-8")


def setup(app):
    app.connect("source-read", on_read)
