"""The room of scores: a model and a benchmark's cases -> numbers with their standard errors and baselines."""
