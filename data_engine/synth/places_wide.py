"""Places of a kilometre and more, for pixels of 2-10 metres: landscapes, towns, coasts and airports from space."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from data_engine.synth.builder import FREE, PAVED, SOLID, Builder
from data_engine.synth.outlines import RECT, blob, ribbon, strip, wander
from data_engine.synth.parts import add_building, add_plane, add_ship, add_tank
from data_engine.synth.places_nature import CROPS, Box, split_fields
from data_engine.synth.towns import lay_town, square, village


def countryside(b: Builder, *, woods: int = 5) -> None:
    """Lay out fields, woods and winding roads: what lies around everything else."""
    r = b.reach
    b.ground = b.pick(("grass", "meadow", "soil"))
    for x1, y1, x2, y2 in split_fields(b, (-r, -r, r, r), float(b.rng.uniform(180, 420))):
        gap = float(b.rng.uniform(3, 9))
        ring = b.rect(x1 + gap, y1 + gap, x2 - gap, y2 - gap) + b.rng.normal(0, 8, (4, 2))
        b.area(b.pick((*CROPS, "meadow", "grass")), ring, soft_m=4, row_deg=90.0 if x2 - x1 > y2 - y1 else 0.0)
    for x, y in b.spots(woods):
        b.area("forest", blob(b.rng, float(b.rng.uniform(0.06, 0.2)) * b.half, x=x, y=y), soft_m=6)
    for _ in range(int(b.rng.integers(1, 4))):
        _winding_road(b, float(b.rng.uniform(-0.7, 0.7)) * b.half, b.chance(0.5))


def _villages(b: Builder, count: int) -> None:
    for _ in range(count):
        village(b)


def _winding_road(b: Builder, offset: float, across: bool) -> None:
    at = np.linspace(-b.reach, b.reach, 40)
    path = np.stack([at, wander(b.rng, 40, 0.12 * b.half) + offset], axis=1)
    b.area("asphalt", ribbon(path[:, ::-1] if across else path, float(b.rng.uniform(7, 14))), block=SOLID)


def _waterway(b: Builder, width: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Lay a river from side to side with its banks; give its path and its width along it."""
    at = np.linspace(-1.1 * b.reach, 1.1 * b.reach, 96)
    path = np.stack([at, wander(b.rng, 96, 0.35 * b.half) + float(b.rng.uniform(-0.3, 0.3)) * b.half], axis=1)
    wide = float(b.rng.uniform(*width)) * (1 + wander(b.rng, 96, 0.2)).clip(0.4)
    b.area("forest", *strip(path, wide + float(b.rng.uniform(40, 160))), soft_m=8)
    b.area("sand", *strip(path + wander(b.rng, 96, 12)[:, None], wide * 1.1), soft_m=6)
    b.area(b.pick(("green_water", "brown_water", "sea")), *strip(path, wide), soft_m=4, block=PAVED)
    return path, wide


def farmland(b: Builder) -> None:
    """Lay out farmland with few villages."""
    countryside(b, woods=3)
    _villages(b, int(b.rng.integers(0, 3)))


def forest(b: Builder) -> None:
    """Lay out closed forest with clearings, a lake and a road."""
    b.ground = "forest"
    for x, y in b.spots(int(b.rng.integers(3, 12))):
        ring = blob(b.rng, float(b.rng.uniform(0.04, 0.16)) * b.half, x=x, y=y)
        b.area(b.pick(("grass", "meadow", "soil", "crop_green")), ring, soft_m=6)
    if b.chance(0.4):
        b.area("sea", blob(b.rng, 0.2 * b.half) + b.spots(1, 0.6), soft_m=4, block=PAVED)
    _winding_road(b, float(b.rng.uniform(-0.5, 0.5)) * b.half, b.chance(0.5))


def river(b: Builder) -> None:
    """Lay out a river through the countryside."""
    countryside(b)
    _waterway(b, (60, 60 + 0.12 * b.half))
    _villages(b, 2)


def bridge(b: Builder) -> None:
    """Lay out a wide river with one to three bridges and a town on its banks."""
    countryside(b)
    path, wide = _waterway(b, (110, 150 + 0.1 * b.half))
    _villages(b, 3)
    for share in b.rng.permutation(np.array((0.3, 0.5, 0.7)))[: int(b.rng.integers(1, 4))]:
        index = int(share * len(path))
        x, y = path[index].tolist()
        along = path[index + 1] - path[index - 1]
        turn = float(np.degrees(np.arctan2(along[1], along[0]))) + 90
        deck, length = float(b.rng.uniform(18, 32)), float(wide[index]) * 1.15 + 30
        heading = np.array((np.cos(np.radians(turn)), np.sin(np.radians(turn))))
        b.area("asphalt", ribbon(np.array((path[index] - heading * 3 * b.half, path[index] + heading * 3 * b.half)),
                                 deck * 0.8))  # fmt: skip
        b.thing("bridge", RECT, x, y, length=length, width=deck, angle=turn, height=12,
                colour=("gray", (158, 158, 154)), avoid=FREE, ground=PAVED)  # fmt: skip


def pond(b: Builder) -> None:
    """Lay out a lake among fields and woods."""
    countryside(b, woods=8)
    ring = blob(b.rng, float(b.rng.uniform(0.3, 0.55)) * b.half, 96)
    b.area("forest", ring * 1.15, soft_m=10)
    b.area("sand", ring * 1.03, soft_m=5)
    b.area(b.pick(("green_water", "sea", "brown_water")), ring, soft_m=3, block=PAVED)
    _villages(b, 2)


def _town(kind: str) -> Callable[[Builder], None]:
    def lay(b: Builder) -> None:
        countryside(b)
        lay_town(b, kind, blob(b.rng, 1.35 * b.half, 64).clip(-1.2 * b.reach, 1.2 * b.reach))
        for x, y in b.spots(3):
            ring = blob(b.rng, float(b.rng.uniform(60, 200)), x=x, y=y)
            b.area(b.pick(("lawn", "grass", "forest")), ring, soft_m=5)
        if kind in ("industrial", "commercial"):
            _halls(b, 14 if kind == "industrial" else 6)

    lay.__doc__ = f"Lay out a quarter of kind {kind} that fills most of the image."
    return lay


def _halls(b: Builder, count: int) -> None:
    """Stand some large halls, which are large enough for labels."""
    turn = float(b.rng.uniform(0, 90))
    for x, y in b.spots(count, 0.8):
        length, width = b.rng.uniform((90, 60), (220, 110)).tolist()
        if add_building(b, x, y, length, width, angle=turn, style="shed", height=12, avoid=FREE, gap_m=4):
            b.area("lot", _around(x, y, length + 40, width + 40, turn))


def _around(x: float, y: float, length: float, width: float, turn_deg: float) -> np.ndarray:
    cos, sin = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    return RECT * (length, width) @ np.array(((cos, sin), (-sin, cos))) + (x, y)


def airport(b: Builder) -> None:
    """Lay out runways with taxiways, an apron with a terminal and planes, grass around, fields beyond."""
    countryside(b, woods=3)
    long, y = float(b.rng.uniform(2000, 3400)), float(b.rng.uniform(-0.3, 0.1)) * b.half
    x = float(b.rng.uniform(-0.2, 0.2)) * b.half
    b.area("grass", b.rect(x - long / 2 - 120, y - 190, x + long / 2 + 120, y + 560), soft_m=8, block=PAVED)
    runways = (y,) if b.chance(0.6) else (y, y - 330)
    for at in runways:
        b.area("asphalt", b.rect(x - long / 2, at - 23, x + long / 2, at + 23))
        b.line([(x - long / 2, at), (x + long / 2, at)], width_m=1.2, dash_m=30)
        for end in (-1, 1):
            for mark in np.arange(-18, 19, 5.0):
                start = x + end * (long / 2 - 8)
                b.line([(start, at + mark), (start - end * 32, at + mark)], width_m=2.2)
    taxi = y + 150
    rings = [b.rect(x - long / 2, taxi - 12, x + long / 2, taxi + 12)]
    rings += [b.rect(at - 14, y, at + 14, taxi) for at in np.linspace(x - long / 2 + 14, x + long / 2 - 14, 5)]
    b.area("asphalt", *rings)
    half = float(b.rng.uniform(250, 500))
    b.area("concrete", b.rect(x - half, taxi, x + half, taxi + 230))
    add_building(b, x, taxi + 265, 1.5 * half, 50, style="flat", height=18, avoid=SOLID, variant="flat")
    for hall in np.arange(x - half, x + half, 130):
        add_building(b, float(hall), taxi + 345, 95, 60, style="shed", height=15, avoid=SOLID)
    b.area("lot", b.rect(x - half, taxi + 390, x + half, taxi + 470))
    for at in np.arange(x - half + 40, x + half - 30, float(b.rng.uniform(62, 80))):
        if b.chance(0.75):
            add_plane(b, float(at), taxi + 195, float(b.pick((-90.0, 90.0))), float(b.rng.uniform(38, 64)))
    _villages(b, 1)


def _coast(b: Builder, amplitude: float, level: float) -> Callable[[float], np.ndarray]:
    """Draw a shore line; give the function that outlines the land behind it, moved inland by some metres."""
    b.ground = "sea"
    at = np.linspace(-1.1 * b.reach, 1.1 * b.reach, 96)
    shore = wander(b.rng, 96, amplitude) + level

    def land(inland: float) -> np.ndarray:
        line = np.stack([at, shore - inland], axis=1)
        return np.concatenate([line, [(1.1 * b.reach, -2 * b.reach), (-1.1 * b.reach, -2 * b.reach)]])

    return land


def beach(b: Builder) -> None:
    """Lay out a shore: sea, shallows, sand, then woods, fields and a town."""
    land = _coast(b, 0.14 * b.half, float(b.rng.uniform(-0.2, 0.3)) * b.half)
    b.area("shallow", land(-0.1 * b.half), soft_m=0.04 * b.half)
    b.area("foam", land(-10), soft_m=5)
    b.area("sand", land(0.0), soft_m=3)
    b.area(b.pick(("grass", "forest", "meadow")), land(float(b.rng.uniform(60, 160))), soft_m=8)
    hinterland = land(260)
    for x1, y1, x2, y2 in _fields_behind(b, float(hinterland[:96, 1].min())):
        b.area(b.pick(CROPS), b.rect(x1 + 5, y1 + 5, x2 - 5, y2 - 5), soft_m=4, row_deg=90)
    x = float(b.rng.uniform(-0.5, 0.5)) * b.half
    y = float(np.interp(x, hinterland[:96, 0], hinterland[:96, 1]))
    ring = blob(b.rng, 0.3 * b.half, x=x, y=y - 0.33 * b.half)
    lay_town(b, b.pick(("medium residential", "dense residential")), ring)


def _fields_behind(b: Builder, line: float) -> list[Box]:
    r = b.reach
    return split_fields(b, (-r, -r, r, line), float(b.rng.uniform(180, 380))) if line > -r + 200 else []


def port(b: Builder) -> None:
    """Lay out a sea port: quays and basins with ships, sheds, container yards, tanks, a breakwater, a town behind."""
    r, level = b.reach, float(b.rng.uniform(-0.25, 0.1)) * b.half
    land = _coast(b, 0.05 * b.half, level)
    b.area("concrete", land(0.0))
    _quays(b, level)
    lay_town(b, "industrial", b.rect(-r, level - 650, r, level - 190))
    lay_town(b, b.pick(("dense residential", "medium residential")), b.rect(-r, -r, r, level - 660))
    for x in np.arange(-0.8 * b.half, 0.8 * b.half, 75):
        if b.chance(0.4):
            add_tank(b, float(x), level - 150, float(b.rng.uniform(30, 60)))
    far = level + float(b.rng.uniform(0.6, 0.8)) * b.half
    b.thing("pier", RECT, float(b.rng.uniform(-0.3, 0.3)) * b.half, far, length=1.1 * b.half, width=24, height=4,
            angle=float(b.rng.normal(0, 6)), colour=("gray", (150, 144, 134)))  # fmt: skip
    for x, y in b.rng.uniform((-r, level + 250), (r, max(r, level + 400)), (7, 2)):
        add_ship(b, float(x), float(y), float(b.rng.uniform(0, 360)), float(b.rng.uniform(80, 280)))


def _quays(b: Builder, level: float) -> None:
    """Build piers into the water with ships along both sides, and sheds and containers on them."""
    for x in np.arange(-0.9 * b.half, 0.9 * b.half, float(b.rng.uniform(330, 480))).tolist():
        if b.chance(0.25):
            continue
        long, wide = float(b.rng.uniform(300, 620)), float(b.rng.uniform(90, 150))
        b.area("concrete", b.rect(x - wide / 2, level - 60, x + wide / 2, level + long))
        for at in np.arange(level + 40, level + long - 60, 95).tolist():
            if b.chance(0.7):
                add_building(b, x, at, wide * 0.45, 70, style="shed", height=12, avoid=SOLID)
        for side in (-1, 1):
            at = level + 60.0
            while at < level + long:
                size = float(b.rng.uniform(90, 300))
                if b.chance(0.65):
                    add_ship(b, x + side * (wide / 2 + 0.1 * size + 4), at + size / 2, 90, size)
                at += size + 25


def storage_tanks(b: Builder) -> None:
    """Lay out a large tank farm beside industry."""
    countryside(b)
    half = min(0.75 * b.half, 700.0)
    b.area(b.pick(("gravel", "concrete", "soil")), square(2 * half), soft_m=6, block=PAVED)
    pitch = float(b.rng.uniform(70, 105))
    for x in np.arange(-half + pitch / 2, half, pitch):
        for y in np.arange(-half + pitch / 2, half, pitch):
            if b.chance(0.75):
                add_tank(b, float(x), float(y), pitch * float(b.pick((0.72, 0.72, 0.5))))
    b.area("asphalt", b.rect(-half, -half - 18, half, -half - 4), b.rect(-half - 18, -half, -half - 4, half))
    _villages(b, 1)


WIDE: dict[str, Callable[[Builder], None]] = {
    "airport": airport, "beach": beach, "bridge": bridge, "farmland": farmland, "forest": forest, "pond": pond,
    "port": port, "river": river, "storage tanks": storage_tanks, "commercial": _town("commercial"),
    "dense residential": _town("dense residential"), "industrial": _town("industrial"),
    "medium residential": _town("medium residential"), "sparse residential": _town("sparse residential"),
}  # fmt: skip
