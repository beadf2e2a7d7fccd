"""A sparse matrix and its exact transpose as one product that can be differentiated."""
import warnings

import torch


class Sparse:
    """A sparse matrix A (m, n): `A(x)` is x Aᵀ for rows x (B, n), `A.adjoint(y)` is y A for rows y (B, m).

    Parameters
    ----------
    entries : sparse Tensor (m, n)

    Notes: both are differentiable and keep the precision of x and y.
    """

    def __init__(self, entries: torch.Tensor):
        self.entries, self.cast = entries, {}

    def pair(self, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """The matrix and its transpose, compressed by rows, in this precision."""
        if dtype not in self.cast:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")  # known, and tested here
                self.cast[dtype] = tuple(A.to(dtype).to_sparse_csr() for A in (self.entries, self.entries.T))
        return self.cast[dtype]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return Product.apply(*self.pair(x.dtype), x)

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        return Product.apply(*self.pair(y.dtype)[::-1], y)


class Product(torch.autograd.Function):
    """x (B, n) -> x Aᵀ (B, m) for a sparse A (m, n) whose transpose is at hand for the gradient."""

    @staticmethod
    def forward(ctx, A, At, x):
        ctx.matrices = A, At
        return (A @ x.T).T

    @staticmethod
    def backward(ctx, g):
        A, At = ctx.matrices
        return None, None, Product.apply(At, A, g)
