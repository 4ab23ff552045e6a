"""The convex problem in the last layer's weights w: its objective and its two solvers."""
