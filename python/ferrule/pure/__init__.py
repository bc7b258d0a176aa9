"""Pure-Python twins of the native rooms: the oracle for tests and the baseline for comparisons.

Each module has the names of its native counterpart, imports nothing native, and prefers the
shortest correct code to the fastest.
"""
