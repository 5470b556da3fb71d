"""Django's PostgreSQL backend with the tenant walls built in."""
