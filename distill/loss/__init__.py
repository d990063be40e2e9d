"""The loss: what the teacher is made to say (targets), how far the student is from it, and the fused kernel."""
