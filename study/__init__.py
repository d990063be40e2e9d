"""Studies: all methods with one budget, collected into one results file and reported."""
