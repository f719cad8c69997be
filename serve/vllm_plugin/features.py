"""What the encoder said of pictures that were asked about before: a cache bounded in bytes, least recently used first.

The encoder does not read the instruction, so its patches serve every question about a picture.
"""

from __future__ import annotations

from collections import OrderedDict

import torch

Key = tuple[int, int]


class Features:
    """Keep patches by the picture they came from."""

    def __init__(self, most_bytes: int) -> None:
        self._most, self._bytes = most_bytes, 0
        self._kept: OrderedDict[Key, torch.Tensor] = OrderedDict()
        self.found = self.missed = 0

    def get(self, key: Key) -> torch.Tensor | None:
        """Give the patches of a picture, or None."""
        patches = self._kept.get(key)
        if patches is None:
            self.missed += 1
            return None
        self._kept.move_to_end(key)
        self.found += 1
        return patches

    def put(self, key: Key, patches: torch.Tensor) -> None:
        """Keep the patches of a picture, as a copy of their own, and let the oldest go; too many are not kept."""
        if patches.nbytes > self._most or key in self._kept:
            return
        self._kept[key] = patches.clone()
        self._bytes += patches.nbytes
        while self._bytes > self._most:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= oldest.nbytes

    @property
    def bytes(self) -> int:
        """Count what is held."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._kept)
