"""Benchmarks of the lifetime room."""
