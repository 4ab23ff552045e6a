"""brenier: density estimation with convex potential flows."""
