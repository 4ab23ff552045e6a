"""A user's table as weighted rows: checks, bounds, distinct rows, split; data sets."""
