"""Verbs: one file per command of python -m eval_suites that is more than a few lines."""
