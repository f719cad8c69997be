"""Large areas: overlapping windows over rasters of any size, asked one by one, merged into features on the map.

from serve.scan import scan
scan("area.tif", "Where are the ships?", out="ships.parquet")
"""

from __future__ import annotations

from serve.scan.options import ScanOptions
from serve.scan.run import Scanned, scan

__all__ = ["ScanOptions", "Scanned", "scan"]
