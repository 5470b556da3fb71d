"""Kinds of channels, one file each, listed in ``registry.py``."""
