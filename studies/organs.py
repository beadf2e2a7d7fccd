"""Who draws an organ that is not there, who loses a lesion that is, and does anything betray it?

The tomography of the study `attacks`: images of 32 pixels from 3 or 8 noisy views, bodies drawn at four times the side.
Of the training bodies a share has the organ, always in one place and with one contrast. `drawn` is its contrast in
images of patients without it, less the true one, over the contrast of training; `kept` is the same for patients with
it. Methods: filtered back-projection; Tikhonov and total variation, tuned on 24 bodies with the organ; the exact mean
for a Gaussian prior with the mean and the covariance of the training bodies; three UNets on Tikhonov, which differ in
their weights and batches, and of which the first is measured. `betrayed` is how often, of a patient without the organ
and one with it, the former has the larger residual in the data, `betrayed_share` if it is counted as a share of the
data; `smaller` how often the data themselves are smaller, as the organ adds to them. `split` is the same for the
disagreement of the three UNets in the organ's place, `surprise` for the distance of the data from their mean in units
of their covariance, `data` for the likelihood ratio of the Gaussian prior with and without the organ, which is told
what to look for. `imposed` is `drawn` after the data have been imposed on the image. A lesion that no training body
has, in another place, comes back with the share `lesion` of its contrast of 0.4, or `lesion_faint` of 0.15; `seen` is
how often the place is brighter in a patient with it than in one without. Patients, noise, weights and batches come from
the seed, those of the test too.

Not covered: organs that vary in place or size, other priors, other networks, the lesions of physicians.
"""
import torch

import course
from studies import attacks
from studies.attacks import FINE, ORGAN, contrast_at, disc, drawn, measured, pixels, scanner
from studies.engine import grid
from studies.unet_versus_cnn import train

SEEDS = 10
FIGURE = {"metric": "drawn", "lines": "method", "panels": "views", "where": {"share": [1.0], "contrast": [0.5]}}
TEST = 48
MEMBERS = 3
LESION = 1.2, 19, 13       # radius, row, column (pixels)
UPDATES = 160, 640
GRID = (grid(views=[3, 8], share=[1.0], contrast=[0.5], method=["fbp", "tikhonov", "tv", "gauss"], updates=[0])
        + grid(views=[3], share=[0.5, 0.9], contrast=[0.5], method=["gauss"], updates=[0])
        + grid(views=[3, 8], share=[1.0], contrast=[0.5], method=["unet"], updates=[UPDATES])
        + grid(views=[3], share=[0.5, 0.9], contrast=[0.5], method=["unet"], updates=[UPDATES[:1]])
        + grid(views=[3], share=[1.0], contrast=[0.2], method=["gauss"], updates=[0])
        + grid(views=[3], share=[1.0], contrast=[0.2], method=["unet"], updates=[UPDATES[:1]]))


def larger(a, b):
    """How often one of a is larger than one of b: the area under the ROC curve."""
    return (a[:, None] > b).double().mean()


def judge(members, views, contrast, seed):
    """The row of a method, or of several networks that were trained for the same."""
    f, K = members[0], scanner(views)
    without = drawn(TEST, "even", 20_000 + seed)
    organ, lesion = contrast * disc(*ORGAN, FINE), disc(*LESION, FINE)
    x = {"without": without, "with": without + organ}
    y = {name: measured(z, 20_000 + seed + 1000 * (name == "with"), views) for name, z in x.items()}  # two scans
    x_hat = {name: f(z) for name, z in y.items()}
    trained, true = contrast_at(pixels(organ)), contrast_at(pixels(without))
    beyond = {name: (contrast_at(z) - true) / trained for name, z in x_hat.items()}
    norms = {name: attacks.sizes(z).flatten() for name, z in y.items()}
    residual = {name: attacks.sizes(K(x_hat[name]) - y[name]).flatten() for name in x}
    relative = {name: residual[name] / norms[name] for name in x}
    imposed = x_hat["without"] + K.pinv(y["without"] - K(x_hat["without"]))
    row = {"drawn": beyond["without"].mean(), "kept": beyond["with"].mean(),
           "betrayed": larger(residual["without"], residual["with"]), "told": larger(beyond["with"], beyond["without"]),
           "betrayed_share": larger(relative["without"], relative["with"]),
           "smaller": larger(norms["with"], norms["without"]),
           "psnr": attacks.psnr(x_hat["with"], pixels(x["with"])),
           "imposed": ((contrast_at(imposed) - true) / trained).mean()}
    if len(members) > 1:
        spread = {name: torch.stack([contrast_at(one(z)) for one in members]).std(0) for name, z in y.items()}
        row |= {"split": larger(spread["without"], spread["with"]), "spread": (spread["without"] / trained).mean()}
    for name, grey in (("", 0.4), ("_faint", 0.15)):
        there = f(measured(x["with"] + grey * lesion, 20_000 + seed + 1000, views))  # the same noise
        size = contrast_at(pixels(grey * lesion), LESION)
        row[f"lesion{name}"] = ((contrast_at(there, LESION) - contrast_at(x_hat["with"], LESION)) / size).mean()
        again = f(measured(x["with"] + grey * lesion, 20_000 + seed + 2000, views))  # another noise
        row[f"seen{name}"] = larger(contrast_at(again, LESION), contrast_at(x_hat["with"], LESION))
    if isinstance(f, attacks.Gaussian):
        A = K.matrix()
        off = {name: z.flatten(1).double() - A @ f.mean for name, z in y.items()}
        weights = torch.linalg.solve(f.bare, A @ pixels(organ).flatten().double())
        row["data"] = larger(-off["without"] @ weights, -off["with"] @ weights)
        surprise = {name: (z * torch.linalg.solve(f.data, z.T).T).sum(1) for name, z in off.items()}
        row["surprise"] = larger(surprise["without"], surprise["with"])
    return row


def gauss(views, share, contrast, seed):
    """The exact mean for the prior of bodies of which a share has the organ."""
    mean, covariance = attacks.prior("even", seed)
    organ = pixels(contrast * disc(*ORGAN, FINE)).flatten().double()
    found = attacks.Gaussian(mean + share * organ, covariance + share * (1 - share) * organ[:, None] * organ, views)
    found.bare = attacks.Gaussian(mean, covariance, views).data  # of bodies that do not vary in the organ
    return found


@torch.no_grad()
def run(*, views, share, contrast, method, updates, seed):
    if method == "gauss":
        return judge([gauss(views, share, contrast, seed)], views, contrast, seed)
    if method == "tv":
        weight = attacks.penalty("tv", "even", seed, views)
        return judge([attacks.tv(weight, attacks.TV_STEPS, views)], views, contrast, seed)
    if method == "fbp":
        return judge([attacks.fbp(views)], views, contrast, seed)
    first = attacks.tikhonov(attacks.penalty("tikhonov", "even", seed, views), views)
    if method == "tikhonov":
        return judge([first], views, contrast, seed)
    x = drawn(attacks.PAIRS, "even", 10_000 + seed)
    x[:round(share * attacks.PAIRS)] += contrast * disc(*ORGAN, FINE)[0]
    y, members = measured(x, 10_000 + seed, views), []
    for member in range(MEMBERS):
        torch.manual_seed(100 * seed + member)
        network = attacks.Route(first, course.UNet(3, 8), views=views)
        with torch.enable_grad():
            members.append(train(network, y, pixels(x), updates=updates, rate=attacks.RATE, batch=attacks.BATCH,
                                 seed=100 * seed + member))
    return [judge(list(same), views, contrast, seed) for same in zip(*members)]
