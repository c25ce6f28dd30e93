from contextlib import AbstractAsyncContextManager, nullcontext

from hypothesis import settings

from motet.core.clock import SystemClock
from motet.core.ports import Store
from motet.stores.memory import MemoryLog, MemoryStore
from motet.testing.machines import StoreMachine


class MemoryMachine(StoreMachine):
    """The model against itself: whatever the machine can ask has one answer."""

    def make(self) -> AbstractAsyncContextManager[Store]:
        return nullcontext(MemoryStore(MemoryLog(SystemClock()), shared=False))


MemoryMachine.TestCase.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
TestMemoryMachine = MemoryMachine.TestCase
