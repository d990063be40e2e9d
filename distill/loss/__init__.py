"""The loss. Each file answers one question:

gender_classes.py  which token ids are gendered, and which ids correspond to which?
targets.py         which distribution does the student learn from the teacher's two predictions?
divergences.py     how far is a student's prediction from that target, or from the text?
counterparts.py    how much of that distance lies between gendered terms and their counterparts (he against she)?
positions.py       which predictions of a batch are scored, and against which predictions of the teacher?
fused.py           what is the loss of a batch, and its gradient? `pair_loss` combines everything above
logits.py          how are logits and their gradient computed a few rows at a time? (matmul.py: in which precision?)
distiller.py       how do models become a loss? `Distiller.forward` runs teacher and student and calls `pair_loss`
"""
