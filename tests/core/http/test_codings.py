"""Packed bodies: read as far as the limit goes, whoever packed them and however."""

import gzip
import tracemalloc
import zlib

import pytest

from apps.core.http.codings import MOST_MEMBERS, UnreadableCoding, coding_of, unpacked

TEXT = b"all is well " * 10
RAW = zlib.compressobj(wbits=-15)
RAW_DEFLATE = RAW.compress(TEXT) + RAW.flush()


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (gzip.compress(TEXT, mtime=0), "gzip"),
        (gzip.compress(TEXT, mtime=0), " GZIP "),
        (gzip.compress(TEXT, mtime=0), "x-gzip"),
        (gzip.compress(TEXT, mtime=0), "identity, gzip"),
        (gzip.compress(TEXT, mtime=0), "gzip, aws-chunked"),
        (zlib.compress(TEXT), "deflate"),
        (RAW_DEFLATE, "deflate"),
        (gzip.compress(zlib.compress(TEXT), mtime=0), "deflate, gzip"),
        (gzip.compress(TEXT[:50], mtime=0) + gzip.compress(TEXT[50:], mtime=0), "gzip"),
        (gzip.compress(TEXT, mtime=0) + b"\0" * 100, "gzip"),
        (TEXT, "identity"),
        (TEXT, "utf-8"),
        (TEXT, ""),
    ],
)
def test_body_says_what_was_packed(body: bytes, coding: str) -> None:
    assert unpacked(body, coding, 1_000) == TEXT


def test_coding_is_that_of_the_last_answer_s_headers() -> None:
    early = [b"HTTP/1.1 103 Early\r\n", b"Content-Encoding: br\r\n", b"\r\n"]
    headers = [b"HTTP/1.1 200 OK\r\n", b"Content-Encoding: deflate\r\n", b"content-encoding: gzip\r\n", b"\r\n"]

    assert coding_of([*early, *headers]) == "deflate, gzip"
    assert coding_of([*early, b"HTTP/1.1 200 OK\r\n", b"\r\n"]) == ""


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, zstd", "gzip, gzip, gzip, gzip"])
def test_no_body_says_nothing(coding: str) -> None:
    assert unpacked(b"", coding, 1_000) == b""


def test_what_bgzip_packs_is_read_up_to_the_limit() -> None:
    block = bytes(range(255)) * 256  # 65,280 bytes, as bgzip puts into one member

    found = unpacked(gzip.compress(block, mtime=0) * 20, "gzip", 1_048_576)

    assert found == (block * 20)[:1_048_576]


def test_body_that_was_cut_off_says_its_part() -> None:
    packed = gzip.compress(bytes(range(256)) * 100, mtime=0)

    found = unpacked(packed[:-20], "gzip", 100_000)

    assert 0 < len(found) < 25_600
    assert (bytes(range(256)) * 100).startswith(found)


@pytest.mark.parametrize("members", [1, 3])
def test_no_more_than_the_limit_is_read(members: int) -> None:
    assert unpacked(gzip.compress(TEXT, mtime=0) * members, "gzip", 100) == TEXT[:100]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "gzip, gzip"])
def test_bomb_costs_no_more_than_the_limit(coding: str) -> None:
    packer = zlib.compressobj(9, wbits=15 if coding == "deflate" else 31)
    bomb = packer.compress(b"\0" * 100_000_000) + packer.flush()
    if "," in coding:
        bomb = gzip.compress(bomb, mtime=0)
    tracemalloc.start()

    try:
        found = unpacked(bomb, coding, 1_000_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert found == b"\0" * 1_000_000
    assert peak < 6_000_000


@pytest.mark.parametrize(
    ("body", "coding", "named", "is_known"),
    [
        (b"x", "br", "br", False),
        (b"x", "gzip, ZSTD", "zstd", False),
        (b"x", "gzip, gzip, gzip, gzip, gzip, gzip", "gzip, gzip, gzip, gzip", False),
        (TEXT, "gzip", "gzip", True),
        (b"\xff" + TEXT, "deflate", "deflate", True),
        (gzip.compress(b"", mtime=0) * (MOST_MEMBERS + 1), "gzip", "gzip", True),
    ],
)
def test_what_cannot_be_unpacked_is_named(body: bytes, coding: str, named: str, is_known: bool) -> None:
    with pytest.raises(UnreadableCoding) as caught:
        unpacked(body, coding, 1_000)

    assert (caught.value.coding, caught.value.is_known) == (named, is_known)
