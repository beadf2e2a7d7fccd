"""Training pairs and the one training loop."""
import torch
import torch.nn.functional as F

from .machinery.progress import progress


def crops(y: torch.Tensor, x: torch.Tensor, *, size: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random square cuts at the same places of measurements and images: blur first, crop after.

    Parameters
    ----------
    y, x : Tensor (B, C, H, W)   pairs on the same grid
    size : int                   side of a crop in pixels
    count : int                  number of crops, from images and places drawn by torch's global generator

    Returns
    -------
    y, x : Tensor (count, C, size, size)

    Raises
    ------
    ValueError                   if the shapes of y and x differ on the grid, or the crop does not fit
    """
    if len(y) != len(x) or y.shape[2:] != x.shape[2:]:
        raise ValueError(f"crops: got shapes {tuple(y.shape)} and {tuple(x.shape)}, wanted pairs on the same grid")
    height, width = x.shape[2:]
    if not 0 < size <= min(height, width) or count < 1:
        raise ValueError(f"crops: got size {size}, count {count}, wanted crops of {height}×{width} images")
    index = torch.randint(len(x), (count,)).tolist()
    rows = torch.randint(height - size + 1, (count,)).tolist()
    columns = torch.randint(width - size + 1, (count,)).tolist()
    return tuple(torch.stack([z[i, :, r:r + size, c:c + size] for i, r, c in zip(index, rows, columns)])
                 for z in (y, x))


def fit(model: torch.nn.Module, y: torch.Tensor, x: torch.Tensor, *, steps: int, lr: float,
        loss=F.mse_loss, batch: int | None = None, watch=None) -> torch.Tensor:
    """Train the model in place with Adam, so that model(y) approaches x.

    Parameters
    ----------
    y, x : Tensor (B, C, H, W)   measurements (network input) and targets
    steps : int                  number of updates
    lr : float                   Adam's learning rate
    loss : callable              loss(model(y), x) -> scalar; default the mean squared error
    batch : int, optional        pairs per update, drawn without repetition by torch's global generator; default all
    watch : callable, optional   watch(step, model) before each update and once at the end, outside the graph

    Returns
    -------
    Tensor (steps,)              the loss before each update

    Raises
    ------
    ValueError                   if y and x differ in length, steps < 1, batch does not fit, or the loss stops being
                                 finite

    Notes: weights and pictures are laid out channels-last, and Adam runs fused: the same arithmetic, faster on a CPU.
    Source: Adam, kingma2015adam.
    """
    if len(y) != len(x):
        raise ValueError(f"fit: got {len(y)} measurements and {len(x)} targets, wanted pairs")
    if steps < 1:
        raise ValueError(f"steps: got {steps}, wanted at least one update")
    if batch is not None and not 1 <= batch <= len(y):
        raise ValueError(f"batch: got {batch}, wanted 1 to {len(y)} pairs")
    if y.ndim == 4:
        model.to(memory_format=torch.channels_last)
        y, x = (z.contiguous(memory_format=torch.channels_last) if z.ndim == 4 else z for z in (y, x))
    optimiser = torch.optim.Adam(model.parameters(), lr=lr, fused=True)
    losses = torch.empty(steps)
    watch = torch.no_grad()(watch or (lambda step, model: None))
    for step in progress(range(steps), "updates"):
        watch(step, model)
        chosen = torch.randperm(len(y))[:batch] if batch else slice(None)
        optimiser.zero_grad()
        value = loss(model(y[chosen]), x[chosen])
        value.backward()
        optimiser.step()
        losses[step] = value.detach()
    watch(steps, model)
    if not losses.isfinite().all():
        first = int((~losses.isfinite()).nonzero()[0])
        raise ValueError(f"fit: the loss is {losses[first]:g} at update {first + 1}, wanted finite; try lr < {lr:g}")
    return losses
