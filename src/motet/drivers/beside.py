"""Tasks that run beside a block, and end with it."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager


@asynccontextmanager
async def beside(work: Mapping[str, Coroutine[object, object, None]]) -> AsyncIterator[None]:
    """Run coroutines, by name of their task, while the block runs; cancel them at its end.

    What the block raises comes out as it is, not in a group. What a task raises ends the block.
    """
    failure: BaseException | None = None
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each, name=name) for name, each in work.items()]
        try:
            yield
        except BaseException as err:  # noqa: BLE001 - raised again, outside the group
            failure = err
        finally:
            for task in tasks:
                task.cancel()
    if failure is not None:
        raise failure
