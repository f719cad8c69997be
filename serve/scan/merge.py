"""From the findings of windows to the objects of a raster, strip by strip: memory is that of a strip.

A strip is a row of windows across the shorter side. Its pieces are linked with those of the strips before that still
reach into it; what no later window can see any more is resolved and given out. Something that goes on for more than
MOST_STRIPS strips, such as a mask of all land, is given out in parts, so that memory stays bounded there too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from serve.scan.journal import Journal, iterate_findings
from serve.scan.plan import Target
from serve.scan.seams import Object, Piece, are_one, piece_of, resolve, slack_px

MOST_STRIPS = 64


@dataclass(slots=True, eq=False)
class _Open:
    """Hold the pieces that a later strip may still add to, and which of them show one object (pairs of indices)."""

    pieces: list[Piece] = field(default_factory=list)
    links: list[tuple[int, int]] = field(default_factory=list)


def merge_windows(target: Target, journal: Journal) -> Iterator[Object]:
    """Yield every object that the windows of one raster show, once; the order is the same each time."""
    slack, strips = slack_px(target.side, target.scale), target.windows // target.per_strip
    open_ = _Open()
    for strip in range(strips):
        first = target.first + strip * target.per_strip
        new = list(_pieces(target, journal, range(first, first + target.per_strip), slack))
        _link(open_, new, slack)
        last = strip + 1 == strips
        reach = float("inf") if last else target.strip_start(strip + 1) - slack
        oldest = target.strip_start(max(0, strip - MOST_STRIPS))
        open_, done = _split(open_, target, reach, oldest)
        for pieces, links in done:
            yield from resolve(pieces, links, slack)


def _pieces(target: Target, journal: Journal, numbers: range, slack: float) -> Iterator[Piece]:
    size = target.grid.width, target.grid.height
    for finding in iterate_findings(journal, numbers):
        window = target.window(finding.number)
        for region in finding.regions:
            piece = piece_of(region, window, size, finding.number, finding.words, slack)
            if piece is not None:
                yield piece


def _link(open_: _Open, new: Sequence[Piece], slack: float) -> None:
    """Add the pieces of a strip, and link them with each other and with those that are open."""
    import shapely

    if not new:
        return
    before = len(open_.pieces)
    open_.pieces += new
    tree = shapely.STRtree([piece.shape for piece in open_.pieces])
    mine, others = tree.query([piece.shape for piece in new], predicate="dwithin", distance=2 * slack)
    for i, j in sorted(zip((mine + before).tolist(), others.tolist(), strict=True)):
        if j < i and are_one(open_.pieces[i], open_.pieces[j], slack):
            open_.links.append((j, i))


def _split(
    open_: _Open, target: Target, reach: float, oldest: float
) -> tuple[_Open, list[tuple[list[Piece], list[tuple[int, int]]]]]:
    """Take out the groups that end before `reach`, or that began before `oldest`; keep the others open."""
    along = 1 if target.upright else 0
    kept, done = _Open(), []
    for group, links in _groups(len(open_.pieces), open_.links):
        bounds = [open_.pieces[index].shape.bounds for index in group]
        ends, begins = max(b[along + 2] for b in bounds), min(b[along] for b in bounds)
        place = {index: number for number, index in enumerate(group)}
        pieces = [open_.pieces[index] for index in group]
        if ends < reach or begins < oldest:
            done.append((pieces, [(place[i], place[j]) for i, j in links]))
            continue
        start = len(kept.pieces)
        kept.pieces += pieces
        kept.links += [(place[i] + start, place[j] + start) for i, j in links]
    return kept, done


def _groups(count: int, links: Sequence[tuple[int, int]]) -> Iterator[tuple[list[int], list[tuple[int, int]]]]:
    """Yield the connected groups of indices with their links, in the order of their first index."""
    root = list(range(count))

    def find(index: int) -> int:
        while root[index] != index:
            root[index] = root[root[index]]
            index = root[index]
        return index

    for i, j in links:
        low, high = sorted((find(i), find(j)))
        root[high] = low
    members: dict[int, list[int]] = {}
    for index in range(count):
        members.setdefault(find(index), []).append(index)
    joins: dict[int, list[tuple[int, int]]] = {}
    for i, j in links:
        joins.setdefault(find(i), []).append((i, j))
    for first, group in members.items():
        yield group, joins.get(first, [])
