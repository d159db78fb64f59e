"""A list as one value: who it belongs to, products, evidence, probabilities, a checksum over all of it."""

import struct
from zlib import crc32

import numpy as np

HEAD = struct.Struct("<IH")  # checksum of what follows it, length of the owner
ENTRY_BYTES = 8  # int32 row, int16 evidence, float16 probability

type Entries = tuple[list[int], list[int], list[float]]
"""Rows, evidence and probabilities of a list; a probability that isn't known is negative."""


def owner_of(version_id: str, variant: str, customer_id: str) -> bytes:
    """What makes a list one customer's: it stands in the value, so that nobody else's can be taken for it."""
    return f"{version_id}\n{variant}\n{customer_id}".encode()


def pack(owner: bytes, rows: list[int], evidence: list[int], probability: list[float]) -> bytes:
    """The value of a list; 8 bytes for each product."""
    parts = np.array(rows, "<i4"), np.array(evidence, "<i2"), np.array(probability, "<f2")
    body = owner + b"".join(part.tobytes() for part in parts)
    size = struct.pack("<H", len(owner))
    return struct.pack("<I", crc32(size + body)) + size + body


def unpack(owner: bytes, value: bytes) -> Entries | None:
    """The entries of this owner's list; None for anything else: another's, damaged, or cut short."""
    if len(value) < HEAD.size:
        return None
    checksum, size = HEAD.unpack_from(value)
    start = HEAD.size + size
    entries, rest = divmod(len(value) - start, ENTRY_BYTES)
    if entries < 0 or rest or value[HEAD.size : start] != owner or crc32(memoryview(value)[4:]) != checksum:
        return None
    rows = np.frombuffer(value, "<i4", entries, start)
    evidence = np.frombuffer(value, "<i2", entries, start + 4 * entries)
    probability = np.frombuffer(value, "<f2", entries, start + 6 * entries)
    return rows.tolist(), evidence.tolist(), probability.tolist()
