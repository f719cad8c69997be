"""LLM-assisted annotation: a language model finds the words, the annotations give the facts.

facts     what the annotations of an image say: counts, places, sizes, absent classes, land cover
prompts   the prompts as data, filled with facts; what is read from the answers
claims    what a sentence claims: amounts, places, absences, shares
check     the claims against the facts: a contradiction and its reason
endpoint  one OpenAI-compatible endpoint: retries, back-off, a pause for all when it asks for one
answers   answers kept by the content of their request, and the tokens that they cost
annotate  the work on a shard and the stage behind `python -m data_engine annotate`
"""

from __future__ import annotations
