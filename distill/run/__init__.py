"""The training run. Each file answers one question:

setup.py          what does a run consist of? `Setup` is built once and given to everything else
auto_layers.py    which layers does `student.layers: auto` stand for?
learner.py        what does training change, and a checkpoint hold? `Learner`: model, optimizer, scheduler, state
trainer.py        what happens in a run? `fit` is its loop
step.py           what is one optimizer step?
schedule.py       how long is the run, and which blocks does each step read?
heldout.py        how well does the student predict held-out text?
cached_states.py  how does the teacher read the corpus only once?
launch.py         which processes and devices has accelerate set up?
failed_steps.py   what happens when a loss or gradient is not finite?
interrupt.py      what happens on SIGTERM or Ctrl-C?
checkpoint.py     how is a run saved and continued? (manifest.py: is a checkpoint whole? random_states.py: dropout)
folder.py         what is in a run folder, and which process may write to it?
tracking.py       what does a run log? (throughput.py: how well does it use its machine? samples.py: how does it write?)
export.py         what is the result?
dry_run.py        what would a run do?
private/          how does a run keep its documents private?
"""
