"""A few SFTP channels on one SSH session: a large batch is shared out between them, as far as the server allows."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from erp_connectors.sftp.errors import ChannelsRefused, HandleReused, SshError
from erp_connectors.sftp.limits import LearnedLimits, may_be_a_limit
from erp_connectors.sftp.pipeline import Pipeline, ResultT, Task

# Makes a new task each time: a task that was refused runs again.
Job = Callable[[], Task[ResultT]]

MAX_CHANNELS = 4
# Opening a channel takes three round trips, which a small batch does not win back.
TASKS_FOR_EACH = 32
# Another session of the same user may hold all the files that the server allows.
PAUSES = (0.2, 0.5, 1.0)


class Channels:
    """One pipeline, and more of them while large batches run. Not for use by several threads at once.

    No request is sent while a further channel is being opened. If the server ends the connection because of it, no
    request has been carried out that would have to be repeated.
    """

    def __init__(
        self,
        first: Callable[[], Pipeline],
        open_another: Callable[[], Pipeline],
        *,
        alive: Callable[[], bool] = lambda: True,
        learned: LearnedLimits | None = None,
        expected: int = 0,
    ) -> None:
        """``open_another`` raises `SshError` if the server allows no more; ``alive`` tells if the connection is up.

        Channels for so many ``expected`` tasks are opened while ``first`` gets ready. Raises `ChannelsRefused`, or
        what ``first`` raises.
        """
        self._others: list[Future[Pipeline]] = []
        self._open_another = open_another
        self._alive = alive
        self._learned = learned or LearnedLimits()
        self._refused: ChannelsRefused | None = None
        self.expect(expected)
        try:
            self._first = first()
        except SshError as error:
            if not self._others:
                raise
            raise ChannelsRefused(*error.texts) from None
        self.settle()

    @property
    def extensions(self) -> dict[str, str]:
        return self._first.extensions

    @property
    def broken(self) -> SshError | None:
        return self._refused or self._first.broken

    def run(
        self, tasks: Sequence[Task[ResultT]], *, files_open: int | None = None
    ) -> list[ResultT | SshError]:
        """Run tasks as `Pipeline.run` does."""
        try:
            self.settle()
        except ChannelsRefused as error:
            return [error] * len(tasks)
        return self._first.run(tasks, files_open=files_open)

    def run_one(self, task: Task[ResultT]) -> ResultT:
        """Raises what went wrong."""
        (result,) = self.run([task])
        if isinstance(result, SshError):
            raise result
        return result

    def answers(self, task: Task[object]) -> bool:
        """Return True if the server still answers a request that changes nothing."""
        self._first.run([task])
        if self.broken is None:
            with suppress(ChannelsRefused):
                self.settle()
        return self.broken is None

    def expect(self, tasks: int) -> None:
        """Open what so many tasks will want, in the background."""
        missing = self._wanted(tasks) - 1 - len(self._others)
        if missing > 0:
            pool = ThreadPoolExecutor(missing, "sftp-channel")
            self._others += [pool.submit(self._open_another) for _ in range(missing)]
            pool.shutdown(wait=False)

    def settle(self) -> None:
        """Wait until every further channel is open or refused. Raises `ChannelsRefused`."""
        if self._refused:
            raise self._refused
        wait(self._others)
        open_ = [other for other in self._others if other.exception() is None]
        refused = [error for other in self._others if isinstance(error := other.exception(), SshError)]
        # A server may end a channel that was idle for long; another is opened in its place if it is wanted.
        self._others = [other for other in open_ if not other.result().closed]
        if refused and not self._alive():
            self._refused = ChannelsRefused(*refused[0].texts)
            raise self._refused
        if refused:
            self._learned.channels(1 + len(open_))

    def run_files(
        self, jobs: Sequence[Job[ResultT]], *, at_once: int, shared: bool = False
    ) -> list[ResultT | SshError]:
        """Run jobs that hold one file open each: ``at_once`` on a channel, on several channels if ``shared``.

        A file that the server refuses to open while others are open is tried again with fewer files at once, down to
        one; the number that the server allows is remembered. If a result is `ChannelsRefused` or `HandleReused`, the
        caller must open a new session and run all jobs again.
        """
        window = min(at_once, self._learned.now.files_at_once or at_once)
        try:
            pipelines = self._ready(len(jobs) if shared else 0)
        except ChannelsRefused as error:
            return [error] * len(jobs)
        results = self._share_out([job() for job in jobs], pipelines, window)
        refused = _Refused.among(enumerate(results), pipelines)
        pauses = iter(PAUSES)
        while refused.files and not self.broken:
            if refused.beside:
                window = refused.most if refused.most < window else max(1, window // 2)
            elif self._learned.now.files_at_once is None or (pause := next(pauses, None)) is None:
                # No file of this session was open, and there is no known limit that another session could use up.
                break
            else:
                time.sleep(pause)
            again = self._share_out([jobs[i]() for i in refused.files], [self._first], window)
            if refused.at_the_most and not all(map(may_be_a_limit, again)):
                self._learned.files_open(min(refused.most, window))
            for i, result in zip(refused.files, again, strict=True):
                results[i] = result
            refused = _Refused.among(zip(refused.files, again, strict=True), [self._first])
        return results

    def _ready(self, tasks: int) -> list[Pipeline]:
        """The pipelines for so many tasks. Raises `ChannelsRefused`."""
        self.settle()
        self.expect(tasks)
        self.settle()
        return [self._first, *(other.result() for other in self._others[: self._wanted(tasks) - 1])]

    def _share_out(
        self, tasks: Sequence[Task[ResultT]], pipelines: Sequence[Pipeline], window: int
    ) -> list[ResultT | SshError]:
        many = len(pipelines)
        if many == 1:
            return pipelines[0].run(tasks, files_open=window)
        results: list[Any] = [None] * len(tasks)
        with ThreadPoolExecutor(many - 1, "sftp-share") as pool:
            shares = [
                pool.submit(pipeline.run, tasks[n::many], files_open=window)
                for n, pipeline in enumerate(pipelines[1:], 1)
            ]
            results[0::many] = pipelines[0].run(tasks[0::many], files_open=window)
            for n, share in enumerate(shares, 1):
                results[n::many] = share.result()
        self._forget_the_dead()
        return results

    def _wanted(self, tasks: int) -> int:
        allowed = self._learned.now.channels_at_once or MAX_CHANNELS
        return max(1, min(MAX_CHANNELS, allowed, tasks // TASKS_FOR_EACH))

    def _forget_the_dead(self) -> None:
        """Use one channel from now on if a channel has ended and the connection has not."""
        others = [other.result() for other in self._others]
        ended = [one.broken for one in (self._first, *others) if one.broken]
        if any(not isinstance(error, HandleReused) for error in ended) and self._alive():
            self._learned.channels(1)
        for other in others:
            if other.broken:
                other.close()
        self._others = [other for other in self._others if not other.result().broken]


@dataclass(frozen=True, slots=True)
class _Refused:
    """Files of one run that the server refused to open; ``files`` are their indexes.

    ``most``: the largest number of files open at once. ``beside``: other files were open at a refusal. ``at_the_most``:
    as many as ``most`` were open at a refusal.
    """

    files: list[int]
    most: int
    beside: bool
    at_the_most: bool

    @classmethod
    def among(cls, results: Iterable[tuple[int, object]], pipelines: Sequence[Pipeline]) -> Self:
        refused = {i: result.open_already for i, result in results if may_be_a_limit(result)}
        most = sum(pipeline.most_open for pipeline in pipelines)
        # A channel counts only its own files.
        open_then = max(refused.values(), default=0) if len(pipelines) == 1 else most
        return cls(list(refused), most, beside=open_then > 0, at_the_most=0 < most <= open_then)
