"""Calls that take their time: coroutines, and functions that block and so run in a thread."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor

from motet.core.errors import HandlerError
from motet.handlers.handler import Handler


async def perform(
    bound: Callable[[], object], handler: Handler, executor: Executor | None
) -> object:
    """Call an async or blocking handler, its arguments bound, and wait for what it returns.

    Raises:
        TimeoutError: it took longer than `timeout_s`. What runs in a thread goes on there; its
            result is dropped.
        HandlerError: it was cancelled, but not by us.
    """
    try:
        if handler.timeout_s is None:
            return await _result(bound, handler, executor)
        return await _in_time(bound, handler, executor)
    except asyncio.CancelledError as err:
        if _cancelled():
            raise
        # Something inside gave up by itself; let through, it would end our own task in silence.
        raise HandlerError(f"handler {handler.name!r} was cancelled from within") from err


def own_error(err: BaseException) -> Exception:
    """Return what user code raised as an error of its record.

    That includes what is no `Exception`: a cancellation made up inside, a panic of a native
    library. What is meant for the whole program is raised again: an exit, an interrupt, a
    cancellation of our own task.
    """
    if isinstance(err, Exception):
        return err
    if isinstance(err, KeyboardInterrupt | SystemExit | GeneratorExit):
        raise err
    if isinstance(err, asyncio.CancelledError) and _cancelled():
        raise err
    within = "was cancelled from within" if isinstance(err, asyncio.CancelledError) else "gave up"
    error = HandlerError(f"the handler {within}: {type(err).__name__}")
    error.__cause__ = err
    return error


def _cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _in_time(
    bound: Callable[[], object], handler: Handler, executor: Executor | None
) -> object:
    limit = asyncio.timeout(None if handler.blocking else handler.timeout_s)
    loop = asyncio.get_running_loop()
    waiting = True

    def begin() -> None:
        if waiting:
            limit.reschedule(loop.time() + (handler.timeout_s or 0.0))

    def timed() -> object:
        loop.call_soon_threadsafe(begin)  # what it waited for a thread does not count
        return bound()

    try:
        async with limit:
            return await _result(timed if handler.blocking else bound, handler, executor)
    except TimeoutError as err:
        if not limit.expired():
            raise
        message = f"handler {handler.name!r} took longer than {handler.timeout_s} s"
        raise TimeoutError(message) from err
    finally:
        waiting = False


async def _result(
    bound: Callable[[], object], handler: Handler, executor: Executor | None
) -> object:
    if handler.blocking:
        return await in_thread(bound, executor)
    result = bound()
    return await result if isinstance(result, Awaitable) else result


async def in_thread(bound: Callable[[], object], executor: Executor | None) -> object:
    """Run a blocking function in a thread, with the caller's context variables."""
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(executor, context.run, _finished, bound)


def _finished(bound: Callable[[], object]) -> object:
    try:
        result = bound()
        return list(result) if isinstance(result, Iterator) else result
    except StopIteration as err:
        # A future cannot hold a StopIteration: on 3.11 whoever awaits it would wait for ever.
        raise HandlerError("the handler raised StopIteration") from err
