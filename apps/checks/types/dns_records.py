"""How records are written: as they are shown, and so that two spellings of one record are the same text."""

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.tokenizer
from dns.rdtypes.ANY.TXT import TXT


def text_of(rdata: dns.rdata.Rdata) -> str:
    """Return a record as people write it: TXT without quotes and in one piece, keys and digests without gaps."""
    if isinstance(rdata, TXT):
        return b"".join(rdata.strings).decode("utf-8", "replace")
    return rdata.to_text(chunksize=0)


def spelling_found(rdata: dns.rdata.Rdata) -> str:
    """Return what a record that was found is compared by; TXT letter by letter, others as names are."""
    return text_of(rdata) if isinstance(rdata, TXT) else _alike(text_of(rdata))


def spelling_written(line: str, record_type: str) -> str:
    """Return what a line as in a zone file is compared by; where it cannot be read as a record, its own text."""
    if record_type == "TXT":
        return _unquoted(line)
    try:
        rdata = dns.rdata.from_text(dns.rdataclass.IN, record_type, line, origin=dns.name.root, relativize=False)
    except (dns.exception.DNSException, ValueError):
        return _alike(line)
    return spelling_found(rdata)


def _unquoted(line: str) -> str:
    """Return what strings in quotes say together, and anything else as it stands. DNS's 255 bytes for each string are not
    minded: long texts are often shown in one piece."""
    try:
        tokens = dns.tokenizer.Tokenizer(line).get_remaining()
        if tokens and all(token.is_quoted_string() for token in tokens):
            return b"".join(token.unescape_to_bytes().value for token in tokens).decode("utf-8", "replace")
    except dns.exception.DNSException:
        return line
    return line


def _alike(text: str) -> str:
    return " ".join(text.lower().split()).removesuffix(".")
