"""What a board looks like to programs: pure functions from a board to JSON, Atom and SVG."""
