"""How much can a small perturbation of the data change a reconstruction, in the body and in the air around it?

Computed tomography of 8 noisy views, images of 32 pixels; bodies are drawn at four times the side and projected there.
All bodies have one organ, a small disc in one place; they are even, or have a smooth texture. The attack looks for the
perturbation of a given share of the data's norm that changes the image most: it starts at three random ones, goes 20
times to the gradient's direction, and the best of all is kept, patient by patient. It searches and measures inside the
body, or in the whole field. `longer` searches 100 times; `random` is noise of the same norm. Methods: filtered back-
projection, Tikhonov with a tuned and with a weak penalty, total variation (searched through 60 steps of its iteration,
measured through 400), the exact mean for a Gaussian prior from 2000 bodies; a UNet behind either Tikhonov, an
unrolled network. `_chest` are patients of another kind, chest slices; `chest_unet` trains on such. Nothing is cut to
[0, 1]. PSNR pools the squared errors of all patients. Weights of penalties are tuned on 24 other bodies. A training
spends the last eighth of its updates at a tenth of its learning rate. Bodies, noise, weights, batches come from the
seed, those of the test too.

Not covered: other attacks than gradient steps, large networks, training against attacks, sizes, views and noise other
than these, real data.
"""
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import nn

import course
from studies.engine import grid
from studies.learned_versus_tv import gradient, gradient_T
from studies.unet_versus_cnn import train

SEEDS = 10
FIGURE = {"metric": "worst", "lines": "method", "panels": "bodies"}
SIDE, FINE = 32, 4         # pixels, side of the images; how many times finer the bodies are drawn
VIEWS = 8
SIGMA = 0.1                # noise of a line integral, attenuation × pixel: 1.4 % of the data
ORGAN, CONTRAST = (1.5, 12, 20), 0.5  # radius, row, column (pixels); grey levels
TEXTURE, GRAIN = 0.25, 5   # relative standard deviation of the texture, its smoothness in fine pixels
PAIRS, PRIOR = 400, 2000   # bodies for training; for mean and covariance of the prior
TEST, ATTACKED, TUNING = 48, 12, 24  # bodies
WEAK = 0.01
WEIGHTS = {"tikhonov": (0.1, 0.3, 1.0, 3.0, 10.0), "tv": (0.05, 0.1, 0.2, 0.4, 0.8)}
TV_STEPS, TV_SEARCH = 400, 60
BUDGETS = {"": 0.01, "_small": 0.003, "_large": 0.03}  # of the data's norm
SEARCH, LONGER, STARTS = 20, 100, 3
BATCH, RATE = 8, 2e-3
UPDATES = 160, 1440
GRID = (grid(bodies=["even", "textured"], method=["fbp", "tikhonov", "weak", "tv", "gauss"], updates=[0])
        + grid(bodies=["even"], method=["unet"], updates=[UPDATES])
        + grid(bodies=["even"], method=["weak_unet", "unrolled", "chest_unet"], updates=[UPDATES[:1]])
        + grid(bodies=["textured"], method=["unet"], updates=[UPDATES[:1]]))


def disc(radius, row, column, fine=1):
    """A disc with soft edge on a grid that is `fine` times finer: (1, 1, SIDE fine, SIDE fine)."""
    at = torch.arange(SIDE * fine) + 0.5
    distance = torch.hypot(at[:, None] - row * fine, at - column * fine)
    return (radius * fine - distance + 0.5).clamp(0, 1)[None, None]


CIRCLE = (disc(SIDE / 2, SIDE / 2, SIDE / 2) > 0).float()


def drawn(count, bodies, seed):
    """Bodies without the organ on the fine grid: (count, 1, 128, 128)."""
    side = FINE * SIDE
    if bodies == "chest":
        first = 100_000 + 500 * seed
        return course.phantoms(range(first, first + count), side) * (disc(SIDE / 2, SIDE / 2, SIDE / 2, FINE) > 0)
    x = course.ellipses(count, side, seed=seed)
    if bodies == "textured":
        rng = torch.Generator().manual_seed(seed)
        f = torch.fft.fftfreq(side)
        window = torch.exp(-2 * (torch.pi * GRAIN)**2 * (f[:, None]**2 + f[:side // 2 + 1]**2))
        for image in x:
            field = torch.fft.irfft2(torch.fft.rfft2(torch.randn(side, side, generator=rng)) * window, s=(side, side))
            image *= 1 + TEXTURE * field / field.std()
        x = x.clamp(0, 1)
    return x


def contrast_at(x, place=ORGAN):
    """Mean over a disc less the mean over a ring around it: (B,)."""
    radius, *centre = place
    core, ring = disc(radius - 0.5, *centre), disc(radius + 2.5, *centre) - disc(radius + 1, *centre)
    return ((core / core.sum() - ring / ring.sum()) * x).sum((1, 2, 3))


def organ(contrast=CONTRAST):
    return contrast * disc(*ORGAN, FINE)


@lru_cache
def scanner(views=VIEWS, fine=1):
    return course.Radon(fine * SIDE, torch.arange(views, dtype=torch.float64) * 180 / views)


@lru_cache
def matrix(views=VIEWS):
    """The operator without the pixels that lie outside the circle: (m, n), double precision."""
    return scanner(views).matrix() * CIRCLE.flatten()


def measured(x, seed, views=VIEWS, noise=SIGMA):
    """Noisy data of bodies on the fine grid: (B, 1, views, SIDE)."""
    y = (scanner(views, FINE)(x) / FINE).unflatten(3, (SIDE, FINE)).mean(4)
    return y + noise * torch.randn(y.shape, generator=torch.Generator().manual_seed(seed))


def pixels(x):
    return F.avg_pool2d(x, FINE)


def linear(R):
    """The map y -> R y with R (n, m), on batches."""
    R = R.T.float()
    return lambda y: (y.flatten(1) @ R).view(-1, 1, SIDE, SIDE)


@lru_cache
def tikhonov(weight, views=VIEWS):
    A = matrix(views)
    return linear(torch.linalg.solve(A @ A.T + weight * torch.eye(len(A), dtype=A.dtype), A).T)


def fbp(views=VIEWS):
    return lambda y: scanner(views).fbp(y) * CIRCLE


def tv(weight, steps, views=VIEWS):
    """Total variation by Chambolle and Pock's iteration from filtered back-projection, differentiable."""
    A = matrix(views).float()
    s = torch.linalg.matrix_norm(A, 2)
    A, first = A / s, fbp(views)

    def solve(y):
        data = y.flatten(1) / s
        x = first(y).clamp(0, 1)
        x_bar, q, p = x, torch.zeros_like(data), torch.zeros(2, *x.shape)
        for _ in range(steps):  # step sizes 1 and 1/9, as in learned_versus_tv
            q = (q + (x_bar.flatten(1) @ A.T - data) / 9) / (1 + 1 / 9)
            p = p + gradient(x_bar) / 9
            p = p / ((p.square().sum(0) + 1e-12).sqrt() / (weight / s**2)).clamp(min=1)
            x_new = (x - (q @ A).view(x.shape) - gradient_T(p)).clamp(0, 1)
            x, x_bar = x_new, 2 * x_new - x
        return x
    return solve


@lru_cache(maxsize=2)
def prior(bodies, seed):
    """Mean (n,) and covariance (n, n) of bodies without the organ, double precision; the first ones train networks."""
    x = pixels(drawn(PRIOR, bodies, 10_000 + seed)).flatten(1).double()
    return x.mean(0), x.T.cov()


class Gaussian:
    """The exact posterior mean of a Gaussian prior (mean, covariance): gain and data's covariance, too."""

    def __init__(self, mean, covariance, views=VIEWS):
        self.mean, A = mean, scanner(views).matrix()
        cross = A @ covariance
        self.data = cross @ A.T + SIGMA**2 * torch.eye(len(A), dtype=A.dtype)
        self.gain = torch.linalg.solve(self.data, cross).T  # (n, m)
        self.offset = (mean - self.gain @ (A @ mean)).float()
        self.map = linear(self.gain)

    def __call__(self, y):
        return self.map(y) + self.offset.view(1, 1, SIDE, SIDE)


class Route(nn.Module):
    """A linear first image, then a network; or `passes` times a step on the data and the network."""

    def __init__(self, first, network, passes=0, views=VIEWS):
        super().__init__()
        self.network, self.passes = network, passes
        self.first = [first]  # not kept as a part: it has no weights
        self.A = matrix(views).float()
        self.step = 1 / torch.linalg.matrix_norm(self.A, 2).item()**2

    def forward(self, y):
        x = self.first[0](y)
        for _ in range(self.passes):
            misfit = x.flatten(1) @ self.A.T - y.flatten(1)
            x = self.network(x - self.step * (misfit @ self.A).view(x.shape))
        return x if self.passes else self.network(x)


def psnr(x_hat, x, where=...):
    return course.psnr(x_hat[where], x[where], together=True)


def sizes(z):
    """One norm for each image, ready for broadcasting: (B, 1, 1, 1)."""
    return z.flatten(1).norm(dim=1).view(-1, 1, 1, 1)


def searched(f, y, part, budget, steps):
    """Random perturbations of norm budget ‖y‖, three for each patient, and the one found that changes f(y) most."""
    rng = torch.Generator().manual_seed(0)
    y3, part3, size = y.repeat(STARTS, 1, 1, 1), part.repeat(STARTS, 1, 1, 1), budget * sizes(y).repeat(STARTS, 1, 1, 1)
    d = torch.randn(y3.shape, generator=rng)
    d = random = size * d / sizes(d)
    with torch.no_grad():
        x_hat = f(y3)
    best, most = d, torch.full((len(y3),), -1.0)
    for _ in range(steps + 1):
        d = d.detach().requires_grad_(True)
        with torch.enable_grad():
            change = ((f(y3 + d) - x_hat) * part3).square().sum((1, 2, 3))
            slope, = torch.autograd.grad(change.sum(), d)
        better = change > most
        best, most = torch.where(better.view(-1, 1, 1, 1), d.detach(), best), torch.where(better, change.detach(), most)
        d = size * slope / sizes(slope).clamp(min=1e-30)
    chosen = most.view(STARTS, -1).argmax(0)
    return random, best.view(STARTS, *y.shape)[chosen, torch.arange(len(y))]


def harm(f, y, d, x, part):
    """Relative change of the image in a part, mean over patients; PSNR there that is lost, of all together (dB)."""
    calm, hurt, x = (z * part for z in (f(y), f(y + d), x))
    change = (sizes(hurt - calm) / sizes(calm)).mean()
    return change, 20 * ((hurt - x).norm() / (calm - x).norm()).log10()


@lru_cache(maxsize=2)
def strangers(seed):
    """Data and images of chests."""
    x = drawn(TUNING, "chest", seed)
    return measured(x, 20_000 + seed), pixels(x)


def judge(f, bodies, seed, search=None, longer=0):
    """The row of a method; the perturbation is searched on `search`, where that is another map."""
    x_fine = drawn(TEST, bodies, 20_000 + seed) + organ()
    x, y, search = pixels(x_fine), measured(x_fine, 20_000 + seed), search or f
    y_chest, x_chest = strangers(seed)
    inside, inside_chest = x > 0.05, x_chest > 0.05
    row = {"psnr": psnr(f(y), x), "psnr_inside": psnr(f(y), x, inside),
           "psnr_chest": psnr(f(y_chest), x_chest), "psnr_chest_inside": psnr(f(y_chest), x_chest, inside_chest)}
    x, y = x[:ATTACKED], y[:ATTACKED]
    body, field = inside[:ATTACKED].float(), torch.ones_like(x)
    for name, budget in BUDGETS.items():
        random, worst = searched(search, y, body, budget, SEARCH)
        row[f"worst{name}"], row[f"lost{name}"] = harm(f, y, worst, x, body)
        at_random = [harm(f, y, d, x, body) for d in random.split(len(y))]
        row[f"random{name}"], row[f"lost_random{name}"] = torch.tensor(at_random).mean(0)
    random, worst = searched(search, y, field, BUDGETS[""], SEARCH)
    row["worst_field"], row["lost_field"] = harm(f, y, worst, x, field)
    row["random_field"] = harm(f, y, random[:len(y)], x, field)[0]
    change = f(y + worst) - f(y)
    row["air"] = 1 - (change * body).square().sum() / change.square().sum()
    if longer:
        row["worst_longer"], row["lost_longer"] = harm(f, y, searched(search, y, body, BUDGETS[""], longer)[1], x, body)
    return row


def best(candidates, bodies, seed, views=VIEWS):
    """The weight of {weight: reconstruct} that is best on the bodies for tuning."""
    x = drawn(TUNING, bodies, 30_000 + seed) + organ()
    y = measured(x, 30_000 + seed, views)
    found = {weight: psnr(f(y), pixels(x)) for weight, f in candidates.items()}
    return max(found, key=found.get)


@lru_cache
def penalty(method, bodies, seed, views=VIEWS):
    make = {"tikhonov": tikhonov, "tv": lambda w, views: tv(w, TV_STEPS, views)}[method]
    return best({w: make(w, views) for w in WEIGHTS[method]}, bodies, seed, views)


@torch.no_grad()
def run(*, bodies, method, updates, seed):
    if method == "tv":
        weight = penalty("tv", bodies, seed)
        return judge(tv(weight, TV_STEPS), bodies, seed, tv(weight, TV_SEARCH)) | {"penalty": weight}
    if method in ("fbp", "weak", "gauss"):
        f = {"fbp": fbp, "weak": lambda: tikhonov(WEAK), "gauss": lambda: Gaussian(
            prior(bodies, seed)[0] + pixels(organ()).flatten().double(), prior(bodies, seed)[1])}[method]()
        return judge(f, bodies, seed, longer=LONGER)
    weight = WEAK if method.startswith("weak") else penalty("tikhonov", bodies, seed)
    first = tikhonov(weight)
    if method == "tikhonov":
        return judge(first, bodies, seed) | {"penalty": weight}
    chest = method == "chest_unet"
    x = drawn(PAIRS, "chest", 1000 + seed) if chest else drawn(PAIRS, bodies, 10_000 + seed) + organ()
    y = measured(x, 10_000 + seed)
    torch.manual_seed(seed)
    model = Route(first, course.CNN(4, 8), 2) if method == "unrolled" else Route(first, course.UNet(3, 8))
    with torch.enable_grad():
        trained = train(model, y, pixels(x), updates=updates, rate=RATE, batch=BATCH, seed=seed)
    longer = LONGER if method == "unet" else 0
    return [judge(one, bodies, seed, longer=longer)
            | {"psnr_train": psnr(one(y[:TEST]), pixels(x[:TEST])), "weights": course.parameter_count(one)}
            for one in trained]
