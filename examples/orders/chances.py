"""Chance without a generator: numbers that depend on nothing but the names they are drawn for.

A rule that says "two orders in a hundred" needs a die. Rolled by hashing the order's own name, it
falls the same way in every run, on every machine, and however many orders come before.
"""

from __future__ import annotations

import bisect
import hashlib
import struct
from collections.abc import Sequence

SEED = b"motet-orders-1"  # another seed is another shop; tests pin what this one gives


def shares(*names: object) -> tuple[float, ...]:
    """Gives 16 independent numbers in [0, 1), each a multiple of 2**-32."""
    return tuple(number / 2**32 for number in struct.unpack(">16I", digest(64, *names)))


def digest(size_bytes: int, *names: object) -> bytes:
    """Gives up to 64 bytes that look random: blake2b, keyed with the seed, of the names."""
    text = "/".join(map(str, names)).encode()
    return hashlib.blake2b(text, digest_size=size_bytes, key=SEED).digest()


def pick(share: float, cumulative: Sequence[float]) -> int:
    """Gives the index of the class that `share` falls into; the last of the rising sums is 1."""
    return min(bisect.bisect_right(cumulative, share), len(cumulative) - 1)


def time_ordered_id(time_ms: int, bits: bytes) -> str:
    """Builds a UUID of version 7 (RFC 9562, section 5.7) with 10 given bytes for the random bits.

    `time_ms` counts from 1970: milliseconds, because that is what the format holds.
    """
    chance = int.from_bytes(bits[:10], "big")
    rand_a, rand_b = chance >> 68, chance & (1 << 62) - 1
    text = f"{time_ms << 80 | 7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
