"""Benchmarks of the records room."""
