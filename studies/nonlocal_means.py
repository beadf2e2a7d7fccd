"""Does non-local means, an attention without training, denoise, and does it need to see far?

Pictures of 48 pixels with noise of 0.1: pieces of the book's photograph, drawn chest slices, bodies of even ellipses.
Non-local means compares neighbourhoods of 3×3 pixels, within a window of `radius` pixels to each side; 48 is the whole
picture. Its bandwidth, the weight of total variation and the filter that least squares fits, 7 pixels wide, are found
on four other pictures. Beside them stand the 3×3 mean and doing nothing. Pictures and noise come from the seed; of the
photograph the left half tunes and the right half tests.

`psnr_oracle` is non-local means at the bandwidth that the truth of the test pictures would choose.

Not covered: neighbourhoods other than 3×3; other noise; trained attention; pictures large enough to repeat themselves
more often.
"""
import torch
import torch.nn.functional as F

import course
from studies.engine import grid
from studies.learned_versus_tv import tv
from studies.unet_versus_cnn import linear

SEEDS = 10
FIGURE = {"metric": "psnr", "lines": ["method", "radius"], "panels": "images"}
SIDE = 48              # pixels, side of the pictures
SIGMA = 0.1            # standard deviation of the noise, grey levels
TUNING, TEST = 4, 2    # pictures
BANDWIDTHS = (0.4, 0.5, 0.65, 0.8, 1.0, 1.25, 1.6)
PENALTIES = (0.02, 0.03, 0.045, 0.07, 0.1, 0.15)
FIELD = 7              # pixels, width of the linear filter
RADII = [1, 3, 8, SIDE]
IMAGES = ["photo", "chest", "even"]
GRID = (grid(images=IMAGES, method=["nothing", "mean", "linear", "tv"], radius=[0])
        + grid(images=IMAGES, method=["nonlocal"], radius=RADII))


def pieces(x, count, columns):
    """Pieces of a picture that begin at random places of these columns: (count, 1, SIDE, SIDE)."""
    top = torch.randint(x.shape[2] - SIDE + 1, (count,)).tolist()
    left = torch.randint(*columns, (count,)).tolist()
    return torch.cat([x[:, :, r:r + SIDE, c:c + SIDE] for r, c in zip(top, left)])


def pictures(images, seed):
    """Tuning and test pictures: (TUNING, 1, SIDE, SIDE), (TEST, 1, SIDE, SIDE)."""
    if images == "photo":
        photo = course.load_grey("photo.png", 256)
        return pieces(photo, TUNING, (0, 128 - SIDE + 1)), pieces(photo, TEST, (128, 256 - SIDE + 1))
    if images == "even":
        x = course.ellipses(TUNING + TEST, SIDE, seed=80_000 + seed)
    else:
        first = 80_000 + 10 * seed
        x = course.phantoms(range(first, first + TUNING + TEST), SIDE)
    return x[:TUNING], x[TUNING:]


def neighbourhoods(y):
    """The 3×3 neighbourhoods of all pixels of one picture: (N, 9)."""
    return F.unfold(F.pad(y, (1, 1, 1, 1), mode="reflect"), 3)[0].T


def nonlocal_means(y, radius, bandwidths):
    """Results for each bandwidth: (bandwidths, B, 1, H, W)."""
    place = torch.arange(SIDE**2)
    row, column = place // SIDE, place % SIDE
    far = torch.maximum((row[:, None] - row).abs(), (column[:, None] - column).abs()) > radius
    found = []
    for one in y.split(1):
        p = neighbourhoods(one)
        unlike = torch.cdist(p, p).square().masked_fill_(far, torch.inf) / (18 * SIGMA**2)
        found.append(torch.stack([((-unlike / h**2).softmax(-1) @ one.flatten()).view_as(one) for h in bandwidths]))
    return torch.cat(found, 1)


def psnr(x_hat, x):
    return course.psnr(x_hat.clamp(0, 1), x, together=True)


def run(*, images, method, radius, seed):
    torch.manual_seed(seed)
    x, x_test = pictures(images, seed)
    y, y_test = (z + SIGMA * torch.randn_like(z) for z in (x, x_test))
    if method == "nonlocal":
        tuned = torch.stack([psnr(z, x) for z in nonlocal_means(y, radius, BANDWIDTHS)])
        tested = torch.stack([psnr(z, x_test) for z in nonlocal_means(y_test, radius, BANDWIDTHS)])
        best = int(tuned.argmax())
        return {"psnr": tested[best], "psnr_oracle": tested.max(), "bandwidth": BANDWIDTHS[best]}
    if method == "tv":
        def smooth(y, weight):
            return tv(y, weight, 150, lambda z: z, lambda z: z, y.clamp(0, 1))
        best = max(PENALTIES, key=lambda w: float(psnr(smooth(y, w), x)))
        return {"psnr": psnr(smooth(y_test, best), x_test), "penalty": best}
    if method == "linear":
        return {"psnr": psnr(linear(y, x, y_test, FIELD)[0], x_test)}
    return {"psnr": psnr(y_test if method == "nothing" else
                         F.avg_pool2d(F.pad(y_test, (1, 1, 1, 1), mode="reflect"), 3, stride=1), x_test)}
