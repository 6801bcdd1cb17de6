"""A few SFTP channels on one SSH session: a large batch is shared out between them."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic

from erp_connectors.sftp.errors import SshError
from erp_connectors.sftp.pipeline import Pipeline, ResultT, Task

AT_MOST = 4
# Opening a channel takes three round trips, which a small batch does not win back.
TASKS_FOR_EACH = 32


@dataclass(slots=True)
class _Share(Generic[ResultT]):
    """What one channel does of a batch; without a pipeline, it opens one first."""

    tasks: Sequence[Task[ResultT]]
    pipeline: Pipeline | None
    results: list[ResultT | SshError] | None = None


class Channels:
    """One pipeline, and more of them while large batches run. Not for use by several threads at once."""

    def __init__(self, first: Pipeline, open_another: Callable[[], Pipeline]) -> None:
        """``open_another`` raises `SshError` where the server allows no more; it is not asked again then."""
        self._first = first
        self._others: list[Pipeline] = []
        self._open_another = open_another
        self._refused = False

    @property
    def extensions(self) -> dict[str, str]:
        return self._first.extensions

    @property
    def broken(self) -> SshError | None:
        return self._first.broken

    def run(
        self, tasks: Sequence[Task[ResultT]], *, files_open: int | None = None
    ) -> list[ResultT | SshError]:
        """As `Pipeline.run`. Tasks that hold files open are shared out; ``files_open`` counts for each channel."""
        there = 1 + len(self._others)
        wanted = min(AT_MOST if not self._refused else there, len(tasks) // TASKS_FOR_EACH)
        if files_open is None or wanted <= 1:
            return self._first.run(tasks, files_open=files_open)
        return self._share_out(tasks, wanted, files_open)

    def run_one(self, task: Task[ResultT]) -> ResultT:
        """Raises what went wrong."""
        return self._first.run_one(task)

    def _share_out(
        self, tasks: Sequence[Task[ResultT]], channels: int, files_open: int
    ) -> list[ResultT | SshError]:
        ready: list[Pipeline | None] = [self._first, *self._others]
        ready += [None] * (channels - len(ready))
        shares = [_Share(tasks[n::channels], ready[n]) for n in range(channels)]
        with ThreadPoolExecutor(channels, "sftp-channel") as pool:
            for done in [pool.submit(self._do, share, files_open) for share in shares]:
                done.result()
        self._keep([share.pipeline for share in shares[1:]])
        for share in shares:
            if share.results is None:
                share.results = self._first.run(share.tasks, files_open=files_open)
        results: list[Any] = [None] * len(tasks)
        for n, share in enumerate(shares):
            results[n::channels] = share.results or []
        return results

    def _do(self, share: "_Share[ResultT]", files_open: int) -> None:
        if share.pipeline is None:
            try:
                share.pipeline = self._open_another()
            except SshError:
                # The first channel does it: a server may allow only one.
                self._refused = True
                return
        share.results = share.pipeline.run(share.tasks, files_open=files_open)

    def _keep(self, used: Sequence[Pipeline | None]) -> None:
        known = dict.fromkeys([*self._others, *(pipeline for pipeline in used if pipeline)])
        self._others = [pipeline for pipeline in known if not pipeline.broken]
