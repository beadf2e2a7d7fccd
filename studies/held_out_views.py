"""Which reconstruction of a measured needle predicts the views that it has not seen, and is that the right judge?

Measured sinograms of a needle, one for each seed; sixteen seeds take them all. They have 77 tilts from −76° to 76° and
are cut to 97 detector pixels around the axis, background subtracted, in units in which the needle is about 0.6. In
`corrected` data each view is divided by its own sum, `raw` data keep theirs. `half` keeps every second view, `quarter`
every fourth, `wedge` those up to 50°; the others are held out. `held` is the error of the predicted held-out views, in
per cent of their norm. The same methods reconstruct drawn needles of two kinds: `sim` as the networks train on, `other`
without grain and with bright particles and large inclusions. There the truth is known: `truth`, and its parts at
frequencies that the kept tilts have measured (`seen`) and missed (`wedge`), all in per cent of the image's norm; and
`alike`, the error of the held-out views, and `clean`, the same beside held-out views without noise, gain and shifts.
Drawn needles are sums of ellipses, whose views are known by formula.

`interpolate` takes the two neighbouring views; it has no image. FBP has the Hann window and one factor, from its own
views. Weights and numbers of steps are tuned for each sinogram by splitting its own views once more, in the same way,
or in halves for `quarter`; `edge` is the share of the sinograms whose number is the largest of those tried, and `low`
the smallest. `tv_known` has the weight that is best for the truth, which only drawn needles have. Everything is cut at
zero, and Tikhonov, SIRT, TV and plug-and-play are so in each step. `unet` stands behind FBP and trains on drawn needles
with noise, gain and shifts as measured, `clean` on needles without; `from_sirt` stands behind SIRT. A row of a network
has also, from 600 updates on, `stepped`: SIRT steps behind it, their number tuned by the held-out views of drawn
needles; `best` has the number that is best for the views held out, which nobody knows in use. `halves` takes each half
of the views by itself and averages, `others` does the same and is trained to predict one half of the views from the
other, on measured sinograms other than the test's and its neighbours; `own` on the test's own.

Not covered: other specimens, saturation of thick parts, movements along the axis, three dimensions, larger networks.
"""
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

import course
from studies.consistency import train
from studies.engine import grid
from studies.learned_versus_tv import gradient, gradient_T

SEEDS = 10
FIGURE = {"metric": "held", "lines": "method", "panels": "split", "where": {"data": ["corrected"], "updates": [0, 600]}}
SIDE, BINS = 96, 97        # pixels of 3.36 nm, side of the images; of the detector around the axis
AXIS = 128                 # pixel of the detector where the axis is
FILLED = 4                 # value of pixels that nobody measured
LEVEL = 0.6                # grey value of a disc with the needle's mass and energy
TILTS = torch.arange(-76, 77, 2)  # degrees
NOISE, GAIN, SHIFT = 0.004, 0.01, 0.08  # of the largest datum, of a view's sum, pixels: as measured
PAIRS, CROPS, CROP, RATE = 160, 640, 64, 3e-3
TEST, TUNING = 3, 3        # drawn needles of each kind
NARROW = 50                # degrees; views up to here, or not so far, need more steps
TV_STEPS, TIKHONOV_STEPS = (300, 1000), (400, 1000)  # elsewhere, and there
PNP_STEPS = 40
TAU = 10.0, 40.0           # of the primal-dual iteration
STEPS = 20, 40, 80, 160, 320, 640, 1280, 2560, 5120  # of SIRT, the last for narrow views only
BEHIND = 0, 10, 30, 100, 300, 1000, 3000  # SIRT steps behind a network
STEPPED = 600              # updates from which on there are such steps
WEIGHTS = {"tv": (0.003, 0.01, 0.03, 0.1, 0.3, 1.0), "tikhonov": (0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
           "pnp": (0.01, 0.03, 0.1, 0.3, 1.0)}  # per view; of the denoiser
CLASSICAL = {"method": ["interpolate", "fbp", "tikhonov", "sirt", "tv"], "updates": [0]}
MAIN = {"split": ["half"], "data": ["corrected"]}
GRID = (grid(split=["half", "quarter", "wedge"], data=["corrected"], **CLASSICAL)
        + grid(split=["half"], data=["raw"], method=["interpolate", "tv"], updates=[0])
        + grid(**MAIN, method=["tv_known"], updates=[0]) + grid(**MAIN, method=["pnp"], updates=[600])
        + grid(split=["half", "wedge"], data=["corrected"], method=["unet"], updates=[(150, 600, 2400)])
        + grid(split=["quarter"], data=["corrected"], method=["unet"], updates=[(150, 600)])
        + grid(**MAIN, method=["clean", "from_sirt", "halves", "others", "own"], updates=[(150, 600)]))


@lru_cache(maxsize=24)
def scanner(tilts):
    """The operator for these tilts in degrees, a tuple; at tilt 0 the beam runs along the rows."""
    return course.Radon(SIDE, torch.tensor(tilts) + 90.0, BINS)


def chosen(tilts, split):
    """Which of the tilts are kept (V,), booleans."""
    tilts = torch.tensor(tilts)
    if split == "wedge":
        return tilts.abs() <= tilts.abs().max() * 50 / 76
    return torch.arange(len(tilts)) % {"half": 2, "quarter": 4}[split] == 0


def parted(tilts, split):
    """Kept and held-out tilts, as tuples, and the booleans."""
    keep = chosen(tilts, split)
    return (*(tuple(torch.tensor(tilts)[k].tolist()) for k in (keep, ~keep)), keep)


@lru_cache
def needle():
    """The measured sinograms without background: (16, 1, 77, BINS), counts."""
    levels = np.asarray(Image.open(course.course_asset_path("measured_tilts.png")), np.float32)
    y = torch.tensor(levels).view(-1, 1, len(TILTS), 256)
    empty = torch.cat([y[..., 4:70], y[..., 186:250]], dim=3)
    empty = empty.where(empty > FILLED, torch.nan).nanmedian(dim=3, keepdim=True).values.nan_to_num(FILLED)
    first = AXIS - BINS // 2
    return (y - empty).where(y > FILLED, 0.0)[..., first:first + BINS]


def sinogram(seed):
    """The number of the sinogram that a seed takes; seeds in a row take sinograms that are far apart."""
    return 5 * seed % 16


def corrected(y):
    """Each view divided by its own sum."""
    return y / y.sum(3, keepdim=True)


def scale(y, keep):
    """The factor of each image after which a disc with the mass and the energy of its kept views has LEVEL."""
    mass, energy = y[:, :, keep].sum(3).mean(2), y[:, :, keep].square().sum(3).mean(2)
    radius = 16 / (3 * torch.pi**2) * mass**2 / energy
    return (LEVEL * torch.pi * radius**2 / mass)[..., None, None]


def ellipses(count, family, seed):
    """Ellipses of drawn needles: (count, E, 6), centre p and q, half axes, turn, grey value."""
    rng = np.random.default_rng(seed)
    needles = []
    for _ in range(count):
        radius = rng.uniform(9, 39)
        centre, flat = rng.uniform(-2, 2, 2), rng.uniform(0.88, 1)
        parts = [(*centre, radius, radius * flat, rng.uniform(0, np.pi), 0.55)]
        if family == "grain":
            kinds = [(9, (0.92, 1.0), (0.06, 0.22), (0.1, 0.5)), (30, (0, 0.85), (0.04, 0.16), (-0.14, 0.14))]
        else:
            kinds = [(7, (0, 0.9), (0.04, 0.1), (0.3, 0.6)), (2, (0.2, 0.5), (0.15, 0.35), (-0.3, 0.2))]
        for number, where, size, grey in kinds:
            for _ in range(number):
                r, phi = radius * flat * rng.uniform(*where), rng.uniform(0, 2 * np.pi)
                a, b = np.maximum(radius * rng.uniform(*size, 2), 0.8)
                parts.append((centre[0] + r * np.cos(phi), centre[1] + r * np.sin(phi), a, b,
                              rng.uniform(0, np.pi), rng.uniform(*grey)))
        needles.append(parts)
    return torch.tensor(needles, dtype=torch.float32)


def drawn(parts):
    """Images of ellipses with an edge of one pixel: (count, 1, SIDE, SIDE)."""
    at = torch.arange(SIDE) + 0.5 - SIDE / 2
    x = torch.zeros(len(parts), 1, SIDE, SIDE)
    for p, q, a, b, turn, grey in [part[:, :, None, None].unbind(1) for part in parts.unbind(1)]:
        u, v = at - p, at[:, None] - q  # along rows, down columns
        along, across = (u * turn.cos() + v * turn.sin()) / a, (v * turn.cos() - u * turn.sin()) / b
        x[:, 0] += grey * ((1 - torch.hypot(along, across)) * torch.minimum(a, b) + 0.5).clamp(0, 1)
    return x


def views(parts, tilts, shift=0.0):
    """Line integrals of ellipses, averaged over each bin, by their formula: (count, 1, V, BINS)."""
    theta = torch.deg2rad(torch.tensor(tilts) + 90.0)
    edge = torch.arange(BINS + 1) - BINS / 2
    y = torch.zeros(len(parts), 1, len(theta), BINS)
    for p, q, a, b, turn, grey in [part[:, :, None].unbind(1) for part in parts.unbind(1)]:
        half = torch.hypot(a * (theta - turn).cos(), b * (theta - turn).sin())  # (count, V)
        middle = p * theta.cos() + q * theta.sin() + shift
        t = ((edge - middle[..., None]) / half[..., None]).clamp(-1, 1)
        area = t * (1 - t * t).clamp(min=0).sqrt() + t.asin()
        y[:, 0] += (grey * a * b)[..., None] * area.diff(dim=2)
    return y


@lru_cache(maxsize=6)
def simulated(count, family, data, clean, seed):
    """Drawn needles and all their views, as measured or clean: (count, 1, 77, BINS), (count, 1, SIDE, SIDE)."""
    parts, rng = ellipses(count, family, seed), torch.Generator().manual_seed(seed)
    shift, gain = torch.randn(2, count, len(TILTS), generator=rng)
    y = views(parts, TILTS.tolist(), 0.0 if clean else SHIFT * shift)
    if not clean:
        y = y.clamp(min=0) * (1 + GAIN * gain)[:, None, :, None]
        y = y + NOISE * (y.amax((1, 2, 3), keepdim=True) * y).sqrt() * torch.randn(y.shape, generator=rng)
    if data == "corrected":
        y = corrected(y) * y.sum(3, keepdim=True).mean(2, keepdim=True)
    return y, drawn(parts)


def share(a, b):
    """‖a‖ / ‖b‖ in per cent, one value an image."""
    return 100 * a.flatten(1).norm(dim=1) / b.flatten(1).norm(dim=1)


# ------------------------------------------------------------------ methods: x = method(y, tilts, …)

def hann(y):
    """The Hann window in the detector's frequencies: a quarter, a half, a quarter."""
    return F.conv2d(y, torch.tensor([[[[0.25, 0.5, 0.25]]]]), padding=(0, 1))


def fbp(y, tilts):
    return scanner(tilts).fbp(hann(y)) * (len(tilts) * (tilts[1] - tilts[0]) / 180)


def fitted(x, y, tilts):
    """Images cut at zero, times the factor that fits their views best."""
    x = x.clamp(min=0)
    z = scanner(tilts)(x)
    return x * ((z * y).sum((1, 2, 3), keepdim=True) / z.square().sum((1, 2, 3), keepdim=True))


@lru_cache(maxsize=24)
def weights_of(tilts):
    """One over the sums of the matrix along its rows and its columns, and its norm."""
    K = scanner(tilts)
    x = torch.ones(1, *K.image_shape)
    rows, columns = 1 / K(x).clamp(min=1), 1 / K.adjoint(torch.ones(1, *K.data_shape)).clamp(min=1)
    for _ in range(30):
        x = K.adjoint(K(x / x.norm()))
    return rows, columns, x.norm().sqrt()


def narrow(tilts):
    return max(map(abs, tilts)) <= NARROW


def sirt(y, tilts, steps, x=None):
    """The images after each of these numbers of steps."""
    K, (rows, columns, _) = scanner(tilts), weights_of(tilts)
    x, kept = torch.zeros(len(y), *K.image_shape) if x is None else x.clamp(min=0), {}
    for k in range(max(steps) + 1):
        kept[k] = x
        if k < max(steps):
            x = (x + columns * K.adjoint(rows * (y - K(x)))).clamp(min=0)
    return [kept[k] for k in steps]


def tv(y, tilts, weight):
    """Total variation with positivity by Chambolle and Pock's iteration; weight (B,) per view."""
    K, L, tau = scanner(tilts), weights_of(tilts)[2], TAU[narrow(tilts)]
    weight = (weight * len(tilts) / L**2).view(-1, 1, 1, 1)
    x = x_bar = fbp(y, tilts).clamp(min=0)
    y, q, p = y / L, torch.zeros_like(y), torch.zeros(2, *x.shape)
    for _ in range(TV_STEPS[narrow(tilts)]):  # step sizes tau and 1 / (9 tau)
        q = (q + (K(x_bar) / L - y) / (9 * tau)) / (1 + 1 / (9 * tau))
        p = p + gradient(x_bar) / (9 * tau)
        p = p / (p.square().sum(0).sqrt() / weight).clamp(min=1)
        x_new = (x - tau * (K.adjoint(q) / L + gradient_T(p))).clamp(min=0)
        x, x_bar = x_new, 2 * x_new - x
    return x


def tikhonov(y, tilts, weight):
    """½‖Kx − y‖² + weight/2 ‖∇x‖² with positivity, by accelerated projected gradients; weight (B,) per view."""
    K, L = scanner(tilts), weights_of(tilts)[2]
    weight = (weight * len(tilts)).view(-1, 1, 1, 1)
    x = z = fbp(y, tilts).clamp(min=0)
    t = 1.0
    for _ in range(TIKHONOV_STEPS[narrow(tilts)]):
        x_new = (z - (K.adjoint(K(z) - y) + weight * gradient_T(gradient(z))) / (L**2 + 8 * weight)).clamp(min=0)
        t_new = (1 + (1 + 4 * t * t) ** 0.5) / 2
        z, x, t = x_new + (t - 1) / t_new * (x_new - x), x_new, t_new
    return x


def plug_and_play(denoise, y, tilts, weight):
    """SIRT steps, each followed by a part of the denoiser's step."""
    x, weight = fbp(y, tilts).clamp(min=0), weight.view(-1, 1, 1, 1)
    for _ in range(PNP_STEPS):
        x = sirt(y, tilts, (1,), x)[0]
        x = (x + weight * (denoise(x) - x)).clamp(min=0)
    return x


def interpolated(y, tilts, held):
    """The held-out views from the two nearest kept ones; beyond the last, the last."""
    at, t = torch.tensor(tilts, dtype=torch.float32), torch.tensor(held, dtype=torch.float32)
    right = torch.searchsorted(at, t).clamp(1, len(at) - 1)
    part = ((t - at[right - 1]) / (at[right] - at[right - 1])).clamp(0, 1)[:, None]
    return (1 - part) * y[:, :, right - 1] + part * y[:, :, right]


# ------------------------------------------------------------------ tuning and judging

def split_again(y, tilts, split):
    inner, rest, keep = parted(tilts, "half" if split == "quarter" else split)
    return (y[:, :, keep], inner), (y[:, :, ~keep], rest)


def tuned(solve, weights, y, tilts, split):
    """For each image the weight that predicts one part of its views best from the other."""
    (y_in, inner), (y_out, rest) = split_again(y, tilts, split)
    n = len(y)
    x = solve(y_in.repeat(len(weights), 1, 1, 1), inner, torch.tensor(weights).repeat_interleave(n))
    return torch.tensor(weights)[share(scanner(rest)(x) - y_out.repeat(len(weights), 1, 1, 1),
                                       y_out.repeat(len(weights), 1, 1, 1)).view(len(weights), n).argmin(0)]


def edges(found, tried):
    """The shares of the images that got the largest number tried, and the smallest."""
    return {"edge": (found == max(tried)).float().mean(), "low": (found == min(tried)).float().mean()}


def sirt_tuned(y, tilts, split):
    (y_in, inner), (y_out, rest) = split_again(y, tilts, split)
    steps = STEPS if narrow(tilts) else STEPS[:-1]
    misfits = torch.stack([share(scanner(rest)(x) - y_out, y_out) for x in sirt(y_in, inner, steps)])
    best = misfits.argmin(0)
    return torch.stack(sirt(y, tilts, steps))[best, torch.arange(len(y))], best, steps


def spectrum_parts(e, tilts):
    """The parts of images at frequencies that the tilts have measured and that they have missed."""
    f = torch.fft.fftfreq(SIDE)
    down, along = f[:, None], f[None, :].abs()  # at tilt 0 the beam runs along the rows: its frequencies are missed
    missed = down.abs() < along * torch.tan(torch.deg2rad(torch.tensor(90.0 - max(map(abs, tilts)))))
    lost = torch.fft.ifft2(torch.fft.fft2(e) * missed).real
    return e - lost, lost


@lru_cache(maxsize=4)
def task(split, data, seed):
    """All sinograms to reconstruct, scaled: measured, drawn as in training, drawn otherwise; and the true images.

    Returns the kept and the held-out views, those held out without noise, the images, the kept and held-out tilts.
    """
    kept, held, keep = parted(tuple(TILTS.tolist()), split)
    y = needle()[sinogram(seed)][None]
    sims, clean = ([simulated(TEST, family, data, without, 20_000 + seed) for family in ("grain", "other")]
                   for without in (False, True))
    y = torch.cat([corrected(y) if data == "corrected" else y, *(z for z, _ in sims)])
    x = torch.cat([x for _, x in sims])
    factor = scale(y, keep)
    y, y_clean = factor * y, factor[1:] * torch.cat([z for z, _ in clean])
    return y[:, :, keep], y[:, :, ~keep], y_clean[:, :, ~keep], factor[1:] * x, kept, held


def judge(x_hat, split, data, seed, name=""):
    """Errors of the images x_hat (1 + 2 TEST, …)."""
    y, y_held, y_clean, x, kept, held = task(split, data, seed)
    x_hat = x_hat.clamp(min=0)
    z_held = scanner(held)(x_hat)
    misfit, clean = share(z_held - y_held, y_held), share(z_held[1:] - y_clean, y_clean)
    own = share(scanner(kept)(x_hat) - y, y)
    row = {"held": misfit[0], "residual": own[0]}
    seen, lost = spectrum_parts(x_hat[1:] - x, kept)
    for k, family in enumerate(("sim", "other")):
        part = slice(k * TEST, (k + 1) * TEST)
        row |= {f"{family}_alike": misfit[1:][part].mean(), f"{family}_clean": clean[part].mean(),
                f"{family}_truth": share(x_hat[1:] - x, x)[part].mean(),
                f"{family}_seen": share(seen, x)[part].mean(), f"{family}_wedge": share(lost, x)[part].mean()}
    return {name + key: value for key, value in row.items()}


def pairs(split, data, clean, seed):
    """Drawn needles for a training: kept views, true images."""
    kept, _, keep = parted(tuple(TILTS.tolist()), split)
    y, x = simulated(PAIRS, "grain", data, clean, 10_000 + seed)
    factor = scale(y, keep)
    return factor * y[:, :, keep], factor * x, kept


def halved(y, tilts):
    """Images by filtered back-projection from each half of the views, stacked."""
    return torch.cat([fbp(y[:, :, k::2], tilts[k::2]) for k in (0, 1)])


def judging(y, tilts):
    """For images from either half: all views, and a mask of those of the other half."""
    odd = torch.arange(len(tilts)).view(1, 1, -1, 1) % 2
    return torch.cat([torch.cat([y, (odd == 1 - k).expand_as(y)], 1) for k in (0, 1)])


@torch.no_grad()
def run(*, split, data, method, updates, seed):
    y, y_held, _, x, kept, held = task(split, data, seed)
    if method == "interpolate":
        misfit = share(interpolated(y, kept, held) - y_held, y_held)
        floor = share(scanner(held)(x) - y_held[1:], y_held[1:])
        return {"held": misfit[0], "sim_alike": misfit[1:1 + TEST].mean(), "other_alike": misfit[1 + TEST:].mean(),
                "sim_floor": floor[:TEST].mean(), "other_floor": floor[TEST:].mean()}
    if method == "fbp":
        return judge(fitted(fbp(y, kept), y, kept), split, data, seed)
    if method == "sirt":
        x_hat, best, steps = sirt_tuned(y, kept, split)
        return judge(x_hat, split, data, seed) | {"penalty": steps[best[0]], **edges(torch.tensor(steps)[best], steps)}
    if method in ("tv", "tikhonov"):
        solve = {"tv": tv, "tikhonov": tikhonov}[method]
        weight = tuned(solve, WEIGHTS[method], y, kept, split)
        row = judge(solve(y, kept, weight), split, data, seed)
        return row | {"penalty": weight[0], **edges(weight, WEIGHTS[method])}
    if method == "tv_known":  # of no use for measured data: the weight that is best for the truth, else as tv
        found = torch.stack([tv(y, kept, torch.tensor(w).repeat(len(y))) for w in WEIGHTS["tv"]])
        best = torch.stack([share(x_hat[1:] - x, x) for x_hat in found]).argmin(0)
        row = judge(found[torch.cat([best[:1], best]), torch.arange(len(y))], split, data, seed)
        return {name: value for name, value in row.items() if name not in ("held", "residual")}
    torch.manual_seed(seed)
    network = course.UNet()
    if method == "pnp":
        x = pairs(split, data, True, seed)[1]
        with torch.enable_grad():
            x, _ = course.crops(x, x, size=CROP, count=CROPS)
            denoise, = train(network, x + 0.05 * torch.randn_like(x), x, updates=(updates,), rate=RATE,
                             loss=F.mse_loss, seed=seed)

        def solve(y, tilts, weight):
            return plug_and_play(denoise, y, tilts, weight)
        weight = tuned(solve, WEIGHTS["pnp"], y, kept, split)
        row = judge(solve(y, kept, weight), split, data, seed)
        return row | {"penalty": weight[0], **edges(weight, WEIGHTS["pnp"])}
    return networks(network, split, data, method, updates, seed)


def networks(network, split, data, method, updates, seed):
    """The rows of a network behind a first image, after each number of updates."""
    kept, _, keep = parted(tuple(TILTS.tolist()), split)
    loss, mean = F.mse_loss, method in ("halves", "others", "own")

    def first(y):
        return halved(y, kept) if mean else sirt(y, kept, (20,))[0] if method == "from_sirt" else fbp(y, kept)
    if method in ("others", "own"):
        y = corrected(needle())
        far = [k for k in range(16) if (abs(k - sinogram(seed)) > 1 if method == "others" else k == sinogram(seed))]
        y = (scale(y, keep) * y)[far][:, :, keep]
        y = y.repeat(max(1, 2 // len(y)), 1, 1, 1)
        x = judging(y, kept)

        def loss(x_hat, target):
            y, mask = target.chunk(2, dim=1)
            return (mask * (scanner(kept)(x_hat) - y)).square().mean() / SIDE
    else:
        y, x, _ = pairs(split, data, method == "clean", seed)
        x = torch.cat([x, x]) if mean else x
    y = first(y)
    if method not in ("others", "own"):
        torch.manual_seed(seed)
        y, x = course.crops(y, x, size=CROP, count=CROPS)
    with torch.enable_grad():
        trained = train(network, y, x, updates=updates, rate=RATE, loss=loss, seed=seed)
    z, z_held, *_, held = task(split, data, seed)
    tuning, _ = simulated(TUNING, "grain", data, False, 30_000 + seed)
    tuning = tuning * scale(tuning, keep)
    y, y_held = torch.cat([tuning[:, :, keep], z[:1]]), torch.cat([tuning[:, :, ~keep], z_held[:1]])
    rows = []
    for u, one in zip(updates, trained):
        def solve(y, one=one):
            x = one(first(y)).clamp(min=0)
            return fitted((x[:len(y)] + x[len(y):]) / 2 if mean else x, y, kept)
        x_hat = solve(z)
        rows.append(judge(x_hat, split, data, seed) | {"weights": course.parameter_count(one)})
        if u >= STEPPED:
            misfits = torch.stack([share(scanner(held)(x) - y_held, y_held) for x in sirt(y, kept, BEHIND, solve(y))])
            steps, best = BEHIND[misfits[:, :TUNING].mean(1).argmin()], misfits[:, TUNING].argmin()
            rows[-1] |= ({"steps": steps, "best_held": misfits[best, TUNING], "best_steps": BEHIND[best]}
                         | judge(sirt(z, kept, (steps,), x_hat)[0], split, data, seed, "stepped_"))
    return rows
