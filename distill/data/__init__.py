"""From a corpus to batches. Each file answers one question:

corpus.py     which documents does a corpus hold?
pairing.py    how do several processes pair texts with their counterfactuals?
known_ids.py  does the model know all tokens of a text?
packing.py    how is a pair of texts tokenised, aligned and cut into blocks?
pieces.py     which blocks belong to which document?
blocks.py     where are prepared blocks kept, and how are they built?
sample.py     what are a few blocks from all over a text?
batches.py    how do blocks become batches of tensors?
"""
