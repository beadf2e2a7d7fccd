"""How far two images are apart."""
import torch
import torch.nn.functional as F

from .operators import gaussian


@torch.no_grad()
def rmse(a: torch.Tensor, b: torch.Tensor, *, together: bool = False) -> torch.Tensor:
    """Root of the mean squared difference of two images, one value an image, in grey levels of [0, 1].

    Parameters
    ----------
    a, b : Tensor (..., C, H, W)    images; with fewer than four axes all entries are one image
    together : bool              one value for all images, the root of the mean over the pixels of all

    Returns
    -------
    Tensor (...)                 (B,) for a batch (B, C, H, W), () for one image (H, W) or if together

    Raises
    ------
    ValueError                   if the shapes differ (a silent broadcast would hide it)

    Notes: the value has no gradient; a network trains by `torch.nn.functional.mse_loss`.
    Source: own.
    """
    if a.shape != b.shape:
        raise ValueError(f"rmse: got shapes {tuple(a.shape)} and {tuple(b.shape)}, wanted the same")
    squares = (a - b).square()
    return (squares.mean() if together or a.ndim < 4 else squares.mean((-3, -2, -1))).sqrt()


def psnr(a: torch.Tensor, b: torch.Tensor, *, together: bool = False) -> torch.Tensor:
    """Peak signal-to-noise ratio in dB for a white of 1, one value an image; infinite for equal images.

    −20 log10(rmse)

    Shapes, `together` and errors are those of `rmse`. The mean over images is another number than all together.
    """
    return -20 * rmse(a, b, together=together).log10()


def ssim(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Structural similarity of grey images for a white of 1, one value an image; 1 for equal images. Differentiable.

    (2 μ_a μ_b + C1)(2 σ_ab + C2) / ((μ_a² + μ_b² + C1)(σ_a² + σ_b² + C2)), means in a Gaussian window of sd 1.5 pixels

    Parameters
    ----------
    a, b : Tensor (B, 1, H, W)   H, W of at least 11 pixels; grey levels in [0, 1]

    Returns
    -------
    Tensor (B,)                  the mean over all windows that lie inside an image

    Raises
    ------
    ValueError                   if the shapes differ or are not of this kind

    Notes: the tests hold it to scikit-image's `structural_similarity(gaussian_weights=True)` to 1e-5.
    Source: wang2004image, equation 13.
    """
    if a.shape != b.shape or a.ndim != 4 or a.shape[1] != 1 or min(a.shape[2:]) < 11:
        raise ValueError(f"ssim: got shapes {tuple(a.shape)} and {tuple(b.shape)}, wanted twice the same (B, 1, H, W), "
                         "H and W at least 11")
    window = gaussian(1.5).to(a)[None, None]  # (1, 1, 11, 11)
    moments = F.conv2d(torch.cat([a, b, a * a, b * b, a * b]), window)
    mean_a, mean_b, aa, bb, ab = moments.chunk(5)
    var_a, var_b, cov = aa - mean_a**2, bb - mean_b**2, ab - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    return ((2 * mean_a * mean_b + c1) * (2 * cov + c2)
            / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean((1, 2, 3))
