"""Models. Each file answers one question:

loading.py          how is a tokenizer or a model loaded?
identity.py         what identifies a model, on this disk or on the hub?
checks.py           is it one that this project can distill and score?
sizes.py            how many ids and positions does a model have, how wide are its states?
probe.py            how is a model run on a few tokens, to see what it does?
reached_weights.py  which weights does text reach?
layers.py           where are a model's layers, and what is it with only some of them?
choose_layers.py    which of the teacher's layers should a student keep?
student.py          where do the student's first weights come from?
lora.py             how can the teacher itself be the student, with an adapter?
run_models.py       which tokenizer, teacher and student does a run have, and do they fit each other?
document_mask.py    how does attention stop at document boundaries?
"""
