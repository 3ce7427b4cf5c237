"""One run of a model, observed: the clone that runs, and who owns what happens in it."""
