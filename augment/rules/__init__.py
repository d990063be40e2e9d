"""The rules of a swap, a file per question: which words, whose name, whose title, her as him or his."""
