"""Private training (DP-SGD). Each file answers one question:

plan.py         what is promised, and with how much noise?
secret.py       which documents does a step read, and which noise does it add? Both follow from a secret
records.py      how is a document prepared, as one record with both views?
step.py         what is one private step? The gradient of each record is clipped alone
canaries.py     how much noise do the steps really add? Records of known gradient show it
lineage.py      had the models that a run starts from already read the documents?
statement.py    what do privacy.json and the model card say?
"""
