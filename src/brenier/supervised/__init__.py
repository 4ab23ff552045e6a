"""From a table with targets to a predictor: networks whose last layer is solved for.

`fit` is the recipe, `settings` holds its numbers, `scaling` brings columns to a common scale,
`search` trains one network on one split of the rows, `predictor` is what comes out and `report`
what is told of it. `convex` is the recipe of convex functions, `convex_settings` its numbers.
"""
