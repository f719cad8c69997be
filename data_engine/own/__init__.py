"""A user's own rasters and labels: read and placed, cut into windows, split apart on the ground, written as data.

labels    label files of any kind -> objects in the pixels of their images
classes   what a feature's fields say it is
split     windows for training, and windows far from these for the scores
written   windows -> stores of samples, and the cases that the benchmark runner asks
"""

from __future__ import annotations
