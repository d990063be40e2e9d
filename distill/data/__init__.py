"""From a corpus to batches. Each file answers one question:

corpus.py         which documents does a corpus hold?
folders.py        which folders may not lie in each other?
documents.py      what is a document: a text, a conversation, a prompt with its completion?
chat_template.py  how does a model read a conversation, and what of it does the assistant write?
separators.py     which tokens stand between documents?
pairing.py        how do several processes pair texts with their counterfactuals?
known_ids.py      does the model know all tokens of a text?
packing.py        how is a pair of texts tokenised, aligned and cut into blocks?
pieces.py         which blocks belong to which document?
blocks.py         where are prepared blocks kept, and how are they built?
block_files.py    how do blocks lie in files?
sample.py         what are a few blocks from all over a text?
stream.py         how are blocks prepared while a run reads them?
batches.py        how do blocks become batches of tensors?
"""
