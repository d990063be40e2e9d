"""Studies: train all methods with the same budget, collect the results in one file, and report them."""
