"""Models. Each file answers one question:

loading.py        how is a tokenizer or a model loaded, and is it one that this project can distill?
student.py        where do the student's first weights come from?
run_models.py     which tokenizer, teacher and student does a run have, and do they fit each other?
document_mask.py  how does attention stop at document boundaries?
"""
