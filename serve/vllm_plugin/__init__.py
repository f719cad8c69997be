"""Nadir as a model of vLLM, by the entry point `vllm.general_plugins`.

Nothing of vLLM is imported before it asks: the rooms work without it.
"""

from __future__ import annotations

import logging

from serve.vllm_plugin.versions import describe_misfit

ARCHITECTURE = "NadirForConditionalGeneration"


def register() -> None:
    """Make the model known to vLLM, which calls this in each of its processes; may be called again.

    With a vLLM of another release the log says so and nothing is registered: vLLM's other models are not disturbed.
    """
    misfit = describe_misfit()
    if misfit:
        logging.getLogger("vllm.nadir").error(misfit)
        return
    from vllm import ModelRegistry

    import vlm.model  # noqa: F401  (registers the configuration)

    ModelRegistry.register_model(ARCHITECTURE, f"serve.vllm_plugin.model:{ARCHITECTURE}")
