"""A diagnosis as pictures, and as one page of HTML."""

from brenier.plots.diagnosis.corner import plot_corner
from brenier.plots.diagnosis.page import About, diagnosis_page

__all__ = ["About", "diagnosis_page", "plot_corner"]
