"""From a corpus to batches: reading, pairing, packing, cached blocks, batches."""
