"""Training: the loop, the step, checkpoints, the run folder, tracking and export."""
