"""GNvpro: variable projection for regression and classification, with Gauss-Newton outside."""
