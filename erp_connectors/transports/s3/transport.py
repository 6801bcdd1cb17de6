"""A dropzone in an S3 bucket. Folders are key prefixes: they exist if the bucket does.

`publishing` publishes a file exactly once, `answers` maps the server's errors, `probing` tries out its features.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from erp_connectors import faults
from erp_connectors.config_fields import ConfigField
from erp_connectors.dropzone_paths import folder_of, is_temporary
from erp_connectors.faults import Fault
from erp_connectors.port_types import Entry, Guarantee, Move, ProbeStep, Upload
from erp_connectors.transports.base import (
    Contents,
    Outcomes,
    Presences,
    Transport,
    TransportPolicy,
)
from erp_connectors.transports.s3 import answers, client, config, fields, moving, probing, publishing
from erp_connectors.transports.s3.bucket import Bucket, key_of, prefix_of
from erp_connectors.transports.s3.options import S3Options
from orderflow import tracing
from orderflow.messages import Message

CONNECT, LOGIN = STEPS = (
    ("tcp", "Name lookup and TCP"),
    ("bucket", "Login and bucket"),
)
# A bucket's versioning may be changed at any time, so it is read again after this time.
MAX_AGE = 300.0
# Amazon refuses requests that are signed a quarter of an hour off.
MAX_SKEW = 30.0
ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")


class S3Transport(Transport):
    label = "S3 bucket"
    Options = S3Options
    opening = STEPS
    # There is nothing to rename and no permission bits: an object appears whole.
    unused_common_fields = frozenset({"atomic_write", "file_mode"})

    @classmethod
    def fields(cls) -> Sequence[ConfigField]:
        return fields.FIELDS

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> S3Options:
        return config.parse(raw)

    def __init__(self, options: S3Options, policy: TransportPolicy) -> None:
        self._options, self._policy = options, policy
        self._bucket: Bucket | None = None
        self._opened = 0.0
        self._rules = publishing.PutRules(options.io_timeout)
        self._support: probing.Support | None = None
        # The bytes that this session staged and has not tried to publish yet.
        self._staged: dict[str, bytes] = {}
        self._folder = "/"

    def open_steps(self) -> Iterator[ProbeStep]:
        if self._bucket is not None:
            return
        for (name, label), action in zip(STEPS, (self._connect, self._log_in), strict=True):
            step = _timed(name, label, action)
            yield step
            if not step.ok:
                self.close()
                return

    def _connect(self) -> Message:
        options = self._options
        sock = client.connect(options, self._policy, options.host, options.port, options.connect_timeout)
        address = str(sock.getpeername()[0])
        sock.close()
        return Message("test.connected", address=address, port=options.port)

    def _log_in(self) -> Message:
        made = client.make_client(self._options, self._policy)
        bucket = Bucket(made, self._options.bucket, io_timeout=self._options.io_timeout)
        asked = time.time()
        versioned, headers = bucket.versioning()
        listed = bool(versioned) and _may_list_versions(bucket)
        self._rules = publishing.PutRules(self._options.io_timeout, versioned=listed)
        self._rules.ahead = _seconds_ahead(headers.get("date", ""), (asked + time.time()) / 2)
        if abs(self._rules.ahead) > MAX_SKEW:
            raise Fault(faults.CLOCK_SKEW, Message("s3.skew", seconds=round(abs(self._rules.ahead))))
        self._bucket, self._opened = bucket, time.monotonic()
        code = "test.bucket_with_versions" if listed else "test.bucket_without_versions"
        return Message(code, bucket=self._options.bucket)

    def resume(self) -> bool:
        # Another worker may have published what was staged in this session.
        self._staged.clear()
        return self._bucket is not None and time.monotonic() - self._opened < MAX_AGE

    def close(self) -> None:
        bucket, self._bucket = self._bucket, None
        self._staged.clear()
        if bucket is not None:
            bucket.client.close()

    def destination(self, folder: str) -> str:
        return f"s3://{self._options.host}:{self._options.port}/{self._options.bucket}"

    def publish_until(self, moment: float) -> None:
        self._rules.until = moment

    def guarantee(self, *, atomic_write: bool) -> Guarantee:
        self._support = self._support or probing.try_out(
            self._require_bucket(), self._folder, versioned=self._rules.versioned
        )
        return self._support.guarantee()

    def _stage(self, uploads: Sequence[Upload]) -> Outcomes:
        bucket = self._require_bucket()
        self._folder = folder_of(uploads[0].path)
        outcomes = _run_together(uploads, _path_of_upload, lambda upload: publishing.stage(bucket, upload))
        pairs = zip(uploads, outcomes, strict=True)
        self._staged = {upload.path: upload.data for upload, fault in pairs if fault is None}
        return outcomes

    def _publish(self, moves: Sequence[Move]) -> Outcomes:
        bucket, rules = self._require_bucket(), self._rules
        staged = {move.source: self._staged.pop(move.source, None) for move in moves}

        def publish(move: Move) -> None:
            data = staged[move.source]
            if data is None:
                publishing.recover(bucket, move, rules)
            else:
                publishing.publish_staged(bucket, move, data, rules)

        return _run_together(moves, _path_of_move, publish)

    def _exists(self, paths: Sequence[str]) -> Presences:
        bucket = self._require_bucket()
        return _run_together(paths, str, lambda path: bucket.has(key_of(path)))

    def _list(self, folder: str) -> Iterator[Entry]:
        bucket, prefix = self._require_bucket(), prefix_of(folder)
        try:
            for page in bucket.pages(prefix):
                for one in page.get("Contents", ()):
                    # The key of the prefix itself stands for the folder.
                    if one["Key"] != prefix:
                        modified = int(one["LastModified"].timestamp())
                        yield Entry(one["Key"].removeprefix(prefix), one["Size"], modified, is_file=True)
                for one in page.get("CommonPrefixes", ()):
                    yield Entry(one["Prefix"].removeprefix(prefix).rstrip("/"), 0, 1, is_file=False)
        except answers.ERRORS as error:
            raise answers.fault_of(error, folder) from None

    def _read(self, paths: Sequence[str], *, max_bytes: int) -> Contents:
        bucket = self._require_bucket()

        def read(path: str) -> bytes:
            body = bucket.get(key_of(path), most=max_bytes)
            if body is None:
                raise Fault(faults.TOO_LARGE, Message("file.too_large", most=max_bytes), path=path)
            return body

        return _run_together(paths, str, read)

    def _move(self, moves: Sequence[Move]) -> Outcomes:
        bucket = self._require_bucket()
        return _run_together(moves, _path_of_move, lambda move: moving.move(bucket, move))

    def _remove(self, paths: Sequence[str]) -> Presences:
        bucket = self._require_bucket()

        def remove(path: str) -> bool:
            self._staged.pop(path, None)
            if not bucket.has(key_of(path)):
                return False
            bucket.delete(key_of(path))
            if is_temporary(path) and not self._rules.versioned:
                bucket.delete(publishing.mark_of(path))
            return True

        return _run_together(paths, str, remove)

    def _make_folder(self, path: str) -> None:
        """Do nothing: a prefix needs no object."""

    def _require_bucket(self) -> Bucket:
        if self._bucket is None:
            self.open()
        if self._bucket is None:
            raise Fault(faults.CONNECTION_LOST)
        return self._bucket


def _run_together(
    items: Sequence[ItemT], path_of: Callable[[ItemT], str], work: Callable[[ItemT], AnswerT]
) -> list[AnswerT | Fault]:
    """Return the answers of all items, whose requests are in flight together."""

    def attempt(item: ItemT) -> AnswerT | Fault:
        try:
            return work(item)
        except answers.ERRORS as error:
            return answers.fault_of(error, path_of(item))

    if len(items) == 1:
        return [attempt(items[0])]
    with ThreadPoolExecutor(min(client.AT_ONCE, len(items)), "s3") as pool:
        return list(pool.map(attempt, items))


def _path_of_upload(upload: Upload) -> str:
    return upload.path


def _path_of_move(move: Move) -> str:
    return move.source


def _may_list_versions(bucket: Bucket) -> bool:
    try:
        bucket.had("test_connection")
    except answers.ERRORS as error:
        fault = answers.fault_of(error, "")
        if fault.kind is faults.PERMISSION_DENIED or answers.is_unsupported(error):
            return False
        raise
    return True


def _seconds_ahead(date: str, now: float) -> float:
    """Return how many seconds our clock is ahead of the server's; 0 if its answer has no date."""
    try:
        # The header has whole seconds.
        return now - parsedate_to_datetime(date).timestamp() - 0.5
    except ValueError:
        return 0.0


def _timed(name: str, label: str, action: Callable[[], Message]) -> ProbeStep:
    started = time.perf_counter()
    found: Message | None = None
    fault: Fault | None = None
    try:
        with tracing.span(f"s3 {name}"):
            found = action()
    except answers.ERRORS as error:
        fault = answers.fault_of(error, "")
        if fault.kind is faults.NOT_FOUND:  # to a request about the bucket
            fault = Fault(faults.NOT_S3)
    return ProbeStep(name, label, round((time.perf_counter() - started) * 1000), found, fault)
