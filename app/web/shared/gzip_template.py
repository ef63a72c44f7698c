"""Ready compressed pages with holes: what differs from visitor to visitor is put in without compressing again.

A gzip file is a sequence of deflate blocks (RFC 1951, RFC 1952). The parts between the holes are compressed once,
each ended with a full flush, so that nothing in one refers to another; a hole is filled with stored blocks.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

# RFC 1952: magic, deflate, no flags, no time, best compression, unknown system.
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
#: A last block, empty, in fixed Huffman codes: tells the reader that the stream ends.
_LAST_BLOCK = b"\x03\x00"
_LONGEST_STORED = 0xFFFF
#: Not the last block, stored; its length, and the same inverted.
_STORED = struct.Struct("<BHH")
#: The checksum and the size of what was compressed.
_TRAILER = struct.Struct("<II")


@dataclass(frozen=True, slots=True)
class _Part:
    """Plain bytes with their compressed twin and their checksum."""

    plain: bytes
    deflated: bytes
    crc: int

    def and_then(self, other: _Part) -> _Part:
        return _Part(self.plain + other.plain, self.deflated + other.deflated, zlib.crc32(other.plain, self.crc))


@dataclass(frozen=True, slots=True)
class GzipTemplate:
    """A page in parts: the first, then holes by their names and parts in turn."""

    first: _Part
    rest: tuple[_Part | str, ...]

    @classmethod
    def cut(cls, page: str, marks: Mapping[str, str]) -> GzipTemplate:
        """Cut a page at its marks. `marks` maps a hole's name to the text that stands in its place."""
        parts: list[_Part | str] = []
        rest = page
        while found := sorted((rest.find(mark), name) for name, mark in marks.items() if mark in rest):
            at, name = found[0]
            parts += [_compress(rest[:at].encode()), name]
            rest = rest[at + len(marks[name]) :]
        first, *others = *parts, _compress(rest.encode())
        assert isinstance(first, _Part)  # noqa: S101 - parts and holes take turns
        return cls(first, tuple(others))

    @property
    def size(self) -> int:
        """Bytes that are kept for it."""
        parts = [self.first, *(part for part in self.rest if isinstance(part, _Part))]
        return sum(len(part.plain) + len(part.deflated) for part in parts)

    def fill(self, filling: Mapping[str, bytes]) -> GzipTemplate:
        """The page with the named holes filled; the others stay open."""
        parts: list[_Part | str] = [self.first]
        for part in self.rest:
            filled = _store(filling[part]) if isinstance(part, str) and part in filling else part
            last = parts[-1]
            if isinstance(filled, _Part) and isinstance(last, _Part):
                parts[-1] = last.and_then(filled)
            else:
                parts.append(filled)
        first, *others = parts
        assert isinstance(first, _Part)  # noqa: S101 - it was one before, and only grew
        return GzipTemplate(first, tuple(others))

    def plain(self, filling: Mapping[str, bytes]) -> bytes:
        """The page, uncompressed, with its holes filled."""
        others = (filling[part] if isinstance(part, str) else part.plain for part in self.rest)
        return b"".join((self.first.plain, *others))

    def gzip(self, filling: Mapping[str, bytes]) -> bytes:
        """The page as a gzip file, with its holes filled."""
        out: list[bytes] = [_HEADER, self.first.deflated]
        crc, size = self.first.crc, len(self.first.plain)
        for part in self.rest:
            if isinstance(part, str):
                plain = filling[part]
                out.append(_stored(plain))
            else:
                plain = part.plain
                out.append(part.deflated)
            crc = zlib.crc32(plain, crc)
            size += len(plain)
        out.append(_LAST_BLOCK + _TRAILER.pack(crc, size & 0xFFFFFFFF))
        return b"".join(out)


def _compress(plain: bytes) -> _Part:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return _Part(plain, squeeze.compress(plain) + squeeze.flush(zlib.Z_FULL_FLUSH), zlib.crc32(plain))


def _store(plain: bytes) -> _Part:
    return _Part(plain, _stored(plain), zlib.crc32(plain))


def _stored(plain: bytes) -> bytes:
    if len(plain) > _LONGEST_STORED:
        return _stored(plain[:_LONGEST_STORED]) + _stored(plain[_LONGEST_STORED:])
    return _STORED.pack(0, len(plain), len(plain) ^ 0xFFFF) + plain
