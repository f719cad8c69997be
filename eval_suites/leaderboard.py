"""The line of a leaderboard: what was scored, by which protocol, on how many questions, beside which baselines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eval_suites.baselines import BLIND

HEAD = (
    "| suite | protocol | model | n | headline | blind | best other baseline | unparsed | commit |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def leaderboard_line(result: dict[str, Any]) -> str:
    """Give the line; a score without any baseline is marked as such instead of printed."""
    name = result["headline"]
    score = f"{name} {write_value(result['scores'][name])}"
    blind = result["baselines"].get(BLIND)
    others = {label: values[name] for label, values in result["baselines"].items() if label != BLIND and name in values}
    sign = -1 if result["lower_is_better"] else 1
    best = max(others, key=lambda label: sign * others[label]["value"], default="")
    unparsed = result["scores"].get("unparsed")
    cells = [
        result["suite"],
        result["published"] or result["protocol"].split(":")[0],
        result["model"]["name"],
        str(result["n"]) if result["n"] == result["of"] else f"{result['n']} of {result['of']}",
        score if result["baselines"] else f"({score}, no baseline)",
        write_value(blind[name]) if blind and name in blind else "not asked",
        f"{best} {write_value(others[best])}" if best else "none",
        write_value(unparsed) if unparsed else "",
        result.get("commit", ""),
    ]
    return f"| {' | '.join(cells)} |"


def headline_words(result: dict[str, Any]) -> str:
    """Give the headline in words for a log: score, n, baselines, and the rates of what could not be read."""
    name, scores = result["headline"], result["scores"]
    n = str(result["n"]) if result["n"] == result["of"] else f"{result['n']} of {result['of']}"
    protocol = result["published"] or result["protocol"].split(":")[0]
    beside = {label: values[name] for label, values in result["baselines"].items() if name in values}
    score = f"{name} {write_value(scores[name])}"
    score = score if beside else f"({score}, no baseline)"
    parts = [f"{result['suite']} ({protocol}), {result['model']['name']}, n {n}: {score}"]
    parts += [f"{label} {write_value(value)}" for label, value in beside.items()]
    parts += [f"{rate} {scores[rate]['value']:.3f}" for rate in ("unparsed", "clipped") if rate in scores]
    return "; ".join(parts)


def write_tie(tie: Mapping[str, Any]) -> str:
    """Write how a rule breaks ties, how many there are, and what the measure would be at both ends."""
    head = f"Ties of {tie['measure']}: {tie['rule']}; {tie['n']} here"
    return f"{head}, {tie['lowest']:.4f} if all were lost, {tie['highest']:.4f} if all were won" if tie["n"] else head


def write_value(value: dict[str, Any]) -> str:
    """Write a number with its standard error, where it has one."""
    error = value["standard_error"]
    return f"{value['value']:.4f}" + ("" if error is None else f" ± {error:.4f}")
