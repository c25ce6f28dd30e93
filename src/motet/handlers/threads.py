"""Threads for blocking handlers."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Threads(Executor):
    """Up to `most` threads, begun when they are needed. None of them holds up the process's end.

    That is the difference to a `ThreadPoolExecutor`: at exit, Python waits for those, and so for
    a handler that hangs.
    """

    def __init__(self, most: int, *, name: str) -> None:
        self._most = most
        self._name = name
        self._waiting: deque[tuple[Callable[[], bool], Callable[[], None]]] = deque()
        self._changed = threading.Condition()
        self._begun = 0
        self._idle = 0
        self._closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call `fn` in a thread as soon as one is free.

        Raises:
            RuntimeError: it was shut down.
        """
        future: Future[T] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError(f"the threads of {self._name!r} are shut down")
            call = future.cancel, lambda: _call(future, lambda: fn(*args, **kwargs))
            self._waiting.append(call)
            if len(self._waiting) > self._idle and self._begun < self._most:
                self._begin()
            else:
                self._changed.notify()
        return future

    def _begin(self) -> None:
        name = f"{self._name}-{self._begun}"
        try:
            threading.Thread(target=self._work, name=name, daemon=True).start()
        except RuntimeError:  # the system has no more: those there are will come to it
            if not self._begun:
                self._waiting.pop()
                raise
        else:
            self._begun += 1

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002  # as in Executor
        """Take nothing more on; what runs goes on, and nobody waits for it."""
        with self._changed:
            self._closed = True
            while cancel_futures and self._waiting:
                cancel, _ = self._waiting.popleft()
                cancel()
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._idle += 1
                while not self._waiting and not self._closed:
                    self._changed.wait()
                self._idle -= 1
                if not self._waiting:
                    return
                _, call = self._waiting.popleft()
            call()
            del call  # it holds a record, and the next one may be long in coming


def _call(future: Future[T], bound: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = bound()
    except BaseException as err:  # noqa: BLE001  # it is raised where the future is waited for
        future.set_exception(err)
    else:
        future.set_result(result)
