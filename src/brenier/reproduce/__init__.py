"""The thesis, reproduced: its training schemes, tables and figures, on data of known density."""
