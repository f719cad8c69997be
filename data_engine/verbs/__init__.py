"""The verbs of `python -m data_engine`: one file each, its function named after the verb."""
