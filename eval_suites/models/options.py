"""The options of a command line that say which model is asked, and how."""

from __future__ import annotations

import argparse
import json

from eval_suites.models.find import ModelOptions
from vlm.errors import DataError

MODEL_HELP = (
    "a checkpoint directory or hub id, http://host:8000/v1#MODEL, a file of predictions, fake:perfect, "
    "fake:empty or fake:random; the built-in model by default"
)


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add --model and what goes with it."""
    usual = ModelOptions()
    parser.add_argument("--model", help=MODEL_HELP)
    parser.add_argument("--name", help="the model's name in the results")
    parser.add_argument("--dialect", help="how it writes geometry: qwen3 (endpoints' default), qwen2.5, geochat, ...")
    parser.add_argument("--device", default=usual.device, help="where a checkpoint runs")
    parser.add_argument("--concurrency", type=int, default=usual.concurrency, help="requests to an endpoint at a time")
    parser.add_argument("--key-from", default=usual.key_from, help="environment variable that holds the key")
    parser.add_argument("--timeout", type=float, default=usual.timeout_s, help="seconds that one request may take")
    parser.add_argument("--tokens", type=int, help="longest answer of an endpoint, where its model thinks aloud")
    parser.add_argument("--image-px", type=int, default=usual.most_image_px, help="longest image side that is sent")
    parser.add_argument("--extra", default="{}", help="JSON laid over each request's body; null leaves a field out")


def read_model_options(given: argparse.Namespace) -> ModelOptions:
    """Read the options back; DataError where --extra is no JSON object or a number makes no sense."""
    try:
        extra = json.loads(given.extra)
    except json.JSONDecodeError as error:
        raise DataError(f"--extra {given.extra!r} is not JSON ({error})") from error
    if not isinstance(extra, dict):
        raise DataError(f"--extra {given.extra!r} is no JSON object: expected something like " + '{"top_p": 1}')
    if given.concurrency < 1 or given.image_px < 28 or given.timeout <= 0:
        raise DataError("--concurrency and --timeout must be positive, and --image-px at least 28")
    return ModelOptions(
        given.name,
        given.dialect,
        given.device,
        given.concurrency,
        given.key_from,
        given.timeout,
        given.tokens,
        given.image_px,
        extra,
    )
