"""Cleaning a corpus: duplicates, leakage into test sets, bad text, bad geometry, captions that do not fit.

signature     144 numbers of a picture that tell it again after re-encoding, resizing, mirroring and quarter turns
index         which pictures of a million are the same, without comparing every two
fingerprints  what a store is made of: the first pass over it
duplicates    the verdict over each sample: held out, seen before, unreadable
text          the words of a sample
language      which language words are in
geometry      the regions of a sample
scores        how well a caption fits its image, however the image is turned (through the seam `Scorer`)
"""

from __future__ import annotations
