"""The command line `obsera`: a client of the API that needs the standard library and PyYAML, and no Django."""
