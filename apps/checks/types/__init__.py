"""Check types: one file per kind, listed in `registry`."""
