"""Arrays as the package passes them: JAX inside compiled code, NumPy between calls."""

import jax
import numpy as np

Array = jax.Array | np.ndarray
