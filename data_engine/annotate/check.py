"""The rule that words may not contradict annotations: RSVLM-QA's, and ChatEarthNet's for shares.

Numbers come from the annotations and never from the language model, so a number that stands in no fact is rejected even
where nothing contradicts it. Measured: of 1,232 sentences that the recipes write from the annotations themselves (DOTA,
HIT-UAV, made land cover) none is rejected; of 164 captions of HIT-UAV images, 80 % are when they are told of another of
the 80 images.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from data_engine.annotate.claims import (
    NUMBER_WORDS,
    Amount,
    Claim,
    find_spans,
    parse_number,
    read_claims,
    read_places,
    split_sentences,
)
from data_engine.annotate.facts import CoverFact, Facts
from data_engine.places import PLACES, find_clear_place, may_lie_in

POINTS: Final = 0.05
"""How far a stated share may be from the measured one."""
_WORD_POINTS: Final = 0.1
_SEEN_SHARE: Final = 0.02
"""Share of a ninth from which on a land cover may be said to lie there."""
_FRACTIONS: Final = {
    "half": 0.5, "one third": 1 / 3, "a third": 1 / 3, "two thirds": 2 / 3, "a quarter": 0.25, "one quarter": 0.25,
    "three quarters": 0.75,
}  # fmt: skip
_PERCENT: Final = re.compile(
    r"(?P<number>\d+(?:\.\d+)?)\s*(?:%|per\s?cent)|\b(?P<words>" + "|".join(map(re.escape, _FRACTIONS)) + r")\b",
    re.IGNORECASE,
)
_MAINLY: Final = re.compile(
    r"\b(?:mostly|mainly|predominantly|primarily|dominated by|majority (?:is|of)|most of (?:it|the \w+) is)\s+"
    r"(?:\w+\s+){0,2}$",
    re.IGNORECASE,
)
_DOMINATES: Final = re.compile(r"^\s*(?:is|are)?\s*(?:the\s+)?(?:dominat|predominat)", re.IGNORECASE)
_SAID_BEFORE: Final = re.compile(r"\b(?:all|the|these|those|both)\s+$", re.IGNORECASE)
_OF_THEM: Final = re.compile(r"^\s+of\s+(?:the|them|these|those|which)\b", re.IGNORECASE)
_THERE: Final = re.compile(r"\s+(?:(?:more|others?|are|is|lie|lies|stand|stands|further)\s+){0,2}", re.IGNORECASE)
_LOOSE: Final = re.compile(
    r"(?<![\w.,-])(?P<number>\d+(?:[.,]\d+)*|" + "|".join(word for word in NUMBER_WORDS if word != "one") + r")"
    r"(?![\w-]|[.,]\d)",
    re.IGNORECASE,
)


def find_contradiction(text: str, facts: Facts) -> tuple[str, str] | None:
    """Give the reason and a sentence for the first thing in a text that the facts contradict; None for none."""
    labels = [*facts.counts, *(cover.label for cover in facts.cover)]
    checks = (
        (found for claim in read_claims(text, labels) for found in _judge_claim(claim, facts)),
        _judge_shares(text, facts),
        _judge_numbers(text, facts, labels),
    )
    return next((found for check in checks for found in check), None)


def _judge_claim(claim: Claim, facts: Facts) -> Iterator[tuple[str, str]]:
    cover = next((fact for fact in facts.cover if fact.label == claim.label), None)
    count = facts.counts.get(claim.label)
    there = bool(count) or (cover is not None and cover.share > 0)
    if claim.denied and there:
        yield "denied class", f"{claim.text!r} denies what is annotated: {_say_known(claim.label, count, cover)}"
    elif not claim.denied and not there and not (claim.amount and claim.amount.most == 0):
        yield "absent class", f"{claim.text!r} names a {claim.label}, of which the annotations hold none"
    elif count and not claim.denied:
        yield from _judge_objects(claim, count, facts)
    elif cover is not None and claim.places and not claim.denied and not _lies_in(cover, claim.places):
        yield "wrong place", f"{claim.text!r}: {claim.label} mainly lies in {', '.join(cover.places) or 'no one place'}"


def _judge_objects(claim: Claim, count: int, facts: Facts) -> Iterator[tuple[str, str]]:
    """Hold the number and the place of counted objects against the annotations."""
    low, high = count, count
    amount = claim.amount or Amount(1, None)
    if claim.shared and amount.allows(*_count_in(claim.shared, claim.label, facts)):
        return
    if claim.places:
        low, high = _count_in(claim.places, claim.label, facts)
        if not high:
            yield "wrong place", f"{claim.text!r}: {claim.label} lies {facts.say_places(claim.label)}"
            return
    if not amount.allows(low, high):
        where = f", {facts.say_places(claim.label)}" if claim.places else ""
        yield "wrong number", f"{claim.text!r}: the annotations hold {count} {claim.label}{where}"


def _count_in(places: tuple[str, ...], label: str, facts: Facts) -> tuple[int, int]:
    """Count the objects of a class that certainly lie in these places, and those that may."""
    members = [fact.geometry for fact in facts.objects if fact.label == label]
    size = {"width": facts.width, "height": facts.height}
    certain = sum(find_clear_place(shape, **size) in places for shape in members)
    possible = sum(any(may_lie_in(place, shape, **size) for place in places) for shape in members)
    return certain, possible


def _lies_in(cover: CoverFact, places: tuple[str, ...]) -> bool:
    return not cover.spread or any(cover.spread[PLACES.index(place)] >= _SEEN_SHARE for place in places)


def _judge_shares(text: str, facts: Facts) -> Iterator[tuple[str, str]]:
    """Hold stated shares and what is called dominant against the measured land cover."""
    labels = [cover.label for cover in facts.cover]
    largest = max((cover.share for cover in facts.cover), default=0.0)
    for clause in _clauses(text) if labels else ():
        claims = find_spans(clause, labels)
        mentioned = read_claims(clause, labels)
        for (start, end), claim in zip(claims, mentioned, strict=False):
            share = _share_of(claim.label, facts)
            called_main = _MAINLY.search(clause[:start]) or _DOMINATES.search(clause[end:])
            if called_main and share < largest - POINTS:
                yield "wrong share", f"{claim.text!r} calls {claim.label} dominant, it covers {share:.0%}"
        stated = list(_PERCENT.finditer(clause))
        if len(stated) == 1 and len({claim.label for claim in mentioned}) == 1:
            yield from _judge_share(stated[0], mentioned[0].label, facts)


def _judge_share(match: re.Match[str], label: str, facts: Facts) -> Iterator[tuple[str, str]]:
    claimed = float(match["number"]) / 100 if match["number"] else _FRACTIONS[match["words"].lower()]
    margin = POINTS if match["number"] else _WORD_POINTS
    share = _share_of(label, facts)
    if abs(claimed - share) > margin:
        yield "wrong share", f"{match.group()!r} is said of {label}, which covers {share:.0%}"


def _judge_numbers(text: str, facts: Facts, labels: list[str]) -> Iterator[tuple[str, str]]:
    """Reject numbers that count nothing that is annotated and stand in no fact."""
    known, counts = _known_numbers(facts), {str(count) for count in facts.present.values()}
    for sentence in split_sentences(text):
        spans = find_spans(sentence, labels)
        shares = [match.span() for match in _PERCENT.finditer(sentence)] if facts.cover else []
        for match in _LOOSE.finditer(sentence):
            inside = any(start <= match.start() < end for start, end in [*spans, *shares])
            again = counts if _SAID_BEFORE.search(sentence[: match.start()]) else set()
            founded = inside or _normal(match["number"]) in known | again
            if not founded and not _counts_again(match["number"], sentence[match.end() :], facts):
                yield "unfounded number", f"{sentence[match.start() :][:40]!r}: no annotation holds this number"


def _counts_again(number: str, rest: str, facts: Facts) -> bool:
    """Say whether a number without a name ("two of them", "three in the center") fits a class that is counted."""
    if not number.isdigit() and number.lower() not in NUMBER_WORDS:
        return False
    said = parse_number(number)
    if _OF_THEM.match(rest):
        return any(said <= count for count in facts.counts.values())
    named = [place for at, place in read_places(rest) if _THERE.fullmatch(rest[:at])]
    return any(Amount(said, said).allows(*_count_in(named[0], label, facts)) for label in facts.present if named)


def _known_numbers(facts: Facts) -> set[str]:
    """Collect the numbers that stand in the facts."""
    told = [fact.length_m or "" for fact in facts.objects] + [cover.percent for cover in facts.cover] + [*facts.notes]
    told += [f"{facts.gsd_m:.3g}" if facts.gsd_m else "", facts.sensor or "", *facts.counts]
    return {_normal(match["number"]) for words in told for match in _LOOSE.finditer(words)}


def _normal(number: str) -> str:
    return str(parse_number(number)) if number.lower() in NUMBER_WORDS else number.replace(",", "")


def _clauses(text: str) -> list[str]:
    parts = (re.split(r"[,;:()]|\b(?:while|whereas|and|with|followed by)\b", one) for one in split_sentences(text))
    return [clause for clauses in parts for clause in clauses if clause.strip()]


def _share_of(label: str, facts: Facts) -> float:
    return next(cover.share for cover in facts.cover if cover.label == label)


def _say_known(label: str, count: int | None, cover: CoverFact | None) -> str:
    return f"{count} {label}" if count else f"{label} covers {cover.percent if cover else '0%'}"
