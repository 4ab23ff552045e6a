"""Densities from potentials: preprocessing, the map, its inverse, log-density."""
