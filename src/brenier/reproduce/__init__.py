"""The thesis, reproduced: its training optimizers, tables and figures, on data of known density."""
