"""What do plug-and-play and Langevin samples make of bodies, where no posterior is known exactly?

Drawn bodies of ellipses, even or textured, of 160 pixels, projected there and averaged to detector bins of 5 pixels;
the images have 32×32 pixels. All training bodies have a small bright organ at one place. Data of 3 or 8 views have 2 %
of noise. Filtered back-projection, Tikhonov and total variation stand beside a UNet behind back-projection, which is
trained for each number of views, and beside plug-and-play by ADMM and annealed Langevin samples, which share one
denoiser for all views. `updates` are those of the UNet or of the denoiser. Weights of penalties and the noise level of
ADMM are tuned on training bodies. The samplers take for the noise what the training bodies miss the operator's data by.
`rmse` is counted inside the body, `moved` is the relative change there for random noise of 1 % of the data. `drawn` is
the contrast drawn for patients without the organ, `kept` that for patients with it, as shares of the organ's;
`shown_absent` and `shown_present` count the images (of Langevin the samples) with more than half of it. `cover` is the
share of pixels in the samples' central intervals. Bodies, noise, weights and samples come from the seed.

Not covered: other operators, larger images, larger networks, trainings beyond 4800 updates, searched perturbations.
"""
from functools import lru_cache

import torch
import torch.nn.functional as F

import course
from studies.ct_routes import drawn, norm, tikhonov_map
from studies.engine import grid
from studies.learned_versus_tv import tv
from studies.posterior_exact import CENTRAL, Data, Denoiser, admm, contrast, disc, langevin, learn, scanner
from studies.unet_versus_cnn import train

SEEDS = 10
FIGURE = {"lines": "method", "panels": "bodies", "where": {"views": [8]}}
SIDE, FINE = 32, 5         # pixels, side of the images; how many times finer the bodies are drawn
SHARE = 0.02               # noise, as a share of the data's norm
ORGAN, CONTRAST = (1.5, 12, 20), 0.4  # radius, row, column in pixels; grey levels
BODIES, TUNING, TEST = 600, 12, 24  # training, tuning, test
PATIENTS, CHAINS = 10, 10  # test patients of the sampler, samples of each
LEARN_BATCH = 16           # of the denoiser
BATCH, RATE = 8, 3e-3      # of the UNet
ADMM_STEPS, STEPS, LOW, TAU = 60, 150, 0.02, 1.0
TV_STEPS = 300
CHOICES = {"fbp": (0.0,), "tikhonov": (0.1, 0.3, 1.0, 3.0, 10.0, 30.0), "tv": (0.03, 0.06, 0.12, 0.25, 0.5),
           "admm": (0.01, 0.03, 0.1)}
CLASSICAL = {"method": ["fbp", "tikhonov", "tv"], "updates": [0]}
LEARNED = {"method": ["unet", "admm", "langevin"]}
GRID = (grid(bodies=["even"], views=[3, 8], **CLASSICAL) + grid(bodies=["textured"], views=[8], **CLASSICAL)
        + grid(bodies=["even"], views=[3], **LEARNED, updates=[300, 1200])
        + grid(bodies=["even", "textured"], views=[8], **LEARNED, updates=[1200])
        + grid(bodies=["even"], views=[3], method=["unet", "admm"], updates=[4800]))
KEEP = {name: {"bodies": "even", "views": 3, "method": method, "updates": 1200, "seed": 0}
        for name, method in (("bodies_denoiser", "admm"), ("bodies_unet", "unet"))}


@lru_cache(maxsize=4)
def fine(bodies, count, seed):
    return drawn(count, bodies, seed)


@lru_cache(maxsize=8)
def scene(views):
    """The operator of the images and that of the drawn bodies."""
    return scanner(SIDE, views), scanner(FINE * SIDE, views)


def data_of(x, views, seed):
    """Noisy data (B, 1, views, SIDE) of drawn bodies, and their images."""
    y = scene(views)[1](x).unflatten(3, (SIDE, FINE)).mean(4) / FINE
    noise = torch.randn(y.shape, generator=torch.Generator().manual_seed(seed))
    return y + SHARE * y.square().mean().sqrt() * noise, F.avg_pool2d(x, FINE)


def organ(side):
    return CONTRAST * disc(side, *(side // SIDE * v for v in ORGAN))


@lru_cache(maxsize=4)
def pairs(bodies, views, seed):
    return data_of((fine(bodies, BODIES, 100_000 + seed) + organ(FINE * SIDE)).clamp(0, 1), views, seed)


def untrained(*, bodies, views, method, updates, seed):
    torch.manual_seed(seed)
    return course.UNet(3, 8) if method == "unet" else Denoiser(3, 8)


@lru_cache(maxsize=4)
def denoiser(bodies, updates, seed):
    x = pairs(bodies, 8, seed)[1]
    network = untrained(bodies=bodies, views=8, method="admm", updates=updates, seed=seed)
    learn(network, lambda count: x[torch.randint(len(x), (count,))], updates, LEARN_BATCH, seed)
    return network.eval()


def trained(*, bodies, views, method, updates, seed):
    if method != "unet":
        return denoiser(bodies, updates, seed)
    y, x = pairs(bodies, views, seed)
    network = untrained(bodies=bodies, views=views, method=method, updates=updates, seed=seed)
    return train(network, scene(views)[0].fbp(y), x, updates=(updates,), rate=RATE, batch=BATCH, seed=seed)[0]


def misfit(bodies, views, seed):
    """By how much the training images miss their data: noise and the coarse grid together."""
    y, x = pairs(bodies, views, seed)
    return (scene(views)[0](x) - y).square().mean().sqrt()


def reconstruct(method, bodies, views, seed, choice, denoise):
    """A function from data to images."""
    K = scene(views)[0]
    if method == "tikhonov":
        R = tikhonov_map(K, choice).float()
        return lambda y: (y.flatten(1) @ R.T).view(-1, 1, SIDE, SIDE)
    if method == "tv":
        s = norm(K)
        return lambda y: tv(y / s, choice / s**2, TV_STEPS, lambda x: K(x) / s, lambda z: K.adjoint(z) / s,
                            K.fbp(y).clamp(0, 1))
    if method == "admm":
        data = Data(K, misfit(bodies, views, seed))
        return lambda y: admm(denoise, data, y, torch.tensor(choice), ADMM_STEPS)
    return K.fbp


def tuned(method, bodies, views, seed, denoise=None):
    """A function from data to images, with the choice that is best on training bodies; the choice."""
    y, x = (z[:TUNING] for z in pairs(bodies, views, seed))
    found = {c: course.rmse(reconstruct(method, bodies, views, seed, c, denoise)(y), x, together=True)
             for c in CHOICES[method]}
    choice = min(found, key=found.get)
    return reconstruct(method, bodies, views, seed, choice, denoise), choice


def inside(x_hat, x):
    return (x_hat.clamp(0, 1) - x)[x > 0.05].square().mean().sqrt()


def shift(y, seed):
    """Random noise of 1 % of the norm of each measurement."""
    d = torch.randn(y.shape, generator=torch.Generator().manual_seed(seed))
    return 0.01 * d * (y.flatten(1).norm(dim=1) / d.flatten(1).norm(dim=1)).view(-1, 1, 1, 1)


def moved(f, y, x):
    before, after = f(y), f(y + shift(y, 5))
    return (after - before)[x > 0.05].norm() / before[x > 0.05].norm()


@lru_cache(maxsize=4)
def tests(bodies, views, seed, count):
    """(data, images) of test patients with the organ, and of the same patients without it."""
    x = fine(bodies, TEST, 200_000 + seed)[:count]
    return [data_of((x + o).clamp(0, 1), views, 300_000 + seed) for o in (organ(FINE * SIDE), 0)]


def organs(with_it, without):
    """What images of patients with the organ and without it show at its place, as shares of the organ's contrast."""
    whole = contrast(organ(SIDE), ORGAN)
    kept, drawn_there = contrast(with_it, ORGAN) / whole, contrast(without, ORGAN) / whole
    return {"kept": kept.mean(), "drawn": drawn_there.mean(), "shown_present": (kept > 0.5).float().mean(),
            "shown_absent": (drawn_there > 0.5).float().mean()}


@torch.no_grad()
def judge(f, bodies, views, seed):
    (y, x), (y_without, x_without) = tests(bodies, views, seed, TEST)
    K, x_hat = scene(views)[0], f(y).clamp(0, 1)
    return {"rmse": inside(x_hat, x), "rmse_few": inside(x_hat[:PATIENTS], x[:PATIENTS]),
            "rmse_all": course.rmse(x_hat, x, together=True), "residual": (K(x_hat) - y).norm() / (K(x) - y).norm(),
            "moved": moved(f, y, x)} | organs(x_hat, f(y_without))


def sampled(denoise, bodies, views, seed):
    """The row of the sampler: its mean as an image, its samples, its intervals."""
    (y, x), (y_without, x_without) = tests(bodies, views, seed, PATIENTS)
    K = scene(views)[0]
    data = Data(K, misfit(bodies, views, seed))

    def draw(y):
        z = langevin(denoise, data, y.repeat_interleave(CHAINS, 0), steps=STEPS, tau=TAU, low=LOW, seed=400_000 + seed)
        return z.view(-1, CHAINS, 1, SIDE, SIDE)
    z, z_without = draw(y), draw(y_without)
    mean, sd, body = z.mean(1), z.std(1), x > 0.05
    off = ((mean - x).abs() / sd / (1 + 1 / CHAINS)**0.5)[body]
    all_x = x[:, None].expand_as(z)
    floor = (K(x) - y).norm()
    return {"rmse": inside(mean, x), "rmse_few": inside(mean, x), "rmse_all": course.rmse(mean, x, together=True),
            "residual": (K(mean) - y).norm() / floor, "moved": moved(lambda y: draw(y).mean(1), y[:4], x[:4]),
            "rmse_sample": inside(z.flatten(0, 1), all_x.flatten(0, 1)), "sd": sd[body].square().mean().sqrt(),
            "residual_sample": (K(z.flatten(0, 1)) - y.repeat_interleave(CHAINS, 0)).norm() / floor / CHAINS**0.5,
            } | organs(z.flatten(0, 1), z_without.flatten(0, 1)) | {
            f"cover_{p}": (off < CENTRAL[p]).float().mean() for p in CENTRAL}


def measured(network, *, bodies, views, method, updates, seed):
    if method == "langevin":
        return sampled(network, bodies, views, seed)
    if method == "admm":
        f, choice = tuned(method, bodies, views, seed, network)
        return judge(f, bodies, views, seed) | {"choice": choice}
    return judge(lambda y: network(scene(views)[0].fbp(y)), bodies, views, seed) | {
        "weights": course.parameter_count(network)}


def run(*, bodies, views, method, updates, seed):
    torch.manual_seed(seed)
    if method in CLASSICAL["method"]:
        f, choice = tuned(method, bodies, views, seed)
        return judge(f, bodies, views, seed) | {"choice": choice}
    arguments = {"bodies": bodies, "views": views, "method": method, "updates": updates, "seed": seed}
    return measured(trained(**arguments), **arguments)
