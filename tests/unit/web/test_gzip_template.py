"""Ready compressed pages are read by any gzip reader, whatever is put into their holes."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.web.shared.gzip_template import GzipTemplate

MARKS = {"key": "<!--key-->", "carried": "<!--carried-->"}
PAGE = "<p>Tuesday</p><!--carried-->" + "<li>10:00</li>" * 400 + "<!--key--><p>å</p><!--carried-->"


@given(
    texts=st.lists(st.text(), min_size=1, max_size=5),
    order=st.lists(st.sampled_from(sorted(MARKS)), max_size=4),
    key=st.binary(max_size=200),
    carried=st.binary(max_size=2000),
)
def test_what_is_unpacked_is_the_page_with_its_holes_filled(
    texts: list[str], order: list[str], key: bytes, carried: bytes
) -> None:
    page = "".join(
        text.replace("<!--", "") + (MARKS[order[at]] if at < len(order) else "") for at, text in enumerate(texts)
    )
    filling = {"key": key, "carried": carried}
    expected = page.encode().replace(b"<!--key-->", b"\0K\0").replace(b"<!--carried-->", b"\0C\0")
    spliced = GzipTemplate.cut(page, MARKS)
    assert spliced.plain({"key": b"\0K\0", "carried": b"\0C\0"}) == expected
    assert gzip.decompress(spliced.gzip(filling)) == spliced.plain(filling)


def test_a_hole_may_hold_more_than_one_stored_block() -> None:
    filling = {"key": bytes(range(256)) * 1024, "carried": b""}
    assert gzip.decompress(GzipTemplate.cut(PAGE, MARKS).gzip(filling)) == GzipTemplate.cut(PAGE, MARKS).plain(filling)


def test_the_packed_page_is_small_although_it_was_packed_in_parts() -> None:
    spliced = GzipTemplate.cut(PAGE, MARKS)
    filling = {"key": b"k" * 24, "carried": b""}
    assert len(spliced.gzip(filling)) < len(gzip.compress(spliced.plain(filling))) + 150


def test_a_stream_reader_sees_the_end() -> None:
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    packed = GzipTemplate.cut(PAGE, MARKS).gzip({"key": b"key", "carried": b"carried"})
    for at in range(0, len(packed), 7):
        reader.decompress(packed[at : at + 7])
    assert reader.eof
    assert reader.unused_data == b""


def test_a_changed_byte_is_noticed() -> None:
    packed = bytearray(GzipTemplate.cut(PAGE, MARKS).gzip({"key": b"key", "carried": b"carried"}))
    packed[packed.index(b"carried")] ^= 1
    with pytest.raises(gzip.BadGzipFile):
        gzip.decompress(bytes(packed))


def test_the_gzip_program_reads_it_too() -> None:
    program = shutil.which("gzip")
    assert program, "gzip is part of every system that this runs on"
    spliced = GzipTemplate.cut(PAGE, MARKS)
    filling = {"key": b"\xff\x00key", "carried": b"x" * 70000}
    unpacked = subprocess.run([program, "-dc"], input=spliced.gzip(filling), capture_output=True, check=True)  # noqa: S603 - the program is gzip
    assert unpacked.stdout == spliced.plain(filling)
