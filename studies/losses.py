"""Which image does a network give that was trained with this loss or that?

Chest slices of 128 pixels, and white discs on black of 64 pixels, both blurred and noisy. A CNN with leaky ReLU, three
layers and 12 channels trains on crops of 32 pixels with one of six losses: squared, absolute, SSIM, the distance of
features, and the squared loss beside features or beside an adversary. The features are those of a small network that
guesses by how many quarter turns a piece of a slice is rotated, or of that network untrained. Beside the CNN stand the
linear filter that least squares fits to the same pictures, as wide as its field, total variation with the weight that
is best on two training pictures, and doing nothing. A training spends the last eighth of its updates at a tenth of its
learning rate, which is the same for all losses. Patients, discs, noise, crops, features, weights and batches come from
the seed.

`energy` is that of the detail, which one more blur would take away, as a share of the truth's; `noise` the share of
this energy that another noise would change; `aligned` the inner product with the truth's detail, over the truth's
energy; `correlation` the same over both norms, so that a detail that is amplified gains nothing; `steepness` the
steepest step near the truth's edges, as a share of the truth's; `distance` that of the features; `grey` the share of
pixels between 0.2 and 0.8, of which the discs have none.

Not covered: networks of more than 11 241 weights; longer trainings; a learning rate for each loss, which the study
`losses_rates` has; features of a large network, trained on photographs; other weights; adversaries that look at more
than 17 pixels.
"""
import copy
import functools

import torch
import torch.nn.functional as F
from torch import nn

import course
from studies.engine import grid
from studies.unet_versus_cnn import linear, make_cnn, people

SEEDS = 10
FIGURE = {"lines": "method", "panels": "task", "where": {"network": ["small", "none"]}}
TASKS = {"slices": 0.05, "discs in weak noise": 0.1, "discs in strong noise": 0.6}  # noise sd, grey levels
BLUR = 1.5                                    # standard deviation, pixels
RIM = 8                                       # pixels at the border that no measure counts: the blur darkens them
SLICES, DISCS = (12, 6), (24, 16)             # pictures to train and to test
SIDE, COUNT, RADII = 64, 8, (3, 8)            # of the pictures of discs: pixels, discs in each, their radii in pixels
CROPS, CROP, BATCH = 256, 32, 4               # number of crops, their side in pixels, crops per update
SIZES = {"small": (3, 12), "large": (5, 20)}  # layers and channels
RATES = {"small": 5e-3, "large": 3e-3}
TV_STEPS, TV_WEIGHTS = 100, (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # iterations; weights, as multiples of the noise
ALONE, BESIDE = ["squared", "absolute", "ssim", "features"], ["squared and features", "adversarial"]
UNTRAINED = "squared and untrained"           # features of a network that has learned nothing
UPDATES = 300, 1200
GRID = (grid(task=[*TASKS], method=["nothing", "tv"], weight=[0.0], network=["none"], updates=[0])
        + grid(task=[*TASKS], method=["linear"], weight=[0.0], network=["small"], updates=[0])
        + grid(task=["slices"], method=ALONE, weight=[0.0], network=["small"], updates=[UPDATES])
        + grid(task=["slices"], method=BESIDE, weight=[0.01], network=["small"], updates=[UPDATES])
        + grid(task=[*TASKS][1:], method=ALONE[:2], weight=[0.0], network=["small"], updates=[UPDATES])
        + grid(task=["slices"], method=[UNTRAINED], weight=[0.01], network=["small"], updates=[UPDATES])
        + grid(task=["slices"], method=["linear"], weight=[0.0], network=["large"], updates=[0])
        + grid(task=["slices"], method=ALONE[:2], weight=[0.0], network=["large"], updates=[UPDATES])
        + grid(task=["slices"], method=["adversarial"], weight=[0.01], network=["large"], updates=[UPDATES]))


def draw_discs(count):
    """Pictures of white discs on black, 0 or 1 everywhere: (count, 1, 64, 64)."""
    at = torch.arange(SIDE) + 0.5
    row, column = SIDE * torch.rand(2, count, COUNT, 1, 1)
    radius = RADII[0] + (RADII[1] - RADII[0]) * torch.rand(count, COUNT, 1, 1)
    inside = (at[:, None] - row)**2 + (at - column)**2 < radius**2  # (count, COUNT, 64, 64)
    return inside.any(1, keepdim=True).float()


def measure(x, noise):
    y = course.blur(x, course.gaussian(BLUR))
    return y + noise * torch.randn_like(y)


# Losses

def ssim_loss(z, x):
    return 1 - course.ssim(z, x).mean()


class Features(nn.Module):
    """Three stages of features and a guess of the quarter turn, (B, 1, 64, 64) -> (B, 4, 1, 1)."""

    def __init__(self):
        super().__init__()
        self.stages = nn.ModuleList([nn.Conv2d(1, 12, 3, padding=1), nn.Conv2d(12, 24, 3, stride=2, padding=1),
                                     nn.Conv2d(24, 24, 3, stride=2, padding=1)])
        self.guess = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Conv2d(24, 4, 4))

    def maps(self, x):
        """(B, 12, H, W), (B, 24, H/2, W/2), (B, 24, H/4, W/4)."""
        found = []
        for stage in self.stages:
            x = stage(x).relu()
            found.append(x)
        return found

    def forward(self, x):
        return self.guess(self.maps(x)[-1])


def trained_features(x):
    """Features of a network that has learned to guess quarter turns of pieces of the pictures x."""
    pieces, _ = course.crops(x, x, size=64, count=256)
    turns = torch.randint(4, (256,))
    pieces = torch.stack([piece.rot90(int(k), (1, 2)) for piece, k in zip(pieces, turns)])
    network = Features()
    course.fit(network, pieces, F.one_hot(turns, 4).float()[:, :, None, None], steps=200, lr=3e-3, batch=16,
               loss=F.cross_entropy)
    return network


def feature_loss(network, x):
    """The distance of features, those of each layer relative to their mean square on x: a function of z and x."""
    network.requires_grad_(False)
    weights = [1 / maps.square().mean() for maps in network.maps(x)]
    return lambda z, x: sum(w * F.mse_loss(a, b) for w, a, b in zip(weights, network.maps(z), network.maps(x)))


class Adversary:
    """The squared loss and, with a weight, that of a discriminator, which each call trains once more."""

    def __init__(self, weight):
        self.weight = weight
        self.judge = nn.Sequential(nn.Conv2d(1, 12, 3, padding=1), nn.LeakyReLU(0.2),
                                   nn.Conv2d(12, 24, 3, stride=2, padding=1), nn.LeakyReLU(0.2),
                                   nn.Conv2d(24, 24, 3, stride=2, padding=1), nn.LeakyReLU(0.2),
                                   nn.Conv2d(24, 1, 3, padding=1))
        self.adam = torch.optim.Adam(self.judge.parameters(), lr=3e-3, fused=True)

    def __call__(self, z, x):
        self.adam.zero_grad()
        (F.softplus(-self.judge(x)).mean() + F.softplus(self.judge(z.detach())).mean()).backward()
        self.adam.step()
        return F.mse_loss(z, x) + self.weight * F.softplus(-self.judge(z)).mean()


def objective(method, weight, features, untrained):
    """The loss to train with."""
    if method == "adversarial":
        return Adversary(weight)
    if method in ALONE:
        return dict(zip(ALONE, (F.mse_loss, F.l1_loss, ssim_loss, features)))[method]
    beside = features if method == "squared and features" else untrained
    return lambda z, x: F.mse_loss(z, x) + weight * beside(z, x)


def train(model, y, x, loss, *, updates, rate, batch, seed):
    """The model after each number of updates, of which the last eighth has a tenth of the learning rate."""
    kept = {}

    def watch(step, model):
        for u in updates:
            if step == u - u // 8:
                kept[u] = copy.deepcopy((model, loss))  # an adversary goes on from here, too
    torch.manual_seed(seed)  # the same batches for all losses
    course.fit(model, y, x, steps=max(updates) - max(updates) // 8, lr=rate, batch=batch, loss=loss, watch=watch)
    for u, (one, its) in kept.items():
        torch.manual_seed(seed)
        course.fit(one, y, x, steps=u // 8, lr=rate / 10, batch=batch, loss=its)
    return [kept[u][0] for u in updates]


# Total variation

def slopes(x):
    """Differences to the right and down, 0 at the last column and row: (B, 1, H, W) -> (B, 2, H, W)."""
    return torch.cat([F.pad(x.diff(dim=3), (0, 1)), F.pad(x.diff(dim=2), (0, 0, 0, 1))], dim=1)


def slopes_adjoint(p):
    return -F.pad(p[:, :1, :, :-1], (1, 1)).diff(dim=3) - F.pad(p[:, 1:, :-1], (0, 0, 1, 1)).diff(dim=2)


def total_variation(y, weight):
    """The x of least ½‖Kx − y‖² + weight · TV(x), by the primal-dual iteration of Condat and Vũ."""
    kernel, x, p = course.gaussian(BLUR), y, torch.zeros_like(slopes(y))
    for _ in range(TV_STEPS):
        down = course.blur(course.blur(x, kernel) - y, kernel) + slopes_adjoint(p)
        x, before = x - 0.4 * down, x
        p = p + 0.25 * slopes(2 * x - before)
        p = p / (p.norm(dim=1, keepdim=True) / weight).clamp(min=1)
    return x


def best_weight(y, x, noise):
    """The weight of total variation with the least error on pictures whose truth is known."""
    def error(weight):
        return course.rmse(inner(total_variation(y, weight)), inner(x), together=True)
    return min((noise * w for w in TV_WEIGHTS), key=error)


# Measures

def inner(z):
    return z[..., RIM:-RIM, RIM:-RIM]


def detail(z):
    """What one more blur would take away."""
    return inner(z - course.blur(z, course.gaussian(BLUR)))


def gradient(z):
    """Length of the grey-level gradient by central differences: (B, 1, H - 2, W - 2)."""
    return torch.hypot(z[..., 1:-1, 2:] - z[..., 1:-1, :-2], z[..., 2:, 1:-1] - z[..., :-2, 1:-1]) / 2


def steepness(z, x, threshold):
    """Steepest gradient within two pixels of the edges of x, on average, as a share of that of x."""
    edges = gradient(inner(x)) > threshold
    near = [F.max_pool2d(gradient(inner(t)), 5, stride=1, padding=2)[edges].mean() for t in (z, x)]
    return near[0] / near[1]


def judged(z, again, x, task):
    """All measures of reconstructions z of x; `again` are those of another noise."""
    a, b, c = map(detail, (z, again, x))
    energy, noise, truth = (d.square().mean() for d in (a, a - b, c))
    both = (a * c).mean()
    found = {"rmse": course.rmse(inner(z), inner(x), together=True), "mae": inner(z - x).abs().mean(),
             "ssim": course.ssim(inner(z), inner(x)).mean(), "energy": energy / truth, "noise": noise / 2 / energy,
             "aligned": both / truth, "correlation": both / (energy * truth).sqrt(),
             "steepness": steepness(z, x, 0.1 if task == "slices" else 0.2)}
    grey = ((inner(z) > 0.2) & (inner(z) < 0.8)).float().mean()
    return found | ({} if task == "slices" else {"grey": grey})


@functools.lru_cache(maxsize=len(TASKS))
def scene(task, seed):
    """What all methods of a task and seed have in common, so that it is computed once.

    Returns
    -------
    pictures, test, measured     true pictures to train and to test, measurements of the first
    again                        two measurements of the test pictures, with independent noise
    y, x                         crops of the training pairs
    features, untrained          the losses of the features on slices, else None
    """
    torch.manual_seed(seed)
    pictures, test = people(seed, 128, *SLICES) if task == "slices" else draw_discs(sum(DISCS)).split(DISCS)
    measured = measure(pictures, TASKS[task])
    again = torch.cat([measure(test, TASKS[task]) for _ in range(2)])
    y, x = course.crops(measured, pictures, size=CROP, count=CROPS)  # blurred first, cut afterwards
    features = untrained = None
    if task == "slices":
        features, untrained = feature_loss(trained_features(pictures), x), feature_loss(Features(), x)
    return pictures, test, measured, again, y, x, features, untrained


def run(*, task, method, weight, network, updates, seed):
    pictures, test, measured, again, y, x, features, untrained = scene(task, seed)

    @torch.no_grad()
    def row(reconstruct, weights):
        pair = reconstruct(again).chunk(2)
        far = {"distance": features(inner(pair[0]), inner(test))} if features else {}
        return judged(*pair, test, task) | far | {"weights": weights}

    if method == "nothing":
        return row(lambda y: y, 0)
    if method == "tv":
        best = best_weight(measured[:2], pictures[:2], TASKS[task])
        return row(lambda y: total_variation(y, best), 1)
    layers, channels = SIZES[network]
    if method == "linear":
        field = 2 * layers + 1
        return row(lambda y: linear(measured, pictures, y, field)[0], field**2 + 1)
    torch.manual_seed(seed)  # the same weights for all losses
    model, loss = make_cnn(layers, channels), objective(method, weight, features, untrained)
    return [row(one, course.parameter_count(one))
            for one in train(model, y, x, loss, updates=updates, rate=RATES[network], batch=BATCH, seed=seed)]
