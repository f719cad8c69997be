"""Write a scene as a georeferenced GeoTIFF."""

from __future__ import annotations

from pathlib import Path

from data_engine.synth.records import Scene
from vlm.errors import OutputError


def write_geotiff(scene: Scene, path: Path | str) -> Path:
    """Write RGB uint8 with the scene's CRS and affine, tiled, deflate; OutputError says why it cannot be written."""
    import rasterio
    from rasterio.errors import RasterioIOError
    from rasterio.transform import Affine

    target = Path(path)
    profile = {
        "driver": "GTiff", "width": scene.width, "height": scene.height, "count": 3, "dtype": "uint8", "crs": scene.crs,
        "transform": Affine(*scene.transform), "photometric": "RGB", "tiled": True, "blockxsize": 256,
        "blockysize": 256,
        "compress": "deflate", "predictor": 2,
    }  # fmt: skip
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(target, "w", **profile) as file:
            file.write(scene.rgb.transpose(2, 0, 1))
            file.descriptions = ("red", "green", "blue")
    except (OSError, RasterioIOError) as error:
        raise OutputError(
            f"scene {scene.seed} cannot be written to {target}: {error}; choose another folder"
        ) from error
    return target
