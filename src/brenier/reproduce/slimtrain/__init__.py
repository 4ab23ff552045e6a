"""slimTrain: stochastic variable projection, and how little it minds the learning rate."""
