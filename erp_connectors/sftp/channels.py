"""A few SFTP channels on one SSH session: a large batch is shared out between them."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from erp_connectors.sftp.errors import SshError
from erp_connectors.sftp.pipeline import Pipeline, ResultT, Task

AT_MOST = 4
# Opening a channel takes three round trips, which a small batch does not win back.
TASKS_FOR_EACH = 32


class Channels:
    """One pipeline, and more of them while large batches run. Not for use by several threads at once."""

    def __init__(
        self, first: Callable[[], Pipeline], open_another: Callable[[], Pipeline], *, expected: int = 0
    ) -> None:
        """``open_another`` raises `SshError` where the server allows no more; it is not asked again then.

        Channels for so many ``expected`` tasks are opened while ``first`` gets ready. Raises what that raises.
        """
        self._others: list[Future[Pipeline]] = []
        self._open_another = open_another
        self._refused = False
        self.expect(expected)
        self._first = first()

    @property
    def extensions(self) -> dict[str, str]:
        return self._first.extensions

    @property
    def broken(self) -> SshError | None:
        return self._first.broken

    def run(
        self, tasks: Sequence[Task[ResultT]], *, files_open: int | None = None
    ) -> list[ResultT | SshError]:
        """As `Pipeline.run`."""
        return self._first.run(tasks, files_open=files_open)

    def run_one(self, task: Task[ResultT]) -> ResultT:
        """Raises what went wrong."""
        return self._first.run_one(task)

    def expect(self, tasks: int) -> None:
        """Open what so many tasks will want, in the background."""
        missing = self._wanted(tasks) - 1 - len(self._others)
        if missing > 0 and not self._refused:
            pool = ThreadPoolExecutor(missing, "sftp-channel")
            self._others += [pool.submit(self._open_another) for _ in range(missing)]
            pool.shutdown(wait=False)

    def share_out(self, tasks: Sequence[Task[ResultT]], *, files_open: int) -> list[ResultT | SshError]:
        """As `run`, over several channels where that is worth it; ``files_open`` counts for each of them."""
        self.expect(len(tasks))
        others = self._others[: self._wanted(len(tasks)) - 1]
        if not others:
            return self.run(tasks, files_open=files_open)
        many = 1 + len(others)
        with ThreadPoolExecutor(len(others), "sftp-share") as pool:
            shares = [
                pool.submit(self._run_on, other, tasks[n::many], files_open)
                for n, other in enumerate(others, 1)
            ]
            results: list[Any] = [None] * len(tasks)
            results[0::many] = self.run(tasks[0::many], files_open=files_open)
        for n, share in enumerate(shares, 1):
            done = share.result()
            # The first channel does what a server allows no other for.
            results[n::many] = self.run(tasks[n::many], files_open=files_open) if done is None else done
        self._forget_the_dead()
        return results

    def _wanted(self, tasks: int) -> int:
        return max(1, min(AT_MOST, tasks // TASKS_FOR_EACH))

    def _run_on(
        self, other: "Future[Pipeline]", tasks: Sequence[Task[ResultT]], files_open: int
    ) -> list[ResultT | SshError] | None:
        if other.exception() is None:
            return other.result().run(tasks, files_open=files_open)
        return None

    def _forget_the_dead(self) -> None:
        self._refused |= any(isinstance(other.exception(), SshError) for other in self._others)
        self._others = [
            other for other in self._others if not other.exception() and not other.result().broken
        ]
