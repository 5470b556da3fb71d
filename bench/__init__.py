"""Benchmarks: one command each (``make bench-NAME``), each against a peer in the same minutes."""
