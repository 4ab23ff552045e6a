"""Tables that a command fits in seconds, and the options that make it so."""

import numpy as np
import polars as pl

NAMES = ("speed", "mass")
SIZE = ("--widths", "4", "--max-iter", "5", "--n-estimators", "1")
SMALL = (*SIZE, "--decay", "0.001", "--n-radial", "0")


def rows(n_rows=200, seed=0):
    """Return rows of two dependent columns, the second positive."""
    rng = np.random.default_rng(seed)
    speed = rng.normal(size=n_rows)
    mass = np.exp(0.5 * speed**2 + 0.3 * rng.normal(size=n_rows))
    return np.column_stack([speed, mass])


def named(X, names=NAMES):
    """Return a table of rows."""
    return pl.from_numpy(X, schema=list(names))


def write(path, text):
    path.write_text(text)
    return path
