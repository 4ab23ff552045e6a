"""Basis functions f_mu(x) of regression and classification: outputs are their weighted sums."""
