"""Some columns of a density given others, or without others: integrals of functions of rows."""
