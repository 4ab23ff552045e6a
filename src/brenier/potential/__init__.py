"""The model: the convex potential Phi(x) = w . f_mu(x) and its derivatives."""
