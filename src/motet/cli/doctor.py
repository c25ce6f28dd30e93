"""`motet doctor`: is everything in order here?"""

import textwrap

import msgspec

from motet.app import App
from motet.backends import DEFAULT_URL, broker, diagnose
from motet.cli.apps import load_app
from motet.cli.checks import check_deliveries, check_python, check_work
from motet.cli.console import Console
from motet.cli.options import DEFAULTS, Options, command
from motet.cli.tables import counted, visible
from motet.core.checks import Check, State, fail, ok
from motet.core.clock import SystemClock
from motet.core.errors import ConfigError, MotetError
from motet.telemetry import masked

app = command("doctor")

_WIDTH = 100  # columns where there is no terminal
_INDENT = " " * 20


@app.default
async def doctor(target: str | None = None, /, *, options: Options = DEFAULTS) -> int:
    """Check that everything Motet needs is in order, and say what to do where it is not.

    Looks at Python, the broker, the database file, and at the work: members, lag, outbox, dead
    letters. Changes nothing. The exit code is 1 if any check failed.

    Example: motet doctor shop:app

    JSON: one document: url, store, ok, checks (name, state: ok, warn or fail, found, advice).

    Args:
        target: An application as MODULE:NAME, to say what is guaranteed to each of its groups.
    """
    console = options.console()
    url = options.chosen_url()
    store = options.chosen_store() or _beside(url)
    shop = load_app(target) if target else None
    checks = [check_python(), ok("url", masked(url))]
    if store != url:
        checks.append(ok("store", masked(store)))
    checks += await _place_and_work(store, options, shop)
    failed = sum(check.state is State.FAIL for check in checks)
    warned = sum(check.state is State.WARN for check in checks)
    console.document(
        {
            "url": masked(url),
            "store": masked(store),
            "ok": not failed,
            "checks": [_without_secrets(c) for c in checks],
        }
    )
    for check in checks:
        _show(console, check)
    console.text(f"{counted(len(checks), 'check')}: {failed} failed, {counted(warned, 'warning')}")
    return 1 if failed else 0


async def _place_and_work(store: str, options: Options, shop: App | None) -> list[Check]:
    clock = SystemClock()
    checks: list[Check] = []
    try:
        diagnosis = await diagnose(store, now_us=clock.now_us())
        checks += diagnosis.checks
        if not diagnosis.usable:
            return checks
        async with options.connect() as backends:
            checks += await check_work(backends, clock, members=diagnosis.members)
            checks += check_deliveries(backends.transport, shop)
    except MotetError as err:
        checks.append(fail("open", str(err), "mend this first"))
    return checks


def _beside(url: str) -> str:
    """Return where state is if nothing names a store."""
    try:
        return DEFAULT_URL if broker(url) else url
    except ConfigError:
        return url  # what is wrong with it is said by the check of it


def _without_secrets(check: Check) -> Check:
    return msgspec.structs.replace(check, found=masked(check.found))


def _show(console: Console, check: Check) -> None:
    width = (console.width or _WIDTH) - len(_INDENT)
    first, *rest = textwrap.wrap(visible(masked(check.found)), width) or [""]
    console.text(f"{check.state.value:<5} {check.name:<13} {first}")
    for line in [*rest, *textwrap.wrap(check.advice and f"-> {check.advice}", width)]:
        console.text(_INDENT + line)
