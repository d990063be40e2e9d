"""What a student gives away of the text that it was trained on: the audit of a run, and its statistics."""
