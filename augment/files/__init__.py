"""Files of text: one reader, one ordered pool of workers, one progress bar, and the formats that can be swapped."""
