"""What the command line says when it cannot go on."""


class CliError(Exception):
    """The text says what is wrong and what mends it; each further line is one more place."""
