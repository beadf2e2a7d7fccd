"""The forward operators against outside truth: adjoints, torch.fft, scikit-image, closed forms; and bad input."""
import numpy as np
import pytest
import torch
from skimage.transform import radon

import course

ANGLES = torch.arange(20) * 9.0
MASK = torch.rand(16, generator=torch.Generator().manual_seed(0)) < 0.4
COILS = torch.randn(3, 16, 16, dtype=torch.complex64, generator=torch.Generator().manual_seed(2))
OPERATORS = {
    "blur": course.Blur(16, torch.rand(5, 5, generator=torch.Generator().manual_seed(0))),
    "sums": course.Sums(16),
    "radon": course.Radon(16, ANGLES),
    "radon, more detectors": course.Radon(15, ANGLES[:3], 24),
    "mri, columns": course.MRI(MASK),
    "mri, points": course.MRI(torch.rand(12, 16, generator=torch.Generator().manual_seed(1)) < 0.3),
    "three coils": course.MultiCoil(COILS, MASK),
}


@pytest.fixture(params=OPERATORS)
def K(request):
    return OPERATORS[request.param]


def pair(K, dtype=torch.float64, seed=0):
    """A random image and random data, three of each."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(3, *shape, dtype=dtype, generator=generator) for shape in (K.image_shape, K.data_shape))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_adjoint_is_the_adjoint(K, dtype, tolerance):
    x, y = pair(K, dtype)
    Kx, Kty = K(x), K.adjoint(y)
    assert Kx.dtype == Kty.dtype == dtype and Kx.shape == y.shape and Kty.shape == x.shape
    assert abs((Kx * y).sum() - (x * Kty).sum()) < tolerance * Kx.norm() * y.norm()


def test_gradient_is_the_adjoint(K):
    x, y = pair(K)
    for operator, adjoint, at, weight in ((K, K.adjoint, x, y), (K.adjoint, K, y, x)):
        at = at.clone().requires_grad_()
        (operator(at) * weight).sum().backward()
        assert torch.allclose(at.grad, adjoint(weight), atol=1e-12)


def test_pinv_is_the_pseudo_inverse(K):
    _, y = pair(K)
    want = y.reshape(3, -1) @ torch.linalg.pinv(K.matrix(), rtol=1e-10).T
    assert torch.allclose(K.pinv(y).reshape(3, -1), want, atol=1e-9)


def test_operator_refuses_what_is_no_image_or_no_data(K):
    x, y = pair(K)
    for name, call, good in (("x", K, x), ("y", K.adjoint, y), ("y", K.pinv, y)):
        for bad in (good[0], good[..., :-1], good[:, :, :-1], good[:, None]):
            with pytest.raises(ValueError, match=rf"^{name}: got shape .*, wanted \(B, "):
                call(bad)
        for value in (float("nan"), float("inf")):
            bad = good.clone()
            bad.view(-1)[5] = value
            with pytest.raises(ValueError, match=f"^{name}: got values that are not finite"):
                call(bad)


# Row and column sums

@pytest.mark.parametrize("n", [2, 5, 8])
def test_sums_have_rank_2n_minus_1(n):
    assert len(course.Sums(n).svd[1]) == 2 * n - 1


def test_sums_are_sums_and_their_pinv_a_plaid():
    x = torch.tensor([[[[1.0, 2.0], [3.0, 5.0]]]])
    K = course.Sums(2)
    assert K(x).tolist() == [[[3.0, 8.0], [4.0, 7.0]]]
    assert torch.allclose(K.pinv(K(x)), torch.tensor([[[[0.75, 2.25], [3.25, 4.75]]]]))


# CT

def test_every_view_keeps_the_mass():
    x = course.ellipses(4, 64, seed=0).double()
    views = course.Radon(64, ANGLES)(x).sum(3)  # (4, 1, 20)
    assert torch.allclose(views, x.sum((2, 3))[..., None].expand_as(views), rtol=1e-12)


def test_view_at_0_degrees_sums_columns_and_at_90_rows():
    x = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    x[..., 2, 5] = 1
    y = course.Radon(8, torch.tensor([0.0, 90.0]))(x)[0, 0]
    share = torch.tensor([1, 7, 1]) / 9  # its outer thirds give a third each to the next bin
    assert torch.allclose(y[0, 4:7], share.double()) and torch.allclose(y[1, 1:4], share.double())
    assert y.sum().item() == pytest.approx(2)


@pytest.mark.parametrize(("size", "tolerance"), [(65, 0.01), (64, 0.09)])
def test_radon_is_scikit_images_up_to_its_convention(size, tolerance):
    """It turns the other way, so its angle −θ is our θ; and about pixel size // 2, half a pixel off for even sizes."""
    x = course.ellipses(2, size, seed=1)
    theirs = np.stack([radon(image[0].numpy(), theta=-ANGLES.numpy(), circle=True).T for image in x])[:, None]
    ours = course.Radon(size, ANGLES)(x).numpy()
    assert np.linalg.norm(ours - theirs) < tolerance * np.linalg.norm(theirs)


def test_fbp_from_many_angles_is_the_image():
    x = course.ellipses(3, 64, seed=2)
    errors = [course.rmse(K.fbp(K(x)), x).max() for K in (course.Radon(64, torch.arange(n) * 180 / n)
                                                          for n in (15, 60, 240))]
    assert errors[0] > 1.5 * errors[1] and errors[1] >= errors[2] and errors[2] < 0.03


def test_radon_is_a_sparse_product_with_at_most_three_bins_a_pixel_and_view():
    K = course.Radon(64, ANGLES)
    A, At = K.lines.pair(torch.float32)
    assert len(A.values()) == len(At.values()) <= 3 * len(ANGLES) * 64**2
    assert K.lines.pair(torch.float32)[0] is A, "the matrix is made again at each call"


@pytest.mark.parametrize(("arguments", "said"), [
    (dict(size=0, angles=ANGLES), "Radon: got size 0"),
    (dict(size=8, angles=ANGLES, detectors=0), "Radon: got size 8, detectors 0"),
    (dict(size=8, angles=torch.tensor([])), r"angles: got \[\], wanted increasing degrees"),
    (dict(size=8, angles=torch.tensor([0.0, 180.0])), r"angles: got \[0.0, 180.0\], .* degrees in \[0, 180\)"),
    (dict(size=8, angles=torch.tensor([-1.0, 3.0])), "angles: got"),
    (dict(size=8, angles=torch.tensor([float("nan")])), r"angles: got \[nan\]"),
    (dict(size=8, angles=torch.tensor([9.0, 3.0])), r"angles: got \[9.0, 3.0\], wanted increasing"),
    (dict(size=8, angles=torch.tensor([[1.0]])), "angles: got"),
])
def test_radon_refuses_bad_geometry(arguments, said):
    with pytest.raises(ValueError, match=said):
        course.Radon(**arguments)


# MRI

def test_mri_is_torchs_orthonormal_fft():
    x, _ = pair(OPERATORS["mri, columns"])
    z = torch.fft.fft2(torch.fft.ifftshift(torch.complex(x[:, 0], x[:, 1]), dim=(1, 2)), norm="ortho")
    want = torch.fft.fftshift(z, dim=(1, 2)) * MASK
    y = OPERATORS["mri, columns"](x)
    assert torch.allclose(torch.complex(y[:, 0], y[:, 1]), want, atol=1e-12)
    everything = course.MRI(torch.ones(16, dtype=torch.bool))
    assert torch.allclose(everything.adjoint(everything(x)), x, atol=1e-12)


def test_mri_keeps_the_middle_column_as_frequency_zero():
    only_zero = torch.zeros(8, dtype=torch.bool)
    only_zero[4] = True
    x = torch.arange(8.0)[:, None].expand(8, 8).expand(1, 2, 8, 8)  # constant along rows
    K = course.MRI(only_zero)
    assert torch.allclose(K.adjoint(K(x)), x, atol=1e-5)


def test_hard_consistency_is_a_projection():
    K = OPERATORS["mri, columns"]
    x, other = pair(K)
    y = K(other)
    z = K.consistent(x, y)
    assert torch.allclose(K(z), y, atol=1e-12) and torch.allclose(K.consistent(z, y), z, atol=1e-12)
    assert ((z - other).flatten(1).norm(dim=1) <= (x - other).flatten(1).norm(dim=1)).all()


@pytest.mark.parametrize("mask", [torch.ones(8), torch.zeros(8, dtype=torch.bool), torch.ones(2, 2, 2) > 0])
def test_mri_refuses_bad_masks(mask):
    with pytest.raises(ValueError, match=f"mask: got {mask.dtype} of shape"):
        course.MRI(mask)


def test_one_coil_that_sees_all_alike_is_mri():
    x, _ = pair(OPERATORS["mri, columns"])
    K = course.MultiCoil(torch.ones(1, 16, 16, dtype=torch.complex64), MASK)
    assert torch.allclose(K(x)[:, :, 0], OPERATORS["mri, columns"](x), atol=1e-12)


@pytest.mark.parametrize(("coils", "said"), [
    (COILS.real, "got torch.float32 of shape"), (COILS[0], r"of shape \(16, 16\)"),
    (COILS[:, :8], r"the mask's \(16, 16\)"),
])
def test_coils_refuse_what_is_no_sensitivity(coils, said):
    with pytest.raises(ValueError, match=f"^sensitivities: .*{said}"):
        course.MultiCoil(coils, MASK)


# Phantoms of ellipses

def test_ellipses_are_seeded_and_inside_the_circle():
    x = course.ellipses(20, 64, seed=3)
    assert x.shape == (20, 1, 64, 64) and x.min() == 0 and x.max() <= 1
    assert torch.equal(x, course.ellipses(20, 64, seed=3)) and not torch.equal(x, course.ellipses(20, 64, seed=4))
    at = (torch.arange(64) + 0.5) / 32 - 1
    assert x[..., at[:, None] ** 2 + at**2 > 1].max() == 0
    with pytest.raises(ValueError, match="ellipses: got count 0"):
        course.ellipses(0, seed=0)
