"""Train one UNet to deblur photographs, on one process or many, and try it on patients.

    torchrun --nproc-per-node 2 -m studies.training --folder FOLDER

All processes together make one update: each takes its share of the pairs, and the gradients are averaged. The pairs
of an update depend on the seed and on its number alone, so any number of processes trains the same network. The
folder gets checkpoint.pt now and then, and weights.pt (float16) and row.json at the end; a training that finds its
checkpoint goes on from there.
"""
import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from PIL import Image
from torch.nn.parallel import DistributedDataParallel

import course

from . import ROOT

KERNEL = course.gaussian(1.5)
NOISE = 0.02
TESTS = {"photograph": ("photo.png", 0, 255), "CT": ("real_ct.png", 864, 1264),  # a window of -160 to 240 HU
         "MR, T1": ("real_mr_t1.png", 0, 160), "MR, proton density": ("real_mr_pd.png", 0, 900)}  # black, white


def slices(name: str, black: float, white: float) -> torch.Tensor:
    """Pictures of imgs/, one below the other, as (N, 1, 256, 256) from 0 to 1; larger ones are made smaller."""
    grey = torch.tensor(np.asarray(Image.open(ROOT / "imgs" / name)).astype(np.float32))
    grey = grey.reshape(-1, 1, grey.shape[1], grey.shape[1])
    return F.adaptive_avg_pool2d((grey - black) / (white - black), 256).clamp(0, 1)


def pairs(clean: torch.Tensor, blurred: torch.Tensor, update: int, settings) -> tuple[torch.Tensor, torch.Tensor]:
    """Measurements and images of one update, (batch, 1, side, side): the same on every process."""
    draw = torch.Generator().manual_seed(1_000_003 * settings.seed + update)
    places = 257 - settings.side
    which, rows, columns = (torch.randint(n, (settings.batch,), generator=draw).tolist()
                            for n in (len(clean), places, places))
    y, x = (torch.stack([z[i, :, r:r + settings.side, c:c + settings.side] for i, r, c in zip(which, rows, columns)])
            for z in (blurred, clean))
    return y + NOISE * torch.randn(y.shape, generator=draw), x


@torch.no_grad()
def errors(model: torch.nn.Module, settings) -> dict[str, float]:
    """RMSE of doing nothing and of the network, for each kind of picture."""
    kind, found = next(model.parameters()), {}
    for n, (name, window) in enumerate(TESTS.items()):
        x = slices(*window)
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(settings.seed + n))
        y = course.blur(x, KERNEL) + NOISE * noise
        found[f"{name}: nothing"] = course.rmse(y, x, together=True).item()
        x_hat = torch.cat([model(one.to(kind)).float().cpu() for one in y.split(1)])
        found[f"{name}: network"] = course.rmse(x_hat, x, together=True).item()
    return found


def store(path: Path, what: dict) -> None:
    """Write a file whole or not at all."""
    torch.save(what, path.with_suffix(".part"))
    os.replace(path.with_suffix(".part"), path)


def step(together: DistributedDataParallel, optimiser, photographs: tuple, update: int, settings) -> torch.Tensor:
    """One update by all processes, each with its share of the pairs; the loss on the share of this one."""
    weights, rank, processes = next(together.parameters()), dist.get_rank(), dist.get_world_size()
    y, x = (z[rank::processes].to(weights) for z in pairs(*photographs, update, settings))
    optimiser.zero_grad()
    loss = F.mse_loss(together(y), x)
    loss.backward()
    optimiser.step()
    return loss


def begin(settings, device: str) -> tuple[course.UNet, torch.optim.Adam, tuple]:
    """The network on its device, its optimiser, and the photographs, sharp and blurred."""
    torch.manual_seed(settings.seed)
    model = course.UNet(settings.levels, settings.channels).to(device, getattr(torch, settings.dtype))
    clean = slices("photographs.png", 0, 255)
    return model, torch.optim.Adam(model.parameters(), lr=settings.lr), (clean, course.blur(clean, KERNEL))


def train(settings, rank: int, processes: int, device: str) -> None:
    model, optimiser, photographs = begin(settings, device)
    asked = {k: v for k, v in vars(settings).items() if k not in ("folder", "updates", "every", "device")}
    checkpoint, done, before = settings.folder / "checkpoint.pt", 0, 0.0
    if checkpoint.exists():
        kept = torch.load(checkpoint, map_location=device)
        if kept["settings"] != asked:
            sys.exit(f"{checkpoint}: of another training, {kept['settings']}, wanted {asked}; give another --folder")
        model.load_state_dict(kept["model"])
        optimiser.load_state_dict(kept["optimiser"])
        done, before = kept["updates"], kept["seconds"]
    together = DistributedDataParallel(model)
    start = time.perf_counter()
    for update in range(done, settings.updates):
        loss = step(together, optimiser, photographs, update, settings)
        if rank == 0 and ((update + 1) % settings.every == 0 or update + 1 == settings.updates):
            seconds = before + time.perf_counter() - start
            store(checkpoint, {"settings": asked, "updates": update + 1, "seconds": seconds,
                               "model": model.state_dict(), "optimiser": optimiser.state_dict()})
            print(f"update {update + 1} of {settings.updates}: loss {loss.item():.6f} on this process's pairs, "
                  f"{seconds:.0f} s", flush=True)
    if rank == 0:
        row = asked | {"updates": settings.updates, "processes": processes, "device": device_name(device),
                       "threads": torch.get_num_threads(), "torch": torch.__version__,
                       "weights": course.parameter_count(model), "updates now": settings.updates - done,
                       "seconds now": time.perf_counter() - start}
        half = {k: v.half() for k, v in model.state_dict().items()}
        model.load_state_dict(half)  # judged as it is stored
        store(settings.folder / "weights.pt", half)
        (settings.folder / "row.json").write_text(json.dumps(row | errors(model, settings), indent=1) + "\n")
    dist.barrier()


def device_name(device: str) -> str:
    return torch.cuda.get_device_name() if device.startswith("cuda") else "cpu"


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="studies.training", description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, required=True, help="where checkpoint, weights and row are stored")
    for name, value, about in (
            ("updates", 2000, "how many updates in all"), ("batch", 16, "pairs of an update, all processes together"),
            ("side", 128, "pixels of a crop"), ("levels", 4, "levels of the UNet"), ("channels", 24, "its channels"),
            ("seed", 0, "of weights and pairs"), ("every", 100, "updates from one checkpoint to the next")):
        parser.add_argument(f"--{name}", type=int, default=value, help=f"{about}; {value}")
    parser.add_argument("--lr", type=float, default=1e-3, help="Adam's learning rate; 0.001")
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    return parser


def main() -> None:
    settings = options().parse_args()
    rank, processes = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if settings.batch % processes:
        sys.exit(f"--batch: got {settings.batch}, wanted a multiple of the {processes} processes")
    if not 0 < settings.side <= 256 or settings.side % 2**settings.levels:
        sys.exit(f"--side: got {settings.side}, wanted a multiple of {2**settings.levels} of at most 256 pixels")
    if "RANK" not in os.environ:  # started without torchrun
        os.environ |= {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    settings.folder.mkdir(parents=True, exist_ok=True)
    device = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if settings.device == "cuda" else "cpu"
    if settings.device == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if settings.device == "cuda" else "gloo")
    try:
        train(settings, rank, processes, device)
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
