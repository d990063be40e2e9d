"""Scripts that measure speed, memory and agreement: run one as `python -m benchmarks.NAME` from the repository root."""
