"""Forward operators behind one interface, K(x), K.adjoint(y), K.pinv(y), and the noise of measurements."""
import math
from functools import cached_property

import torch
import torch.nn.functional as F

from .machinery.sparse import Sparse

BINOMIAL = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 16


def blur(x: torch.Tensor, kernel: torch.Tensor = BINOMIAL) -> torch.Tensor:
    """Every channel of x filtered with one small kernel, zeros outside the picture: same shape, darker rim.

    y[i, j] = Σ_uv kernel[u, v] x[i + u − k, j + v − k], with kernel of side 2k + 1

    Parameters
    ----------
    x : Tensor (B, C, H, W)
    kernel : Tensor (K, K)       K odd; default the binomial kernel (1 2 1; 2 4 2; 1 2 1)/16

    Raises
    ------
    ValueError                   if the kernel is not square with an odd side, or x has not four axes

    Notes: a correlation, as in `torch.nn.functional.conv2d`; equal to a convolution for symmetric kernels.
    """
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or kernel.shape[0] % 2 == 0:
        raise ValueError(f"kernel: got shape {tuple(kernel.shape)}, wanted (K, K) with K odd")
    if x.ndim != 4:
        raise ValueError(f"x: got shape {tuple(x.shape)}, wanted (B, C, H, W)")
    channels = x.shape[1]
    weight = kernel.to(x).expand(channels, 1, *kernel.shape)  # (C, 1, K, K): one copy per channel
    return F.conv2d(x, weight, padding=kernel.shape[0] // 2, groups=channels)


def gaussian(sigma: float) -> torch.Tensor:
    """Gaussian blur kernel of standard deviation sigma in pixels, cut off at three sigma, sum 1.

    Returns
    -------
    Tensor (K, K)                K = 2⌈3 sigma⌉ + 1

    Raises
    ------
    ValueError                   if sigma is not positive and finite
    """
    if not 0 < sigma < math.inf:
        raise ValueError(f"sigma: got {sigma}, wanted a positive number of pixels")
    radius = math.ceil(3 * sigma)
    profile = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2)
    profile /= profile.sum()
    return profile[:, None] * profile[None, :]


def add_noise(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """x plus Gaussian noise of standard deviation sigma from torch's global generator, clamped to [0, 1].

    Raises
    ------
    ValueError                   if sigma is negative
    """
    if sigma < 0:
        raise ValueError(f"sigma: got {sigma}, wanted a standard deviation of 0 or more")
    return (x + sigma * torch.randn_like(x)).clamp(0, 1)


class Operator:
    """A linear forward operator K from images to measurements, with its adjoint: ⟨K x, y⟩ = ⟨x, K.adjoint(y)⟩.

    K(x) and K.adjoint(y) are differentiable, keep the dtype and refuse other shapes and values that are not finite.
    A subclass has `image_shape` and `data_shape`, both without the batch, `project` and `backproject`.
    """

    image_shape: tuple[int, ...]
    data_shape: tuple[int, ...]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.project(checked("x", x, self.image_shape))

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        return self.backproject(checked("y", y, self.data_shape))

    def matrix(self) -> torch.Tensor:
        """The operator as a matrix in double precision: (m, n), numbers of data and of pixels. For small images."""
        n = math.prod(self.image_shape)
        pixels = torch.eye(n, dtype=torch.float64).view(n, *self.image_shape)
        return self(pixels).reshape(n, -1).T

    @cached_property
    def svd(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """U (m, r), s (r,), V (n, r) with K = U diag(s) Vᵀ; r is the rank, values below 1e-10 of the first are zero."""
        U, s, Vh = torch.linalg.svd(self.matrix(), full_matrices=False)
        r = int((s > 1e-10 * s[0]).sum())
        return U[:, :r], s[:r], Vh[:r].T

    def pinv(self, y: torch.Tensor) -> torch.Tensor:
        """The image of least norm among those that fit y best, by singular values. For small images."""
        U, s, V = self.svd
        x = checked("y", y, self.data_shape).reshape(len(y), -1).double() @ U / s @ V.T
        return x.view(len(y), *self.image_shape).to(y.dtype)


def checked(name: str, z: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """z, if it is a batch of finite values of this shape; else a ValueError."""
    if z.ndim != len(shape) + 1 or z.shape[1:] != shape:
        raise ValueError(f"{name}: got shape {tuple(z.shape)}, wanted (B, {', '.join(map(str, shape))})")
    if not z.isfinite().all():
        raise ValueError(f"{name}: got values that are not finite, wanted numbers")
    return z


class Blur(Operator):
    """Correlation with a small kernel, zeros outside the image; see `blur`.

    Parameters
    ----------
    size : int                   side of the image in pixels
    kernel : Tensor (K, K)       K odd

    Notes: maps (B, 1, size, size) to the same shape; the adjoint correlates with the kernel turned by 180°.
    Source: own.
    """

    def __init__(self, size: int, kernel: torch.Tensor = BINOMIAL):
        self.kernel = kernel
        self.image_shape = self.data_shape = 1, size, size

    def project(self, x):
        return blur(x, self.kernel)

    def backproject(self, y):
        return blur(y, self.kernel.flip(0, 1))


class Sums(Operator):
    """Row sums and column sums: parallel beams at two angles.

    y[0, i] = Σ_j x[i, j],  y[1, j] = Σ_i x[i, j]

    Parameters
    ----------
    size : int                   n, side of the image in pixels

    Notes: maps (B, 1, n, n) to (B, 2, n). `pinv` is the closed form y[0, i]/n + y[1, j]/n − S/n², S the mean of the two
    totals; rank 2n − 1.
    Source: own.
    """

    def __init__(self, size: int):
        self.size = size
        self.image_shape, self.data_shape = (1, size, size), (2, size)

    def project(self, x):
        return torch.stack([x.sum(3), x.sum(2)], dim=2).squeeze(1)  # (B, 2, n)

    def backproject(self, y):
        return (y[:, 0, :, None] + y[:, 1, None, :])[:, None]  # (B, 1, n, n)

    def pinv(self, y: torch.Tensor) -> torch.Tensor:
        total = checked("y", y, self.data_shape).sum(2).mean(1)  # (B,)
        return self.backproject(y) / self.size - total.view(-1, 1, 1, 1) / self.size**2


class Radon(Operator):
    """Parallel-beam CT: sums along lines, one view per angle, as a sparse matrix with its exact transpose.

    y[a, d] ≈ ∫ x along p cos θ_a + q sin θ_a = d − (D − 1)/2, p to the right and q downwards from the centre

    Parameters
    ----------
    size : int                   N, side of the image in pixels
    angles : Tensor (A,)         θ in degrees, increasing, in [0, 180); at 0° the detector lies along a row
    detectors : int, optional    D, bins one pixel wide; default N, which sees the inscribed circle

    Raises
    ------
    ValueError                   if the angles are not of this kind, or size or detectors not positive

    Notes: maps (B, 1, N, N), attenuation per pixel, to (B, 1, A, D), attenuation × pixel. Every pixel is cut into 3 × 3
    parts, and each part is shared between the two nearest bins, so a view's sum is the image's sum inside the circle.
    Source: natterer2001mathematics, chapter V, for filtered back-projection; the matrix is our own.
    """

    def __init__(self, size: int, angles: torch.Tensor, detectors: int | None = None):
        angles = torch.as_tensor(angles, dtype=torch.float64)
        detectors = size if detectors is None else detectors
        if size < 1 or detectors < 1:
            raise ValueError(f"Radon: got size {size}, detectors {detectors}, wanted positive numbers")
        inside = angles.ndim == 1 and len(angles) and angles[0] >= 0 and angles[-1] < 180
        if not (inside and (angles.diff() > 0).all()):
            raise ValueError(f"angles: got {angles.tolist()}, wanted increasing degrees in [0, 180)")
        self.size, self.angles, self.detectors = size, angles, detectors
        self.image_shape, self.data_shape = (1, size, size), (1, len(angles), detectors)
        self.lines = Sparse(self.geometry(parts=3))

    def geometry(self, parts: int) -> torch.Tensor:
        """The matrix (A·D, N·N) as a sparse tensor in double precision."""
        N, D = self.size, self.detectors
        at = (torch.arange(N * parts, dtype=torch.float64) + 0.5) / parts - N / 2  # pixels from the centre
        q, p = torch.meshgrid(at, at, indexing="ij")
        pixel = ((q + N / 2).floor() * N + (p + N / 2).floor()).long().flatten()
        rows, columns, weights = [], [], []
        for a, theta in enumerate(torch.deg2rad(self.angles)):
            s = (p * theta.cos() + q * theta.sin()).flatten() + (D - 1) / 2
            low = s.floor()
            for d, weight in ((low, 1 - (s - low)), (low + 1, s - low)):
                seen = (d >= 0) & (d < D)
                rows.append(a * D + d[seen].long())
                columns.append(pixel[seen])
                weights.append(weight[seen] / parts**2)
        index = torch.stack([torch.cat(rows), torch.cat(columns)])
        shape = len(self.angles) * D, N * N
        return torch.sparse_coo_tensor(index, torch.cat(weights), shape, check_invariants=True).coalesce()

    def project(self, x):
        return self.lines(x.flatten(1)).view(len(x), *self.data_shape)

    def backproject(self, y):
        return self.lines.adjoint(y.flatten(1)).view(len(y), *self.image_shape)

    def fbp(self, y: torch.Tensor) -> torch.Tensor:
        """Filtered back-projection with the ramp filter for equispaced angles: (B, 1, A, D) to (B, 1, N, N)."""
        k = torch.arange(1 - self.detectors, self.detectors, dtype=torch.float64)
        ramp = torch.where(k % 2 == 1, -1 / (math.pi * k) ** 2, 0.0)
        ramp[self.detectors - 1] = 0.25
        lag = torch.arange(self.detectors)
        filtered = checked("y", y, self.data_shape) @ ramp[lag[:, None] - lag + self.detectors - 1].to(y)  # (D, D)
        return self.backproject(filtered) * math.pi / len(self.angles)


class MRI(Operator):
    """Cartesian MRI: the Fourier coefficients of a complex image, of which a mask keeps some.

    y = mask · F x, with the orthonormal discrete Fourier transform F, zero frequency in the middle

    Parameters
    ----------
    mask : bool Tensor (W,) or (H, W)    True where measured; (W,) keeps whole columns of a square grid

    Raises
    ------
    ValueError                   if the mask is not of this kind or keeps nothing

    Notes: maps (B, 2, H, W), real and imaginary part, to the same shape, zeros where nothing was measured. K Kᵀ is the
    mask, so the adjoint is the pseudo-inverse: zero filling.
    Source: lustig2007sparse.
    """

    def __init__(self, mask: torch.Tensor):
        if mask.dtype != torch.bool or mask.ndim not in (1, 2) or not mask.any():
            raise ValueError(f"mask: got {mask.dtype} of shape {tuple(mask.shape)}, {int(mask.sum())} entries kept, "
                             "wanted booleans (W,) or (H, W), some True")
        self.mask = mask.expand(len(mask), -1) if mask.ndim == 1 else mask
        self.image_shape = self.data_shape = 2, *self.mask.shape

    def project(self, x):
        return as_channels(centred(torch.fft.fft2, as_complex(x))) * self.mask

    def backproject(self, y):
        return as_channels(centred(torch.fft.ifft2, as_complex(y * self.mask)))

    def pinv(self, y: torch.Tensor) -> torch.Tensor:
        return self.adjoint(y)

    def consistent(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The image nearest to x whose measured coefficients are those of y: hard data consistency."""
        return x + self.adjoint(checked("y", y, self.data_shape) - self(x))


class MultiCoil(Operator):
    """Parallel MRI (SENSE): every coil sees the image times its sensitivity, of which one mask keeps some coefficients.

    y[c] = mask · F (S_c x) for each coil c, with F as in `MRI`

    Parameters
    ----------
    sensitivities : complex Tensor (C, H, W)    S_c of the C coils, kept in single precision
    mask : bool Tensor (W,) or (H, W)           as in `MRI`, the same for all coils

    Raises
    ------
    ValueError                   if the mask is not of this kind, or the sensitivities are not complex or of other shape

    Notes: maps (B, 2, H, W), real and imaginary part, to (B, 2, C, H, W), zeros where nothing was measured. The adjoint
    adds the zero-filled images of the coils times the conjugate sensitivities; it is not the pseudo-inverse.
    Source: pruessmann1999sense.
    """

    def __init__(self, sensitivities: torch.Tensor, mask: torch.Tensor):
        self.mask, self.sensitivities = MRI(mask).mask, sensitivities.to(torch.complex64)
        if not sensitivities.is_complex() or sensitivities.ndim != 3 or sensitivities.shape[1:] != self.mask.shape:
            raise ValueError(f"sensitivities: got {sensitivities.dtype} of shape {tuple(sensitivities.shape)}, "
                             f"wanted complex (C, H, W) with the mask's {tuple(self.mask.shape)}")
        self.image_shape, self.data_shape = (2, *self.mask.shape), (2, *sensitivities.shape)

    def project(self, x):
        return as_channels(centred(torch.fft.fft2, as_complex(x)[:, None] * self.sensitivities)) * self.mask

    def backproject(self, y):
        return as_channels((centred(torch.fft.ifft2, as_complex(y * self.mask)) * self.sensitivities.conj()).sum(1))


def centred(transform, z: torch.Tensor) -> torch.Tensor:
    """An orthonormal two-dimensional Fourier transform with pixel and frequency zero in the middle."""
    axes = (-2, -1)
    return torch.fft.fftshift(transform(torch.fft.ifftshift(z, dim=axes), norm="ortho"), dim=axes)


def as_complex(x: torch.Tensor) -> torch.Tensor:
    """(B, 2, H, W), real and imaginary part, as a complex (B, H, W)."""
    return torch.complex(x[:, 0], x[:, 1])


def as_channels(z: torch.Tensor) -> torch.Tensor:
    """A complex (B, H, W) as (B, 2, H, W), real and imaginary part."""
    return torch.stack([z.real, z.imag], dim=1)
