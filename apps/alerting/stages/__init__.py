"""The stages of the alert pipeline, one file each: decisions over values, without a database."""
