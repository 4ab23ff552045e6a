"""The reduced objective of mu: the last layer's weights solved for and substituted."""
