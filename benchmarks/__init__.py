"""Benchmarks of ferrule: the registry of `ferrule compare`, more rounds, results that are kept."""
