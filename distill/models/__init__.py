"""Loading and checking models, building the student, masking documents."""
