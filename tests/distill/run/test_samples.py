"""What the student writes: after the token that stands before each training document, as it has learned to."""

import pytest
import torch
from accelerate import Accelerator

from distill.loss.distiller import Distiller
from distill.loss.fused import Objective
from distill.loss_config import LossConfig, PerturbConfig
from distill.run.samples import NUM_NEW_TOKENS, check_prompts, samples


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_a_prompt_is_continued_as_the_beginning_of_a_document(tiny_model, tokenizer, architecture):
    student = tiny_model(architecture)
    distiller = Distiller(student, Objective(LossConfig(), PerturbConfig()))
    prompts, prefix = ["The nurse said that", "A pilot"], [tokenizer.bos_token_id]
    written = {}
    for before in (prefix, [], [5, *prefix]):
        rows = samples(Accelerator(cpu=True), distiller, tokenizer, prompts, before)
        written[len(before)] = [row["continuation"] for row in rows]
        distiller.eval()  # it goes back to training
        for prompt, text in zip(prompts, written[len(before)], strict=True):
            ids = [*before, *tokenizer(prompt, add_special_tokens=False)["input_ids"]]
            num_read = len(ids)
            while len(ids) < num_read + NUM_NEW_TOKENS and ids[num_read:][-1:] != [tokenizer.eos_token_id]:
                with torch.no_grad():
                    ids.append(int(student(torch.tensor([ids])).logits[0, -1].argmax()))
            assert text == tokenizer.decode(ids[num_read:])
    assert written[0] != written[1] != written[2]


def test_a_prompt_must_leave_room_behind_what_stands_before_it(tiny_model, tokenizer):
    student = tiny_model("gpt2")
    word = tokenizer("The nurse said that", add_special_tokens=False)["input_ids"]
    longest = tokenizer.decode([word[-1]] * 62)
    check_prompts(student, tokenizer, [longest], [0])
    with pytest.raises(ValueError, match="has 62 tokens; .* fewer than the student's 64 positions less the 2 before"):
        check_prompts(student, tokenizer, [longest], [0, 0])
