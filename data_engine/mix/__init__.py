"""Mixing and streaming: weights -> one shuffled, sharded corpus, and readers that share it without loss or repeat.

recipe    what a mixture is made of: a Python function that returns a Mix
plan      the arithmetic: how often each source and task is drawn
order     a shuffled order that needs no memory
deal      every draw to its place: the two passes over the samples
corpus    the stage behind `python -m data_engine mix`
stream    one reader of several: a window in memory, resumes at the exact sample
lengths   tokens of a sample, as the model of a directory counts them
packing   what packing and padding make of these lengths
"""

from __future__ import annotations
