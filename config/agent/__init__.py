"""The agent: the probe engine in a place of the customer's own, with its work fetched over HTTPS and no database."""

VERSION = "0.1.0"
