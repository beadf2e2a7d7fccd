"""Do ten findings of the phantoms survive real anatomy?

Ten claims, named before any row of this study existed; in brackets the verdict on drawn phantoms, behind it the test.

1. cross_domain_fbp_unet (holds): FBP with a network beats FBP. Sparse-view CT of the real CT slice and of a head.
2. cross_domain_tv (holds when): FBP with a network beats total variation. The same rows, total variation tuned on the
   images that train the network.
3. mri_learned (holds when): learned reconstruction beats compressed sensing. A quarter of the columns of a head and of
   an abdomen; a UNet and a cascade beside total variation.
4. mri_few_weights (holds): with the operator inside, a network of fewer weights suffices. The cascade beside the UNet
   alone, with the layer behind it, and trained through the layer.
5. mri_never_worse (holds when): hard data consistency never increases the error. Each slice, with data of the same
   grid, of the finer grid, and with noise.
6. mri_incoherent (false as told): random columns are better than a plain low pass. Zero filling, total variation and a
   cascade trained for each mask; those of the low pass stand in the study real_anatomy_masks.
7. residual_learning_faster (holds when): residual learning trains faster. The error on blurred real slices after
   equally many updates.
8. unet_skips_detail (holds when): skips carry the fine detail. UNets with and without skips on blurred real slices,
   error at edges, and at edges beside the whole.
9. limits_strange (holds): a network gains less on strange patients. Networks of phantoms and of photographs on real
   slices, beside their own kind and beside networks of other real patients.
10. limits_organ (holds): networks draw structures that are not there. A disc in all training slices of one head, none
    in the other head; beside FBP, Tikhonov and total variation.

Chosen by the ledger's reach: in the seven lines of the summary (8, 7, 1, 4, 5, 9, 10), in its table of assumptions (8,
7, 1, 4), or the sentence of a chapter's paragraph there on which others lean (2, 3, 6). Left out although they reach as
far: vision_transformers_few, as five people say nothing about how many pairs a network needs; what is exact (ranks,
fields, equivariance) and does not depend on images; limits_unstable, for want of compute.

Images of 128 pixels from a grid of 256, so that no operator that is inverted has made its own data. Real slices: one of
a patient's abdomen (CT, `ct`), a spine with its surroundings (CT), eight of a head (proton density, `head`), twelve of
another head (T1), one of another abdomen (MR, `abdomen`). These are five people. CT sees MR slices as if they were
densities. Networks and penalties learn from `phantoms` (drawn chests, in `organ` ellipses), from `photographs`, or from
`real` slices of patients other than the test's: the T1 head, and for CT and blur the spine; `mixed` is a third of each.
`own` are test images of the kind that trained: other phantoms, other photographs, for `real` the abdomen. Training
images are mirrored and turned by quarters. CT has photon counts, MRI complex Gaussian noise and a phase, the blur
Gaussian noise. Penalties are tuned on four training images, those of the organ on sixteen. Of the weights that were
tried, total variation and Tikhonov take the largest for CT on photographs, and the smallest for the organ of `real`
from three views. `mixed` trains on 30 images instead of 32, so its tests have other noise than those of the rows beside
it; no penalty is tuned on it. For the organ the images have 32 pixels, as on phantoms, where a UNet of this size sees
most of each, or 128. `harmed` counts slices whose error the hard layer raises: data of the same grid, of the finer one,
with noise, with noise of 10 % (`loud`). A training spends the last eighth of its updates at a tenth of its learning
rate. UNets without skips have fewer weights than those with them. Phantoms, choice of photographs, turns, phases,
masks, noise, crops, weights and batches come from the seed; the real test slices are the same in all seeds, so that no
interval speaks of other people. Networks of phantoms are judged on their own kind, those of `real` on strangers.

Not covered: more people; raw data of scanners; several coils, scatter, beam hardening, motion; lesions; networks of
more than 60,000 weights; learning rates other than those given.
"""
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

import course
from course.operators import as_channels, as_complex, centred
from studies.engine import grid
from studies.learned_versus_tv import gradient, gradient_T, tv
from studies.mri_phase import times
from studies.mri_routes import gradient as around
from studies.mri_routes import gradient_T as around_T
from studies.residual_rate import Form
from studies.unet_versus_cnn import disc, errors, linear, train

SEEDS = 5
FIGURE = {"metric": "psnr_head", "lines": "method", "panels": "setting",
          "where": {"task": ["mri"], "source": ["real"]}}
SIDE, FINE = 128, 256      # pixels: of the images, of the grid on which data are made
PAIRS, OWN, TUNING = 32, 4, 4  # images that train, of the same kind for a test, for the weight of a penalty
GROUPS = 2, 2, 2, 1, 2, 2, 1, 1, 4, 4, 3, 2  # cuttings of each photograph
VIEWS, PHOTONS, ATTENUATION = 48, 1e5, 0.09  # of a CT; counts of a free ray; of one pixel at grey level 1
NOISE, LOUD = 0.03, 0.1    # of the MRI's data, as a share of their norm; of a test with more
COLUMNS, CENTRE = 32, 16   # that are measured; those of random masks that lie in the centre
PHASE = 1.5, 1, 1, 0.7, 0.7, 0.7  # radian, spread of the phase's six coefficients
BLUR, SIGMA = 1.0, 0.02    # pixels; grey levels
ORGAN, CONTRAST = (6, 52, 76), 0.4  # radius, row, column in pixels; grey levels
BODIES = 96                # images that train for the organ
STEPS = {"ct": 500, "mri": 100, "blur": 200}  # of total variation's iteration
TAU = 5.0                  # size of its steps for MRI
WEIGHTS = {"ct": {"tikhonov": (1.0, 3.0, 10.0), "tv": (0.2, 0.4, 0.8, 1.6)},
           "organ": {"tikhonov": (0.01, 0.03, 0.1, 0.3, 1.0, 3.0), "tv": (0.02, 0.05, 0.1, 0.2, 0.4)},
           "mri": {"tikhonov": (0.0, 0.03, 0.1, 0.3), "tv": (0.001, 0.002, 0.004, 0.008, 0.016)},
           "blur": {"tikhonov": (0.003, 0.01, 0.03, 0.1), "tv": (0.001, 0.002, 0.004, 0.008)}}
SOURCES = ["phantoms", "photographs", "real"]
MIXED = [*SOURCES, "mixed"]
CT, MRI, DEBLUR, DRAWN = {"task": ["ct"]}, {"task": ["mri"]}, {"task": ["blur"]}, {"task": ["organ"]}
UNIFORM, REAL, BOTH = {"setting": ["uniform"]}, {"source": ["real"]}, {"source": ["real", "phantoms"]}
FORMS = {"method": ["plain_relu", "zero_relu", "plain_leaky", "zero_leaky"]}
UNETS = {"setting": [4e-3], "updates": [(120, 960, 7680)]}
SMALL = {"setting": ["3_views_32", "8_views_32"]}
GRID = (grid(**CT, method=["fbp", "tikhonov", "tv"], source=SOURCES, setting=["48_views"], updates=[0])
        + grid(**CT, method=["fbp_unet"], source=MIXED, setting=["48_views"], updates=[(200, 1600)])
        + grid(**MRI, method=["zero", "tikhonov", "tv", "tv_phase"], source=SOURCES, **UNIFORM, updates=[0])
        + grid(**MRI, method=["zero", "tv"], **BOTH, setting=["density"], updates=[0])
        + grid(**MRI, method=["cascade"], source=MIXED, **UNIFORM, updates=[(100, 800)])
        + grid(**MRI, method=["cascade"], **BOTH, setting=["density"], updates=[(100, 800)])
        + grid(**MRI, method=["unet"], **BOTH, **UNIFORM, updates=[(100, 800)])
        + grid(**MRI, method=["through"], **REAL, **UNIFORM, updates=[(100, 800)])
        + grid(**DEBLUR, method=["nothing", "linear", "tikhonov", "tv"], **BOTH, setting=[0.0], updates=[0])
        + grid(**DEBLUR, **FORMS, **REAL, setting=[3e-3, 1e-2], updates=[(20, 100, 400)])
        + grid(**DEBLUR, method=["plain_relu", "zero_relu"], source=["phantoms"], setting=[3e-3, 1e-2],
               updates=[(20, 100, 400)])
        + grid(**DEBLUR, method=["levels1", "levels1_skips", "levels3", "levels3_skips", "levels3_shortcut",
                                 "levels3_skips_shortcut"], **REAL, **UNETS)
        + grid(**DEBLUR, method=["levels3", "levels3_skips"], source=["phantoms"], setting=[4e-3],
               updates=[(120, 960)])
        + grid(**DRAWN, method=["fbp", "tikhonov", "tv"], **BOTH, **SMALL, updates=[0])
        + grid(**DRAWN, method=["unet"], **BOTH, **SMALL, updates=[(160, 640)])
        + grid(**DRAWN, method=["unet"], **BOTH, setting=["3_views_128"], updates=[(160, 640)]))


@lru_cache
def person(name):
    """Slices of one person with grey levels in [0, 1], or all photographs: (n, 1, 256, 256)."""
    file, black, white = {"ct": ("real_ct", 24, 2024), "spine": ("ct_small", 24, 2024), "head": ("real_mr_pd", 0, 1000),
                          "t1": ("real_mr_t1", 0, 200), "abdomen": ("real_mr_abdomen", 0, 1000),
                          "photographs": ("photographs", 0, 255)}[name]
    grey = torch.from_numpy(np.array(Image.open(course.course_asset_path(f"{file}.png")), dtype=np.float32))
    x = ((grey - black) / (white - black)).clamp(0, 1)
    if name == "ct":
        x = x[58:442, 70:454]  # the body, and the table above it
    if name == "abdomen":
        x = F.pad(x, (0, 0, 92, 92))
    x = x.view(-1, 1, x.shape[1], x.shape[1])
    x = x[..., 40:216, 40:216] if name == "t1" else x  # its heads fill half of the picture
    return x if x.shape[-1] == FINE else F.interpolate(x, size=FINE, mode="bilinear", antialias=True)


@lru_cache(maxsize=4)
def kind(source, task, count, seed):
    """Images that train, turned and mirrored by the seed, and others of their kind: (count and OWN, 1, 256, 256)."""
    rng = torch.Generator().manual_seed(seed)
    if source == "phantoms" and task == "organ":
        x = course.ellipses(count + OWN, FINE, seed=40_000 + seed)
        return x[OWN:], x[:OWN]
    if source == "phantoms":
        first = 200_000 + 100 * seed
        pool, own = course.phantoms(range(first, first + count), FINE), course.phantoms(range(first + 80, first + 84),
                                                                                        FINE)
    elif source == "photographs":
        parts, order = person("photographs").split(GROUPS), torch.randperm(len(GROUPS), generator=rng).tolist()
        own = torch.cat([parts[i] for i in order[:OWN]])[:OWN]
        pool = torch.cat([parts[i] for i in order[OWN:]])
    else:
        pool = torch.cat([person("t1")] + [person("spine")] * (task in ("ct", "blur")))
        own = person("abdomen")
    if source == "mixed":
        parts = [kind(one, task, count // 3, seed)[0] for one in SOURCES]
        return torch.cat(parts), own
    chosen = torch.cat([torch.randperm(len(pool), generator=rng) for _ in range(-(-count // len(pool)))])[:count]
    turned = [torch.rot90(pool[i].flip(2) if turn > 3 else pool[i], int(turn), (1, 2))
              for i, turn in zip(chosen, torch.randint(8, (count,), generator=rng))]
    return torch.stack(turned), own


def pixels(x, side=SIDE):
    return F.avg_pool2d(x, FINE // side)


def psnr(x_hat, x, where=...):
    return -10 * (x_hat - x)[where].square().mean().log10()


def tuned(solve, weights, score):
    """The solver with the weight that scores best, and the weight."""
    found = {w: score(lambda y, w=w: solve(y, w)) for w in weights}
    best = max(found, key=found.get)
    return lambda y: solve(y, best), {"penalty": best}


# tomography

@lru_cache
def scanner(views, side=SIDE):
    return course.Radon(side, torch.arange(views, dtype=torch.float64) * 180 / views)


def counted(x, views, rng, side=SIDE):
    """Line integrals from photon counts of fine images: (B, 1, views, side), attenuation × pixel."""
    through = torch.exp(-ATTENUATION * scanner(views, FINE)(x * disc(FINE)) * SIDE / FINE)
    free = through.unflatten(3, (side, FINE // side)).mean(4)  # a bin counts what comes through all of its parts
    counts = torch.poisson(PHOTONS * free, generator=rng).clamp(min=1)
    return -(counts / PHOTONS).log() * side / SIDE / ATTENUATION


@lru_cache
def norm(K):
    """The largest singular value, by the power method."""
    x = torch.ones(1, *K.image_shape)
    for _ in range(30):
        x = K.adjoint(K(x / x.norm()))
    return x.norm().sqrt()


def smooth(K, y, weight):
    """argmin ‖Kx − y‖² + weight ‖∇x‖², by 60 steps of conjugate gradients."""
    x, r = torch.zeros(len(y), *K.image_shape), K.adjoint(y)
    p, rr = r, r.square().sum((1, 2, 3), keepdim=True)
    for _ in range(60):
        q = K.adjoint(K(p)) + weight * gradient_T(gradient(p))
        alpha = rr / (p * q).sum((1, 2, 3), keepdim=True)
        x, r = x + alpha * p, r - alpha * q
        new = r.square().sum((1, 2, 3), keepdim=True)
        p, rr = r + new / rr * p, new
    return x


def classical_ct(method, K):
    """A solver of (y, weight)."""
    s = norm(K)
    return {"fbp": lambda y, weight: K.fbp(y), "tikhonov": lambda y, weight: smooth(K, y, weight),
            "tv": lambda y, weight: tv(y / s, weight / s**2, STEPS["ct"], lambda x: K(x) / s,
                                       lambda z: K.adjoint(z) / s, K.fbp(y).clamp(0, 1))}[method]


def run_ct(method, source, views, updates, seed):
    K, circle = scanner(views), disc(SIDE)
    fine, own = kind(source, "ct", PAIRS, seed)
    rng = torch.Generator().manual_seed(seed)
    y, x = counted(fine, views, rng), pixels(fine) * circle
    tests = {name: (counted(z, views, rng), pixels(z) * circle)
             for name, z in (("ct", person("ct")), ("head", person("head")[::2]), ("own", own))}

    def row(solve):
        found = {}
        for name, (y, x) in tests.items():
            x_hat = solve(y).clamp(0, 1) * circle
            found |= {f"psnr_{name}": psnr(x_hat, x), f"inside_{name}": psnr(x_hat, x, x > 0.05)}
        return found
    if method in ("fbp", "tikhonov", "tv"):
        solve, chosen = tuned(classical_ct(method, K), WEIGHTS["ct"].get(method, (0.0,)),
                              lambda f: psnr(f(y[:TUNING]).clamp(0, 1) * circle, x[:TUNING]))
        return row(solve) | chosen
    torch.manual_seed(seed)
    pairs = course.crops(K.fbp(y), x, size=64, count=512)
    network = course.UNet(2, 8)
    with torch.enable_grad():
        trained = train(network, *pairs, updates=updates, rate=3e-3, batch=8, seed=seed)
    return [row(lambda y, one=one: one(K.fbp(y))) | {"weights": course.parameter_count(one)} for one in trained]


# magnetic resonance: rows are measured in full, so each is a problem of its own after a transform of the columns

def along(transform, z):
    """An orthonormal Fourier transform of the rows, zero in the middle."""
    return torch.fft.fftshift(transform(torch.fft.ifftshift(z, dim=-1), norm="ortho"), dim=-1)


def F_1(x):
    return as_channels(along(torch.fft.fft, as_complex(x)))


def F_1T(y):
    return as_channels(along(torch.fft.ifft, as_complex(y)))


def scan(x, rng):
    """Images with a smooth phase, and all 128×128 central coefficients of fine ones, transformed back along columns."""
    at = (torch.arange(FINE) + 0.5) / FINE * 2 - 1
    q, p = torch.meshgrid(at, at, indexing="ij")
    terms = torch.stack([torch.ones_like(p), p, q, p * p, q * q, p * q])
    phase = torch.einsum("bk,khw->bhw", torch.randn(len(x), 6, generator=rng) * torch.tensor(PHASE), terms)
    z, times_finer = torch.polar(x[:, 0], phase), FINE // SIDE
    kept = slice((FINE - SIDE) // 2, (FINE + SIDE) // 2)
    omega = torch.arange(SIDE) - SIDE // 2
    middle = torch.exp(1j * torch.pi * omega * (times_finer - 1) / FINE)  # a block's middle is no fine pixel
    k = centred(torch.fft.fft2, z)[:, kept, kept] / times_finer * middle * middle[:, None]
    rows = along(torch.fft.ifft, k.mT).mT
    return as_channels(z.unflatten(2, (SIDE, -1)).unflatten(1, (SIDE, -1)).mean((2, 4))), as_channels(rows)


def drawn_mask(setting, rng):
    """Which columns are measured: bool (1, 1, 1, 128)."""
    omega = (torch.arange(SIDE) - SIDE // 2 + 0.5).abs()
    # "central" underflows and is no low pass: nothing uses it, the study real_anatomy_masks has one
    weight = {"density": omega**-2.0, "central": omega**-99.0}.get(setting, torch.ones(SIDE)).double().log()
    weight[SIDE // 2 - CENTRE // 2:SIDE // 2 + CENTRE // 2] += 1e6
    chance = 0 if setting == "central" else -(-torch.rand(SIDE, generator=rng).log()).log()
    mask = torch.zeros(SIDE, dtype=torch.bool)
    mask[(weight + chance).topk(COLUMNS).indices] = True
    return mask[None, None, None]


def measured(full, mask, noise, rng):
    """Data with noise whose norm is this share of each image's data, then the mask: (B, 3, 128, 128)."""
    y, eta = full * mask, torch.randn(full.shape, generator=rng) * mask
    size = noise * y.flatten(1).norm(dim=1) / (2 * SIDE * COLUMNS) ** 0.5
    return torch.cat([y + size.view(-1, 1, 1, 1) * eta, mask.expand_as(y[:, :1])], dim=1)


def zero_filled(y):
    return F_1T(y[:, :2])


def consistent(x, y):
    return x + F_1T(y[:, :2] - y[:, 2:] * F_1(x))


class Route(nn.Module):
    """A network on the zero-filled image, `passes` times, each time followed by the hard layer if `layer` is true."""

    def __init__(self, network, *, passes=1, layer=True):
        super().__init__()
        self.network, self.passes, self.layer = network, passes, layer

    def forward(self, y):
        x = zero_filled(y)
        for _ in range(self.passes):
            x = self.network(x)
            x = consistent(x, y) if self.layer else x
        return x


MAKE = {"unet": lambda: Route(course.UNet(2, 12, planes=2), layer=False),
        "through": lambda: Route(course.UNet(2, 12, planes=2)),
        "cascade": lambda: Route(course.CNN(4, 16, planes=2), passes=3)}


def estimated(y):
    """A phase for each pixel from the columns in the centre: complex numbers of modulus 1 as (B, 2, H, W)."""
    omega = torch.arange(SIDE) - SIDE // 2
    low = F_1T(y[:, :2] * torch.exp(-(omega / (CENTRE / 4)) ** 2 / 2))
    return low / low.norm(dim=1, keepdim=True).clamp(min=1e-6)


def tv_mri(y, weight, phase):
    """argmin ½‖MFx − y‖² + weight ‖∇(x / phase)‖₁, as in mri_phase."""
    data, mask, back = y[:, :2], y[:, 2:], phase * torch.tensor([1.0, -1.0]).view(2, 1, 1)
    x = x_bar = zero_filled(y)
    p = around(0 * x)
    for _ in range(STEPS["mri"]):
        p = p + around(times(x_bar, back)) / (8 * TAU)
        p = p / (p.square().sum((0, 2), keepdim=True).sqrt() / weight).clamp(min=1)
        x_new = F_1T((F_1(x - TAU * times(around_T(p), phase)) + TAU * data) / (1 + TAU * mask))
        x, x_bar = x_new, 2 * x_new - x
    return x


def low_pass(y, weight):
    """argmin ½‖MFx − y‖² + weight/2 ‖∂x‖² with the derivative ∂ along rows, in closed form."""
    return F_1T(y[:, :2] / (1 + weight * (2 - 2 * (2 * torch.pi * (torch.arange(SIDE) - SIDE // 2) / SIDE).cos())))


CLASSICAL_MRI = {"zero": lambda y, weight: zero_filled(y), "tikhonov": low_pass,
                 "tv": lambda y, weight: tv_mri(y, weight, torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)),
                 "tv_phase": lambda y, weight: tv_mri(y, weight, estimated(y))}


def harmed(solve, y, x):
    """How many images the hard layer harms."""
    x_hat = solve(y)
    before, after = ((z - x).flatten(1).norm(dim=1) for z in (x_hat, consistent(x_hat, y)))
    return (after > before * (1 + 1e-5)).sum()


def squares(z, x):
    """PSNR of complex images: squared errors of both parts together."""
    return -10 * (z - x).square().sum(1).mean().log10()


def run_mri(method, source, setting, updates, seed):
    fine, own = kind(source, "mri", PAIRS, seed)
    rng = torch.Generator().manual_seed(seed)
    mask = drawn_mask(setting, rng)
    harms = source == "real" and setting == "uniform"
    x, full = scan(fine, rng)
    y = measured(full, mask, NOISE, rng)
    tests = {name: scan(z, rng) for name, z in (("head", person("head")), ("abdomen", person("abdomen")), ("own", own))}
    data = {name: measured(k, mask, NOISE, rng) for name, (_, k) in tests.items()}

    def row(solve):
        found, harm = {}, {f"harmed_{end}": 0 for end in ("exact", "finer", "noise", "loud")} if harms else {}
        for name, (x, k) in tests.items():
            x_hat, z = solve(data[name]), data[name]
            layer, inside = consistent(x_hat, z), (x.norm(dim=1, keepdim=True) > 0.05).expand_as(x)
            found |= {f"psnr_{name}": squares(x_hat, x), f"layer_{name}": squares(layer, x),
                      f"inside_{name}": psnr(x_hat, x, inside) - 3.0103,
                      f"layer_inside_{name}": psnr(layer, x, inside) - 3.0103}
            if harms and name != "own":
                for end, y in (("exact", measured(F_1(x), mask, 0.0, rng)), ("finer", measured(k, mask, 0.0, rng)),
                               ("noise", z), ("loud", measured(k, mask, LOUD, rng))):
                    harm[f"harmed_{end}"] += harmed(solve, y, x)
        return found | harm
    if method in CLASSICAL_MRI:
        solve, chosen = tuned(CLASSICAL_MRI[method], WEIGHTS["mri"].get(method.removesuffix("_phase"), (0.0,)),
                              lambda f: squares(f(y[:TUNING]), x[:TUNING]))
        return row(solve) | chosen
    torch.manual_seed(seed)
    network = MAKE[method]()
    at = torch.randint(len(y), (256,)).tolist(), (torch.randint(SIDE - 31, (256,))).tolist()
    strips = [torch.stack([z[i, :, r:r + 32] for i, r in zip(*at)]) for z in (y, x)]
    with torch.enable_grad():
        trained = train(network, *strips, updates=updates, rate=2e-3, batch=4, seed=seed)
    return [row(one) | {"weights": course.parameter_count(one)} for one in trained]


# blur

def blurred(x, rng):
    y = pixels(course.blur(x, course.gaussian(BLUR * FINE / SIDE)))
    return y + SIGMA * torch.randn(y.shape, generator=rng)


def classical_blur(method, y, weight):
    def K(x):
        return course.blur(x, course.gaussian(BLUR))
    if method == "tv":
        return tv(y, weight, STEPS["blur"], K, K, y.clamp(0, 1))
    w = 2 * torch.pi * torch.fft.fftfreq(SIDE)
    k, g = torch.exp(-(BLUR * w)**2 / 2), 2 - 2 * w.cos()
    k, g = k[:, None] * k, g[:, None] + g
    return torch.fft.ifft2(torch.fft.fft2(y) * k / (k**2 + weight * g)).real


def run_blur(method, source, setting, updates, seed):
    fine, own = kind(source, "blur", PAIRS, seed)
    rng = torch.Generator().manual_seed(seed)
    y, x = blurred(fine, rng), pixels(fine)
    tests = {name: (blurred(z, rng), pixels(z))
             for name, z in (("ct", person("ct")), ("head", person("head")), ("own", own))}

    def row(solve):
        return {f"{metric}_{name}": error for name, (z, x) in tests.items()
                for metric, error in errors(solve(z), x).items() if metric != "rmse_blocks"}
    if method in ("nothing", "linear"):
        return row((lambda z: linear(y, x, z, 17)[0]) if method == "linear" else (lambda z: z))
    if method in ("tikhonov", "tv"):
        solve, chosen = tuned(lambda z, w: classical_blur(method, z, w), WEIGHTS["blur"][method],
                              lambda f: psnr(f(y[:TUNING]), x[:TUNING]))
        return row(solve) | chosen
    torch.manual_seed(seed)
    pairs = course.crops(y, x, size=32, count=512)
    if method.startswith("levels"):
        network = course.UNet(int(method[6]), skips="skips" in method, residual="shortcut" in method)
    else:
        form, activation = method.split("_")
        network = Form(form, {"relu": 0.0, "leaky": 0.1}[activation])
    with torch.enable_grad():
        trained = train(network, *pairs, updates=updates, rate=setting, batch=4, seed=seed)
    return [row(one) | {"weights": course.parameter_count(one)} for one in trained]


# an organ that all training images have

def spot(radius, row, column, side):
    """A disc with soft edge, in units of pixels of the image: (1, 1, side, side)."""
    at = (torch.arange(side) + 0.5) * SIDE / side
    distance = torch.hypot(at[:, None] - row, at - column)
    return ((radius - distance) * side / SIDE + 0.5).clamp(0, 1)[None, None]


def contrast_at(x):
    """Mean over a disc less the mean over a ring around it: (B,)."""
    radius, *centre = ORGAN
    core, inner, outer = (spot(radius + more, *centre, x.shape[-1]) for more in (-1, 2, 6))
    return ((core / core.sum() - (outer - inner) / (outer - inner).sum()) * x).sum((1, 2, 3))


def run_organ(method, source, views, side, updates, seed):
    K, circle = scanner(views, side), disc(side)
    rng = torch.Generator().manual_seed(seed)
    organ = CONTRAST * spot(*ORGAN, FINE)
    fine, own = kind(source, "organ", BODIES, seed)
    fine, without = fine + organ, own if source == "phantoms" else person("head")
    y, x = counted(fine, views, rng, side), pixels(fine, side) * circle
    z, z_with = (counted(one, views, rng, side) for one in (without, without + organ))
    x_without, x_with = (pixels(one, side) * circle for one in (without, without + organ))
    true, size = contrast_at(x_without), contrast_at(pixels(organ, side))

    def row(solve):
        x_hat, with_it = solve(z) * circle, solve(z_with) * circle
        return {"drawn": ((contrast_at(x_hat) - true) / size).mean(),
                "kept": ((contrast_at(with_it) - true) / size).mean(),
                "psnr_without": psnr(x_hat, x_without), "psnr_with": psnr(with_it, x_with)}

    def best(method):
        return tuned(classical_ct(method, K), WEIGHTS["organ"].get(method, (0.0,)),
                     lambda f: psnr(f(y[:4 * TUNING]) * circle, x[:4 * TUNING]))
    if method != "unet":
        solve, chosen = best(method)
        return row(solve) | chosen
    first, _ = best("tikhonov")
    torch.manual_seed(seed)
    network = course.UNet(3, 8)
    with torch.enable_grad():
        trained = train(network, first(y), x, updates=updates, rate=2e-3, batch=8 if side < SIDE else 2, seed=seed)
    return [row(lambda y, one=one: one(first(y))) | {"weights": course.parameter_count(one)} for one in trained]


@torch.no_grad()
def run(*, task, method, source, setting, updates, seed):
    if task == "ct":
        return run_ct(method, source, int(setting.split("_")[0]), updates, seed)
    if task == "organ":
        views, _, side = setting.split("_")
        return run_organ(method, source, int(views), int(side), updates, seed)
    return {"mri": run_mri, "blur": run_blur}[task](method, source, setting, updates, seed)
