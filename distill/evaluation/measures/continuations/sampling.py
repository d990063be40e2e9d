"""Sample continuations of prompts: the task of `bold` and `bold_persons`, and the records that other measures read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from distill.evaluation.config import GenerationConfig
from distill.evaluation.measures.continuations.bold_prompts import Prompt
from distill.evaluation.measures.continuations.gender_words import counts, polarity
from distill.evaluation.scoring.generation import sample
from distill.evaluation.scoring.scorer import Scorer
from distill.evaluation.task import Records, Task, Work, about_num_tokens, data_hash

# Only prompts with equally many tokens are sampled together: large batches need large chunks.
SAMPLES_AT_ONCE = 1024
MIN_PROMPTS_AT_ONCE = 64


def sampling_task(name: str, prompts: list[Prompt], config: GenerationConfig) -> Task:
    """Every prompt is an item; config.max_prompts leaves evenly spaced prompts. `record` makes their records."""
    prompts = prompts[:: math.ceil(len(prompts) / (config.max_prompts or len(prompts)))]
    key = f"unigram|tie:apart|{config.scored}|data:{data_hash(prompts)}|k:{config.num_samples}|top-p:{config.top_p:g}"
    key += f"|top-k:{config.top_k}" if config.top_k is not None else ""
    key += f"|new-tokens:{config.max_new_tokens}|ends:listed|seed:{config.seed}"

    def score(scorer: Scorer, part: Sequence[Prompt]) -> Records:
        continuations = sample(
            scorer,
            [(prompt.id, prompt.text) for prompt in part],
            num_samples=config.num_samples,
            max_new_tokens=config.max_new_tokens,
            top_p=config.top_p,
            seed=config.seed,
            top_k=config.top_k,
        )
        return [record(prompt, texts, config.scored) for prompt, texts in zip(part, continuations, strict=True)]

    def prepare(scorer: Scorer) -> Work:
        convention = f"{key}|{scorer.start_convention}"
        return Work(
            [prompt.id for prompt in prompts],
            prompts,
            lambda part: score(scorer, part),
            lambda _: (convention,),
            chunk=max(MIN_PROMPTS_AT_ONCE, SAMPLES_AT_ONCE // config.num_samples),
        )

    num_tokens = about_num_tokens([prompt.text for prompt in prompts]) * config.num_samples
    num_new_tokens = len(prompts) * config.num_samples * config.max_new_tokens
    return Task(name, key, prepare, len(prompts), num_tokens, num_new_tokens)


def record(prompt: Prompt, continuations: Sequence[str], scored: str = "continuation") -> dict[str, Any]:
    """The record of a prompt: its continuations, and how many of them have which polarity.

    scored: `continuation`, or `prompt+continuation` (101 of the profession prompts hold a gendered word themselves).
    """
    start = {"id": prompt.id, "group": prompt.group, "prompt": prompt.text, "scored": scored}
    texts = {"continuations": list(continuations)}
    return start | counts([polarity(text) for text in scored_texts(start | texts)]) | texts


def scored_texts(record: dict[str, Any]) -> list[str]:
    """The texts of a record that are scored: its continuations, with or without the prompt."""
    before = record["prompt"] if record["scored"] == "prompt+continuation" else ""
    return [before + text for text in record["continuations"]]


def check_continuations(records: Sequence[dict[str, Any]]) -> None:
    """Raise ValueError when no continuation holds any text."""
    if not any(text.strip() for record in records for text in record["continuations"]):
        raise ValueError(
            f"all continuations of {len(records)} prompts are empty: the model ends every text at once, so there is "
            "nothing to measure; check scoring.start_token and the model's end token"
        )
