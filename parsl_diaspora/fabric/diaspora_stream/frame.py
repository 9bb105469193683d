"""The frame that the stream API's octopus driver puts around each Kafka value, for peers in C++.

    u64 little endian   size of the metadata
    u64 little endian   size of the data
    metadata            JSON
    data                as it is

Both sizes with all bits set, and nothing behind them, mean that no more events come.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

_SIZES = struct.Struct("<QQ")
_ALL_BITS = 2**64 - 1

#: The frame that says that no more events come.
NO_MORE = _SIZES.pack(_ALL_BITS, _ALL_BITS)


class Framed(NamedTuple):
    """What a frame holds.

    Attributes:
        metadata: JSON text; empty at the end of the stream.
        data: whatever goes with it.
        ends: no more events come.
    """

    metadata: bytes
    data: bytes
    ends: bool = False


def join_frame(metadata: bytes, data: bytes = b"") -> bytes:
    """Metadata and data as one value.

    Example:
        >>> join_frame(b"{}", b"xyz").hex()
        '020000000000000003000000000000007b7d78797a'
    """
    return _SIZES.pack(len(metadata), len(data)) + metadata + data


def split_frame(value: bytes | memoryview) -> Framed | None:
    """What a value's frame holds; None if the value has no frame.

    Example:
        >>> split_frame(join_frame(b"{}", b"xyz"))
        Framed(metadata=b'{}', data=b'xyz', ends=False)
        >>> split_frame(b'{"specversion": "1.0"}') is None
        True
    """
    value = bytes(value)
    if value == NO_MORE:
        return Framed(b"", b"", ends=True)
    if len(value) < _SIZES.size:
        return None
    metadata, data = _SIZES.unpack_from(value)
    if _SIZES.size + metadata + data != len(value):
        return None
    body = value[_SIZES.size :]
    return Framed(body[:metadata], body[metadata:])
