"""Encodings by the names that strangers give them."""

import encodings
import re
from encodings import normalize_encoding
from encodings.aliases import aliases
from pkgutil import iter_modules

NAME = re.compile(r"[\w.:-]{1,40}", re.ASCII)
# Python's own inventions, and what nobody writes in any more: most take quadratic time, minutes for a hostile MiB.
ODD = frozenset({"idna", "punycode", "raw_unicode_escape", "undefined", "unicode_escape", "utf_7"})
# Python would look for each other name among its files, and keep for ever that there is none.
KNOWN = frozenset(
    {name for name, codec in aliases.items() if codec not in ODD}
    | {*aliases.values(), *(file.name for file in iter_modules(encodings.__path__))} - ODD
)


def decode(content: bytes, charset: str) -> str:
    """Return the text of ``content``, read as UTF-8 where nobody knows the encoding; what cannot be decoded is replaced."""
    name = normalize_encoding(charset.lower()) if NAME.fullmatch(charset) else ""
    try:
        return content.decode(name if name in KNOWN else "utf-8", "replace")
    except (LookupError, ValueError):  # one that is no text
        return content.decode("utf-8", "replace")
