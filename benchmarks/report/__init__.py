"""docs/performance.md and its plots, made of the raw data of benchmarks alone."""
