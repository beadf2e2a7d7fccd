"""How near do ensembles, plug-and-play iterations and Langevin samples come to a posterior that is known exactly?

Patients are draws from a Gaussian of 16×16 pixels, with mean and covariance of 4000 drawn bodies of ellipses,
all with a small bright organ at one place, and a fine grain. Data are 3 views of a CT with 2 % of noise, and the
posterior is known in closed form. The rows: filtered back-projection, Tikhonov with a tuned weight, the exact mean and
exact samples; five UNets trained with the squared error (`ensemble`), the same with a conformal interval, and five with
a variance head and the Gaussian likelihood; plug-and-play (`pgd`, proximal gradient; `admm`) and annealed Langevin
sampling, with the denoiser in closed form and with one that learned for `updates` updates. `level` is the noise level
of the denoiser, of Langevin the last one; `tau` its step size. `to_mean` is the distance to the exact mean, `sd_error`
and `sd_share` compare the map of standard deviations with the exact one, `cover` is the share of pixels in central
intervals of 50, 80 and 95 %, for patients of the training's kind and for those who vary 1.5 times as much (`_varied`).
`organ` is the contrast drawn for patients who lack the organ, as a share of its contrast; `organ_cover` says how often
the contrast's interval of 95 % contains the truth. Patients, noise, weights and samples come from the seed.

Not covered: other operators, priors that are no Gaussians, data of another grid than the operator's, learning rates
other than 3e-3, networks of other sizes, trainings beyond 2400 updates.
"""
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import nn

import course
from studies.engine import grid

SEEDS = 10
FIGURE = {"metric": "to_mean", "lines": ["method", "denoiser"], "panels": "level",
          "where": {"method": ["admm", "pgd"], "steps": [100, 400]}}
SIDE, VIEWS = 16, 3        # pixels; equispaced angles
SHARE = 0.02               # noise, as a share of the data's norm
BODIES = 4000              # from which the Gaussian is made
GRAIN = 0.01               # standard deviation of a grain that every pixel has
ORGAN, CONTRAST = (1.5, 6, 9), 0.4  # radius, row, column in pixels; grey levels
TEST, TUNING, CALIBRATION = 200, 50, 200  # patients
FEW = 40                   # test patients of the iterations
PATIENTS, CHAINS = 8, 32   # test patients of the samplers, samples of each
VARIED = 1.5
PAIRS, MEMBERS, BATCH, RATE = 2000, 5, 16, 3e-3
LEARN_BATCH = 32
CHANNELS = 12              # of the denoiser; the ensembles have 8
SPREAD = 0.3               # typical grey level, for the scales in the denoiser
NOISES = 0.01, 1.0         # range of the denoiser's noise levels
LOW, TAU, STEPS = 0.015, 1.0, 200  # the sampler's last noise level, step size and steps, where they are not varied
CENTRAL = {50: 0.6745, 80: 1.2816, 95: 1.96}  # half widths of a Gaussian's central intervals, in standard deviations
WEIGHTS = tuple(10.0**k for k in range(-4, 3))  # of Tikhonov's method
PGD_STEPS, ADMM_STEPS = 400, 100
LEARNED = {"denoiser": ["learned"], "updates": [300, 2400]}
EXACT = {"denoiser": ["exact"], "updates": [0]}
GRID = (grid(method=["fbp", "tikhonov", "mean", "samples"], denoiser=["none"], updates=[0], steps=[0], level=[0.0],
             tau=[0.0])
        + grid(method=[("conformal", "ensemble")], denoiser=["none"], updates=[600], steps=[0], level=[0.0], tau=[0.0])
        + grid(method=["heads"], denoiser=["none"], updates=[600], steps=[0], level=[0.0], tau=[0.0])
        + grid(method=["pgd"], **EXACT, steps=[PGD_STEPS], level=[0.01, 0.03, 0.1], tau=[0.0])
        + grid(method=["pgd"], **EXACT, steps=[5 * PGD_STEPS], level=[0.01], tau=[0.0])
        + grid(method=["admm"], **EXACT, steps=[ADMM_STEPS], level=[0.01, 0.03, 0.1], tau=[0.0])
        + grid(method=["langevin"], **EXACT, steps=[50, 200, 800], level=[LOW], tau=[TAU])
        + grid(method=["langevin"], **EXACT, steps=[STEPS], level=[0.06, 0.03, 0.0075], tau=[TAU])
        + grid(method=["langevin"], **EXACT, steps=[STEPS], level=[LOW], tau=[0.25, 1.75])
        + grid(method=["langevin"], **EXACT, steps=[800], level=[0.004], tau=[TAU])
        + grid(method=["pgd"], **LEARNED, steps=[PGD_STEPS], level=[0.01, 0.03, 0.1], tau=[0.0])
        + grid(method=["admm"], **LEARNED, steps=[ADMM_STEPS], level=[0.01, 0.03, 0.1], tau=[0.0])
        + grid(method=["langevin"], **LEARNED, steps=[STEPS], level=[LOW], tau=[TAU])
        + grid(method=["langevin"], denoiser=["learned"], updates=[2400], steps=[50], level=[LOW], tau=[TAU])
        + grid(method=["langevin"], denoiser=["learned"], updates=[2400], steps=[STEPS], level=[0.06], tau=[TAU]))


def disc(side, radius, row, column):
    """A disc with soft edge: (1, 1, side, side), 1 inside."""
    at = torch.arange(side) + 0.5
    distance = torch.hypot(at[:, None] - row, at - column)
    return (radius - distance + 0.5).clamp(0, 1)[None, None]


def scanner(side, views):
    return course.Radon(side, torch.arange(views, dtype=torch.float64) * 180 / views)


class Denoiser(nn.Module):
    """The mean of the clean images, given one with white noise of standard deviation sigma: (B, 1, H, W), (B,)."""

    def __init__(self, levels, channels):
        super().__init__()
        self.network = course.UNet(levels, channels, residual=False, planes=2)

    def forward(self, z, sigma):
        sigma = torch.as_tensor(sigma, dtype=z.dtype).view(-1, 1, 1, 1)
        size = (SPREAD**2 + sigma**2).sqrt()
        inputs = torch.cat([z / size, (sigma.log() / 4).expand_as(z)], dim=1)
        return z * (SPREAD / size)**2 + sigma * SPREAD / size * self.network(inputs)[:, :1]


def learn(denoiser, draw, updates, batch, seed):
    """Train with fresh noise of all levels; the learning rate falls to zero. Returns the loss of each update."""
    torch.manual_seed(seed)
    optimiser = torch.optim.Adam(denoiser.parameters(), lr=RATE, fused=True)
    losses = []
    for step in range(updates):
        x = draw(batch)
        sigma = NOISES[0] * (NOISES[1] / NOISES[0]) ** torch.rand(batch, 1, 1, 1)
        weight = (SPREAD**2 + sigma**2) / (SPREAD * sigma)**2
        loss = (weight * (denoiser(x + sigma * torch.randn_like(x), sigma) - x).square()).mean()
        optimiser.param_groups[0]["lr"] = RATE * (1 - step / updates)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.detach())
    return torch.stack(losses)


class Data:
    """What the data y say of an image, with noise of standard deviation s: by the singular values of K."""

    def __init__(self, K, s):
        U, values, V = K.svd
        self.K, self.s, self.U, self.values, self.V = K, s, U.float(), values.float(), V.float()

    def put_back(self, d, y, sigma):
        """The image with the least |x − d|² / sigma² + |K x − y|² / s²."""
        seen = (self.values / self.s)**2 + 1 / sigma**2
        d, y = d.flatten(1), y.flatten(1)
        at = d @ self.V
        new = (at / sigma**2 + self.values / self.s**2 * (y @ self.U)) / seen
        return (d + (new - at) @ self.V.T).view(-1, *self.K.image_shape)

    def noise(self, count, sigma, generator):
        """White noise of standard deviation sigma, less where the data are sure: (count, 1, H, W)."""
        z = torch.randn(count, len(self.V), generator=generator)
        root = ((self.values / self.s)**2 + 1 / sigma**2).rsqrt()
        return (sigma * z + (z @ self.V * (root - sigma)) @ self.V.T).view(-1, *self.K.image_shape)


@torch.no_grad()
def langevin(denoise, data, y, *, steps, tau, low, seed, high=1.0):
    """One sample for each y, by annealed Langevin steps from the noise level `high` to `low`."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.zeros(len(y), *data.K.image_shape)
    for sigma in torch.logspace(torch.tensor(high).log10(), torch.tensor(low).log10(), steps):
        drift = data.put_back(denoise(x, sigma), y, sigma) - x
        x = x + tau / 2 * drift + tau**0.5 * data.noise(len(y), sigma, generator)
    return x


@torch.no_grad()
def pgd(denoise, data, y, sigma, steps):
    """Proximal gradient with the step 1 / |K|², the denoiser in place of the proximal map."""
    step, x = 1 / data.values[0]**2, torch.zeros(len(y), *data.K.image_shape)
    for _ in range(steps):
        x = denoise(x - step * data.K.adjoint(data.K(x) - y), sigma)
    return x


@torch.no_grad()
def admm(denoise, data, y, sigma, steps):
    """Alternating directions: put the data back, denoise, keep the account of the difference in u."""
    z = torch.zeros(len(y), *data.K.image_shape)
    u = torch.zeros_like(z)
    for _ in range(steps):
        x = data.put_back(z - u, y, sigma)
        z = denoise(x + u, sigma)
        u = u + x - z
    return z


class World:
    """The Gaussian of a seed, with its operator, its noise and its exact posterior."""

    def __init__(self, seed):
        x = (course.ellipses(BODIES, SIDE, seed=50_000 + seed) + CONTRAST * disc(SIDE, *ORGAN)).flatten(1).double()
        self.mean, self.covariance = x.mean(0), x.T.cov() + GRAIN**2 * torch.eye(SIDE**2)
        self.root = torch.linalg.cholesky(self.covariance)
        self.variances, self.axes = torch.linalg.eigh(self.covariance)
        self.K = scanner(SIDE, VIEWS)
        clean = self.K(self.patients(400, 60_000 + seed))
        self.s = SHARE * clean.square().mean().sqrt()
        A = self.K.matrix()
        data = A @ self.covariance @ A.T + self.s.double()**2 * torch.eye(len(A))
        self.gain = torch.linalg.solve(data, A @ self.covariance).T
        self.posterior = self.covariance - self.gain @ A @ self.covariance
        self.sd = self.posterior.diagonal().sqrt().float().view(1, SIDE, SIDE)
        self.offset = self.mean - self.gain @ A @ self.mean

    def patients(self, count, seed):
        z = torch.randn(count, SIDE**2, generator=torch.Generator().manual_seed(seed))
        return (self.mean.float() + z @ self.root.float().T).view(-1, 1, SIDE, SIDE)

    def measured(self, x, seed):
        y = self.K(x)
        return y + self.s * torch.randn(y.shape, generator=torch.Generator().manual_seed(seed))

    def exact_mean(self, y):
        return (self.offset + y.flatten(1).double() @ self.gain.T).view(-1, 1, SIDE, SIDE).float()

    def exact_samples(self, y, seed):
        z = torch.randn(len(y), SIDE**2, generator=torch.Generator().manual_seed(seed)).double()
        return self.exact_mean(y) + (z @ torch.linalg.cholesky(self.posterior).T).view(-1, 1, SIDE, SIDE).float()

    def denoise(self, z, sigma):
        """The exact denoiser: every axis of the covariance shrinks by its variance / (variance + sigma²)."""
        shrink = self.variances.float() / (self.variances.float() + sigma**2)
        V, mean = self.axes.float(), self.mean.float()
        return (mean + ((z.flatten(1) - mean) @ V * shrink) @ V.T).view_as(z)


@lru_cache(maxsize=2)
def world(seed):
    return World(seed)


@lru_cache(maxsize=4)
def learned(updates, seed):
    torch.manual_seed(seed)
    denoiser = Denoiser(2, CHANNELS)
    w = world(seed)
    learn(denoiser, lambda count: w.patients(count, int(torch.randint(2**31, ()))), updates, LEARN_BATCH, seed)
    return denoiser.eval()


def contrast(x, place=ORGAN):
    """Mean over the organ's core less mean over a ring around it: (B,)."""
    radius, *centre = place
    side = x.shape[-1]
    core, ring = disc(side, radius - 0.5, *centre), disc(side, radius + 2.5, *centre) - disc(side, radius + 1, *centre)
    return ((core / core.sum() - ring / ring.sum()) * x).sum((1, 2, 3))


def tikhonov(w, y, weight):
    U, s, V = w.K.svd
    return (y.flatten(1).double() @ U * (s / (s**2 + weight)) @ V.T).view(-1, 1, SIDE, SIDE).float()


def best_weight(w, seed):
    x = w.patients(TUNING, 70_000 + seed)
    y = w.measured(x, 71_000 + seed)
    return min(WEIGHTS, key=lambda weight: course.rmse(tikhonov(w, y, weight), x, together=True))


def covered(x_hat, sd, x, name="", width=1):
    """Shares of the pixels in the central intervals."""
    off = (x_hat - x).abs() / sd
    return {f"cover_{p}{name}": (off < CENTRAL[p] * width).float().mean() for p in CENTRAL}


def likelihood(out, x):
    """Negative log-likelihood of a Gaussian whose mean and log variance are the two planes."""
    return (out[:, 1] + (x[:, 0] - out[:, 0]).square() * (-out[:, 1]).exp()).mean() / 2


def members(kind, first, w, updates, seed):
    """Networks behind Tikhonov's method, each with its own weights and batches: functions of y to mean and variance."""
    x = w.patients(PAIRS, 80_000 + seed)
    y = w.measured(x, 81_000 + seed)
    nets = []
    for member in range(MEMBERS):
        torch.manual_seed(10 * seed + member)
        net = course.UNet(2, 8, planes=2)
        with torch.no_grad():
            net.last.bias[1] = -6.0  # a first guess of the log variance
        start = first(y)
        loss = likelihood if kind == "heads" else lambda out, x: F.mse_loss(out[:, :1], x)
        course.fit(net, torch.cat([start, torch.zeros_like(start)], 1), x, steps=updates * 7 // 8, lr=RATE, batch=BATCH,
                   loss=loss)
        course.fit(net, torch.cat([start, torch.zeros_like(start)], 1), x, steps=updates // 8, lr=RATE / 10,
                   batch=BATCH, loss=loss)
        nets.append(net)

    @torch.no_grad()
    def predict(y):
        start = first(y)
        out = torch.stack([net(torch.cat([start, torch.zeros_like(start)], 1)) for net in nets])
        variance = out[:, :, :1].var(0) + (out[:, :, 1:].exp().mean(0) if kind == "heads" else 0)
        return out[:, :, :1].mean(0), variance.sqrt()
    return predict


def sd_map(sd, w):
    """The map of standard deviations, root mean square over patients, beside the exact one."""
    sd = sd.square().mean(0).sqrt()
    return {"sd_error": (sd - w.sd).norm() / w.sd.norm(), "sd_share": sd.norm() / w.sd.norm()}


def off(x_hat, y, w):
    """Distance to the exact mean, in units of the exact standard deviation."""
    return (x_hat - w.exact_mean(y)).square().mean().sqrt() / w.sd.square().mean().sqrt()


def patients(w, count, seed):
    """{kind: (images, data)} of test patients: of the training's kind, more varied, without the organ."""
    x = w.patients(count, 90_000 + seed)
    mean = w.mean.float().view(1, SIDE, SIDE)
    kinds = {"": x, "_varied": mean + VARIED * (x - mean), "_lacking": x - CONTRAST * disc(SIDE, *ORGAN)}
    return {kind: (x, w.measured(x, 91_000 + seed)) for kind, x in kinds.items()}


def judge(predict, w, count, seed):
    """The row of a method (mean, sd) = predict(y); sd is None where there is none."""
    tests = patients(w, count, seed)
    x, y = tests[""]
    x_hat, sd = predict(y)
    row = {"rmse": course.rmse(x_hat, x, together=True), "to_mean": off(x_hat, y, w),
           "residual": (w.K(x_hat) - y).norm() / (w.K(x) - y).norm()}
    x, y = tests["_lacking"]
    row["organ"] = contrast(predict(y)[0] - x).mean() / contrast(CONTRAST * disc(SIDE, *ORGAN))
    if sd is not None:
        x, y = tests["_varied"]
        row |= sd_map(sd, w) | covered(x_hat, sd, tests[""][0]) | covered(*predict(y), x, "_varied")
    return row


def sampled(draw, w, seed, full):
    """The row of a sampler draw(y, seed) -> samples; full: also for patients of other kinds."""
    row = {}
    for kind, (x, y) in patients(w, PATIENTS, seed).items():
        if kind and not full:
            continue
        z = draw(y.repeat_interleave(CHAINS, 0), 92_000 + seed).view(PATIENTS, CHAINS, 1, SIDE, SIDE)
        mean, sd = z.mean(1), z.std(1)
        wide = (1 + 1 / CHAINS)**0.5  # truth and mean both scatter
        if kind != "_lacking":
            row |= covered(mean, sd, x, kind, wide)
        if not kind:
            row |= {"rmse": course.rmse(mean, x, together=True), "to_mean": off(mean, y, w),
                    "rmse_sample": (z - x[:, None]).square().mean().sqrt(), "residual": (w.K(z.flatten(0, 1))
                    - y.repeat_interleave(CHAINS, 0)).norm() / (w.K(x) - y).norm() / CHAINS**0.5} | sd_map(sd, w)
        if kind != "_varied":
            at = contrast(z.flatten(0, 1)).view(PATIENTS, CHAINS)
            near = (at.mean(1) - contrast(x)).abs() < CENTRAL[95] * wide * at.std(1)
            row[f"organ_cover{kind}"] = near.float().mean()
        if kind == "_lacking":
            row["organ"] = (at.mean(1) - contrast(x)).mean() / contrast(CONTRAST * disc(SIDE, *ORGAN))
    return row


def organ_intervals(w, seed):
    """How often the exact interval of the contrast contains the truth, with the organ and without it."""
    v = contrast(torch.eye(SIDE**2).view(-1, 1, SIDE, SIDE)).double()
    sd = (v @ w.posterior @ v).sqrt()
    return {f"organ_cover{kind}": (contrast(w.exact_mean(y) - x).abs() < CENTRAL[95] * sd).float().mean()
            for kind, (x, y) in patients(w, TEST, seed).items() if kind != "_varied"}


def run(*, method, denoiser, updates, steps, level, tau, seed):
    w = world(seed)
    torch.manual_seed(seed)
    if isinstance(method, tuple) or method == "heads":
        weight = best_weight(w, seed)
        predict = members(method, lambda y: tikhonov(w, y, weight), w, updates, seed)
        if method == "heads":
            return judge(predict, w, TEST, seed)
        x = w.patients(CALIBRATION, 95_000 + seed)
        x_hat, sd = predict(w.measured(x, 96_000 + seed))
        scores = ((x_hat - x).abs() / sd).flatten()
        found = []
        for one in method:
            row = judge(predict, w, TEST, seed)
            if one == "conformal":
                for kind in ("", "_varied"):
                    x, y = patients(w, TEST, seed)[kind]
                    x_hat, sd = predict(y)
                    for p in CENTRAL:
                        row[f"cover_{p}{kind}"] = ((x_hat - x).abs() / sd < scores.quantile(p / 100)).float().mean()
                row["width"] = scores.quantile(0.95)
            found.append(row)
        return found
    if method in ("fbp", "tikhonov"):
        weight = best_weight(w, seed)
        return judge(lambda y: (w.K.fbp(y) if method == "fbp" else tikhonov(w, y, weight), None), w, TEST, seed)
    if method == "mean":
        return judge(lambda y: (w.exact_mean(y), w.sd.expand(len(y), 1, SIDE, SIDE)), w, TEST, seed) | organ_intervals(
            w, seed)
    if method == "samples":
        return sampled(w.exact_samples, w, seed, True)
    denoise, data = w.denoise if denoiser == "exact" else learned(updates, seed), Data(w.K, w.s)
    if method == "langevin":
        return sampled(lambda y, seed: langevin(denoise, data, y, steps=steps, tau=tau, low=level, seed=seed), w, seed,
                       (steps, level, tau) == (STEPS, LOW, TAU))
    iterate = pgd if method == "pgd" else admm
    return judge(lambda y: (iterate(denoise, data, y, torch.tensor(level), steps), None), w, FEW, seed)
