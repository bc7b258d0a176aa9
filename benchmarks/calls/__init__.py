"""Benchmarks of the calls room."""
