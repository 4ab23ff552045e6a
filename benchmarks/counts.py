"""Arithmetic that the kernels cannot do without, in floating-point operations.

N rows, n columns, P = n (n + 1) / 2 packed entries of a symmetric matrix, widths d_1, ..., d_l of
the hidden layers, k features with a Hessian. A fused multiply-add counts as two operations.
"""

from itertools import pairwise


def packed(n: int) -> int:
    """Return P."""
    return n * (n + 1) // 2


def between_layers(widths: tuple[int, ...]) -> int:
    """Return sum_i d_i d_{i-1}: the entries of all matrices from hidden layer to hidden layer."""
    return sum(below * above for below, above in pairwise(widths))


def feature_operations(N: int, n: int, widths: tuple[int, ...]) -> int:
    """Return the operations of all features with gradients and Hessians, by jets.

    Matrix products of 1 + n + P channels between layers, K x in every layer, and
    H -> s' H + s'' D D^T (4 operations) with D -> s' D.
    """
    P, units = packed(n), sum(widths)
    products = 2 * N * ((1 + n + P) * between_layers(widths) + n * units)
    return products + N * units * (4 * P + n)


def newton_operations(N: int, n: int, k: int, r: int) -> int:
    """Return the operations of J, its gradient and its Hessian in w, features given.

    A = sum_i w_i H_i; for k features S_i = L^{-1} H_i L^{-T}, its lower triangle only, from the
    triangle of L^{-1} H_i; for the r of rank one t_i = L^{-1} d_i and t_i t_i^T; and S^T S.
    """
    P = packed(n)
    half = n * (n + 1) * (2 * n + 1) // 6
    whole = n * (n + 1) * (n + 2) // 6
    return 2 * N * (P * (k + r) + k * (half + whole) + 2 * r * P + P * (k + r) ** 2)


def gradient_products(N: int, n: int, widths: tuple[int, ...]) -> int:
    """Return the operations in matrix products of J and its gradient in mu, by the scalar form.

    Forward, between layers: u L^T (1 channel), E L^T (n channels), (v s') L (1 channel); and X K^T
    in every layer. Backward each is two products of its own size, but X has no derivative.
    """
    return 2 * N * (3 * (n + 2) * between_layers(widths) + 2 * n * sum(widths))


def gradient_operations(N: int, n: int, widths: tuple[int, ...]) -> int:
    """Return `gradient_products` with sum_k v_k s''_k D_k D_k^T, forward and twice backward."""
    return gradient_products(N, n, widths) + 3 * 2 * N * packed(n) * sum(widths)


def activations(N: int, widths: tuple[int, ...]) -> int:
    """Return how many times s, s', s'' are evaluated for J and its gradient: s''' is a product."""
    return N * sum(widths)
