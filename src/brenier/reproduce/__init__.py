"""The thesis, reproduced: its optimizers, tables and figures, on data of known density."""
