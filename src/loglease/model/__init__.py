"""The vocabulary as immutable values and pure transition functions. No I/O, no clock, nothing of ours imported."""
