"""Pages of the console, by topic."""
