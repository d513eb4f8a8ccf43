"""Fuzzing what strangers can send us: ``targets`` hold what is fed, ``corpora`` what is worth beginning with.

Each change: mutated seeds for a second or two (``tests/unit/test_fuzz_targets.py``). At length:
``make fuzz RUNS=1000000``, guided by coverage (``engine``), with a table in the end (``__main__``).
"""
