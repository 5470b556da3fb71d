"""The machinery behind `make run`, `make test` and `make ci`.

Two stages. `__main__`, `bootstrap` and what they import use the standard library alone, because
they build the virtual environment. Everything else runs inside it and may import what is pinned.
"""
