"""The images that a STAC file names: an Item, an ItemCollection, or the result of a search (a JSON file).

An item's image is the asset that was asked for; else the only one with the role visual, overview-less data, or the only
image that is no thumbnail. Relative addresses are resolved against the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from vlm.errors import DataError

_ROLES = ("visual", "data")
_NO_PICTURE = {"thumbnail", "overview", "metadata", "cloud", "snow-ice", "data-mask", "water-mask"}
_SUFFIXES = (".tif", ".tiff", ".vrt", ".jp2", ".png", ".jpg", ".jpeg")


def find_assets(file: Path, *, asset: str | None = None) -> Iterator[str]:
    """Yield the address of one image per item, in the file's order; DataError says what is wrong with which item."""
    for number, item in enumerate(_items(file), start=1):
        name = str(item.get("id", number))
        assets = item.get("assets")
        if not isinstance(assets, dict):
            raise DataError(f"item {name!r} of {file} has no assets: expected a STAC Item with an image")
        key = _choose(assets, asset, f"item {name!r} of {file}")
        yield _resolve(str(assets[key]["href"]), file)


def _items(file: Path) -> list[dict[str, Any]]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read as JSON ({error}): expected a STAC ItemCollection or Item") from error
    kind = content.get("type") if isinstance(content, dict) else None
    found = content.get("features") if kind == "FeatureCollection" else [content] if kind == "Feature" else None
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise DataError(
            f"{file} is no STAC file of items: expected a FeatureCollection (an ItemCollection, or the result of a "
            "search) or one Item; a Catalog is searched first, with pystac-client for example"
        )
    if not found:
        raise DataError(f"{file} holds no items: the search found nothing")
    return found


def _choose(assets: dict[str, Any], wanted: str | None, where: str) -> str:
    """Choose the key of an item's image."""
    images = {key: value for key, value in assets.items() if _is_image(value)}
    if wanted is not None:
        if wanted in assets and isinstance(assets[wanted], dict) and assets[wanted].get("href"):
            return wanted
        raise DataError(f"{where} has no asset {wanted!r}: it has {', '.join(assets) or 'none'}")
    plain = {key: roles for key, value in images.items() if not (roles := _roles(value)) & _NO_PICTURE}
    for role in _ROLES:
        having = [key for key, roles in plain.items() if role in roles or key == role]
        if len(having) == 1:
            return having[0]
    if len(plain) == 1:
        return next(iter(plain))
    raise DataError(
        f"{where} has {len(plain)} images that could be meant ({', '.join(plain) or 'none'}): name one with --asset"
    )


def _is_image(asset: Any) -> bool:
    if not isinstance(asset, dict) or not isinstance(asset.get("href"), str):
        return False
    return str(asset.get("type", "")).startswith("image/") or asset["href"].lower().split("?")[0].endswith(_SUFFIXES)


def _roles(asset: dict[str, Any]) -> set[str]:
    roles = asset.get("roles")
    return {str(role) for role in roles} if isinstance(roles, list) else set()


def _resolve(href: str, file: Path) -> str:
    """Give an address that GDAL opens: remote ones as they are, files as paths, relative to the STAC file."""
    parts = urlsplit(href)
    if parts.scheme == "file":
        return unquote(parts.path)
    if parts.scheme or href.startswith("/"):
        return href
    return str((file.resolve().parent / unquote(href)).resolve())
