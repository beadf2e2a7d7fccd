"""Train one UNet to deblur photographs, on one process or many, and try it on patients.

    torchrun --nproc-per-node 2 -m studies.training --folder FOLDER

All processes together make one update: each takes its share of the pairs, and the gradients are averaged. The pairs
of an update depend on the seed and on its number alone, so any number of processes trains the same network. The
folder gets checkpoint.pt now and then, and weights.pt (float16) and row.json at the end; a training that finds its
checkpoint goes on from there.
"""
import argparse
import contextlib
import io
import json
import math
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

from ..engine.rows import StudyError, locked, write
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


def pairs(clean: torch.Tensor, blurred: torch.Tensor, update: int, share: slice, settings) -> tuple[torch.Tensor, ...]:
    """Measurements and images of a share of an update, (pairs, 1, side, side); each pair draws its own noise."""
    draw = torch.Generator().manual_seed(1_000_003 * settings.seed + update)
    places = 257 - settings.side
    which, rows, columns, seeds = (torch.randint(n, (settings.batch,), generator=draw).tolist()[share]
                                   for n in (len(clean), places, places, 2**62))
    y, x = (torch.stack([z[i, :, r:r + settings.side, c:c + settings.side] for i, r, c in zip(which, rows, columns)])
            for z in (blurred, clean))
    noise = [torch.randn(y.shape[1:], generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    return y + NOISE * torch.stack(noise), x


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
    torch.save(what, content := io.BytesIO())
    write(path, content.getvalue())


def load(settings, asked: dict, model: torch.nn.Module, optimiser: torch.optim.Adam) -> dict:
    """What the checkpoint keeps, network and optimiser set to it; StudyError if it is none of this training."""
    path = settings.folder / "checkpoint.pt"
    if not path.exists():
        return {"updates": 0, "seconds": 0.0, "optimiser": optimiser.state_dict()}
    try:
        kept = dict(torch.load(path, map_location="cpu"))  # Adam counts its steps there, also for weights on a GPU
        if kept["settings"] == asked:
            model.load_state_dict(kept["model"])
            optimiser.load_state_dict(kept["optimiser"])
        found, done, _ = kept["settings"], kept["updates"], kept["seconds"]
    except Exception as e:  # whatever the file holds
        raise StudyError(f"{path}: {type(e).__name__}; wanted a checkpoint of this training: delete it, or give "
                         "another --folder") from None
    if found != asked:
        raise StudyError(f"{path}: of another training, {found}, wanted {asked}; give another --folder")
    if done > settings.updates:
        raise StudyError(f"--updates: got {settings.updates}, {path} has {done} already; wanted at least these, or "
                         "another --folder")
    return kept


def step(together: DistributedDataParallel, optimiser, photographs: tuple, update: int, settings) -> torch.Tensor:
    """One update by all processes, each with its share of the pairs; the loss on the share of this one."""
    weights, share = next(together.parameters()), slice(dist.get_rank(), None, dist.get_world_size())
    y, x = (z.to(weights) for z in pairs(*photographs, update, share, settings))
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
    mine = asked | {"updates": settings.updates}
    told = [mine, load(settings, asked, model, optimiser) if rank == 0 else None]
    dist.broadcast_object_list(told)  # process 0 alone reads the checkpoint
    first, kept = told
    if mine != first:
        raise StudyError(f"process {rank}: got {mine}, wanted {first} as process 0: one command for all machines")
    optimiser.load_state_dict(kept["optimiser"])
    together = DistributedDataParallel(model)  # here all get the weights of process 0
    done, start = kept["updates"], time.perf_counter()
    if rank == 0:
        print(f"from update {done} to {settings.updates}; a line and a checkpoint every {settings.every}", flush=True)
    for update in range(done, settings.updates):
        loss = step(together, optimiser, photographs, update, settings)
        if rank == 0 and ((update + 1) % settings.every == 0 or update + 1 == settings.updates):
            if not all(z.isfinite().all() for z in (loss, *model.parameters())):
                raise StudyError(f"update {update + 1}: loss {loss.item()}, wanted finite loss and weights: the "
                                 "training diverges. The last checkpoint is kept; try a smaller --lr")
            seconds = kept["seconds"] + time.perf_counter() - start
            store(settings.folder / "checkpoint.pt", {
                "settings": asked, "updates": update + 1, "seconds": seconds,
                "model": model.state_dict(), "optimiser": optimiser.state_dict()})
            print(f"update {update + 1} of {settings.updates}: loss {loss.item():.6f} on this process's pairs, "
                  f"{seconds:.0f} s", flush=True)
    if rank == 0:
        now = time.perf_counter() - start
        finish(settings, mine, model, {
            "processes": processes, "device": device_name(device), "threads": torch.get_num_threads(),
            "torch": torch.__version__, "weights": course.parameter_count(model),
            "updates now": settings.updates - done, "seconds now": now, "seconds": kept["seconds"] + now})
    dist.barrier()


def finish(settings, asked: dict, model: torch.nn.Module, about: dict) -> None:
    """The weights in float16, and the row of what was asked, how it was trained, and the errors."""
    path = settings.folder / "row.json"
    if not about["updates now"] and path.exists() and asked.items() <= json.loads(path.read_text("utf-8")).items():
        print(f"{path}: this training has ended already; nothing was left to do")
        return
    half = {k: v.half() for k, v in model.state_dict().items()}
    model.load_state_dict(half)  # judged as it is stored
    found = errors(model, settings)
    if not all(map(math.isfinite, found.values())):
        raise StudyError(f"{path}: got {found}, wanted finite errors: the training diverges, try a smaller --lr")
    store(settings.folder / "weights.pt", half)
    write(path, json.dumps(asked | about | found, indent=1, allow_nan=False) + "\n")


def device_name(device: str) -> str:
    return torch.cuda.get_device_name() if device.startswith("cuda") else "cpu"


def whole(least: int, most: int):
    """Reads a whole number in a range, as the type of an option."""
    def read(given: str) -> int:
        if not given.isdecimal() or not least <= int(given) <= most:
            raise argparse.ArgumentTypeError(f"got {given!r}, wanted a whole number from {least} to {most}")
        return int(given)
    return read


def positive(given: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < float(given) < math.inf:
            return float(given)
    raise argparse.ArgumentTypeError(f"got {given!r}, wanted a positive number")


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="studies.training", description=__doc__.split("\n")[0],
                                     usage=argparse.SUPPRESS)  # an error is one line
    parser.add_argument("--folder", type=Path, required=True, help="where checkpoint, weights and row are stored")
    for name, value, least, most, about in (
            ("updates", 2000, 1, 10**9, "how many updates in all"),
            ("batch", 16, 1, 10**6, "pairs of an update, all processes together"),
            ("side", 128, 1, 256, "pixels of a crop"), ("levels", 4, 1, 8, "levels of the UNet"),
            ("channels", 24, 1, 10**4, "its channels"), ("seed", 0, 0, 10**12, "of weights and pairs"),
            ("every", 100, 1, 10**9, "updates from one checkpoint to the next")):
        parser.add_argument(f"--{name}", type=whole(least, most), default=value, help=f"{about}; {value}")
    parser.add_argument("--lr", type=positive, default=1e-3, help="Adam's learning rate; 0.001")
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    return parser


def read(given: list[str], processes: int = 1, here: int = 1) -> argparse.Namespace:
    """The options of a command for so many processes, on this machine so many; what is wrong ends the program."""
    settings = (parser := options()).parse_args(given)
    if settings.batch % processes:
        parser.error(f"--batch: got {settings.batch}, wanted a multiple of the {processes} processes")
    if settings.side % 2**settings.levels:
        parser.error(f"--side: got {settings.side}, wanted a multiple of {2**settings.levels} of at most 256 pixels")
    if settings.device == "cuda" and here > (cards := torch.cuda.device_count()):
        parser.error(f"--device: got cuda for {here} processes on this machine, wanted at most {cards}, one a GPU; "
                     "or --device cpu")
    return settings


def main() -> None:
    rank, local, processes, here = (int(os.environ.get(name, default)) for name, default in (
        ("RANK", 0), ("LOCAL_RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_WORLD_SIZE", 1)))
    with contextlib.redirect_stderr(io.StringIO() if local else sys.stderr):  # a machine tells an error once
        settings = read(sys.argv[1:], processes, here)
    if "RANK" not in os.environ:  # started without torchrun
        os.environ |= {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    device = f"cuda:{local}" if settings.device == "cuda" else "cpu"
    if settings.device == "cuda":
        torch.cuda.set_device(device)
        torch.backends.cudnn.allow_tf32 = False  # float32 means all its digits
    try:
        with locked(settings.folder) if rank == 0 else contextlib.nullcontext():
            if rank == 0:
                write(settings.folder / ".try", "")  # who cannot write here is told before the first update
            dist.init_process_group("nccl" if settings.device == "cuda" else "gloo")
            train(settings, rank, processes, device)
    except StudyError as e:
        print(e, file=sys.stderr, flush=True)  # before the other processes lose this one, and say so
        sys.exit(1)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


if __name__ == "__main__":
    main()
