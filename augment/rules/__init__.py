"""The rules of a swap, one file per question: which words, whose name, whose title, her as him or his."""
