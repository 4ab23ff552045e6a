"""From rows to a model, its baseline and its report."""
