"""Benchmarks of the compute room."""
