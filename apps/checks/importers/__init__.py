"""Importers: other products' exports read as wanted checks; one file per source, listed in `registry`. Pure."""
