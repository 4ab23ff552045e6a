"""Measurements: one command each, every figure printed and kept with the machine it came from."""
