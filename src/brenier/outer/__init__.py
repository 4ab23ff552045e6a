"""The search over mu, all weights but the last layer's: where potential and inner solver meet."""
