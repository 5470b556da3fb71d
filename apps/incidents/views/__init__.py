"""Pages of outages and maintenance."""
