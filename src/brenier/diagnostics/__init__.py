"""Is the density good: what rows not seen say of it, as numbers and as what a picture needs.

If a model is right, z of rows that it has not seen is standard normal, and the rows and draws of
the model are exchangeable. Everything here follows from one or the other.
"""
