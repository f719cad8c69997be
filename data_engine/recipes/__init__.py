"""Recipes: pure functions (sample, seed) -> samples, one family a file, and the dict of them.

    from annotations of objects   ground detect count presence compare size position relate region colour mask ladder
                                  negatives box_caption zoom
    from a scene class            scene
    from pairs                    change cdvqa
    from maps and land cover      maps landcover
    from any sample               turned

What a recipe reads is in data_engine.annotations; a sample that lacks it gives nothing.
"""

from __future__ import annotations

from typing import Final

from data_engine.recipes.box_caption import box_caption
from data_engine.recipes.cdvqa import cdvqa
from data_engine.recipes.change import change
from data_engine.recipes.colour import colour
from data_engine.recipes.compare import compare
from data_engine.recipes.count import count
from data_engine.recipes.detect import detect
from data_engine.recipes.ground import ground
from data_engine.recipes.ladder import ladder
from data_engine.recipes.landcover import landcover
from data_engine.recipes.maps import maps
from data_engine.recipes.mask import mask
from data_engine.recipes.negatives import negatives
from data_engine.recipes.position import position
from data_engine.recipes.presence import presence
from data_engine.recipes.recipe import Recipe
from data_engine.recipes.region import region
from data_engine.recipes.relate import relate
from data_engine.recipes.scene import scene
from data_engine.recipes.size import size
from data_engine.recipes.turned import turned
from data_engine.recipes.zoom import zoom
from vlm.errors import DataError

__all__ = ["RECIPES", "Recipe", "find_recipes"]

RECIPES: Final[dict[str, Recipe]] = {
    recipe.__name__: recipe
    for recipe in (
        ground, detect, count, presence, compare, size, position, relate, region, colour, mask, ladder, negatives,
        box_caption, zoom, scene, change, cdvqa, maps, landcover, turned,
    )
}  # fmt: skip


def find_recipes(names: str) -> dict[str, Recipe]:
    """Give the recipes of a list such as "ground,count"; an unknown name raises DataError that lists the known ones."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in RECIPES]
    if unknown or not wanted:
        raise DataError(f"no recipe is called {', '.join(unknown) or names!r}: known are {', '.join(RECIPES)}")
    return {name: RECIPES[name] for name in dict.fromkeys(wanted)}
