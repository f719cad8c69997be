"""Write a scene as a georeferenced GeoTIFF, to a file or to bytes: all its bands, with their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data_engine.synth.records import Scene
from vlm.errors import OutputError
from vlm.output import replacing


def write_geotiff(scene: Scene, path: Path | str) -> Path:
    """Write a scene's bands with CRS and affine, tiled, deflate; OutputError says why it cannot be written."""
    from rasterio.errors import RasterioError

    target = Path(path)
    tiles = {"tiled": True, "blockxsize": 256, "blockysize": 256}
    try:
        with replacing(target) as temporary:
            temporary.write_bytes(_encode(scene, tiles))
    except RasterioError as error:
        raise OutputError(
            f"scene {scene.seed} cannot be written to {target}: {error}; choose another folder"
        ) from error
    return target


def encode_geotiff(scene: Scene) -> bytes:
    """Encode a scene's bands with CRS and affine, deflate at its fastest; Pillow reads those of RGB scenes too."""
    return _encode(scene, {"zlevel": 1})


def _encode(scene: Scene, options: dict[str, Any]) -> bytes:
    from rasterio.io import MemoryFile
    from rasterio.transform import Affine

    data = scene.data
    profile = {
        "driver": "GTiff", "width": scene.width, "height": scene.height, "count": data.shape[2], "dtype": data.dtype,
        "crs": scene.crs, "transform": Affine(*scene.transform), "compress": "deflate", "predictor": 2, **options,
    }  # fmt: skip
    if scene.sensor == "rgb":
        profile["photometric"] = "RGB"
    with MemoryFile() as memory:
        with memory.open(**profile) as file:
            file.write(data.transpose(2, 0, 1))
            file.descriptions = scene.band_names
        return bytes(memory.getbuffer())
