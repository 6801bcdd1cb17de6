"""Find and count files in an ack folder that are probably answers but have a wrong name. They are never touched.

A poll passes the entries of its listing; the result is stored in the connection's row, with a limit on the names.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from erp_connectors.common_fields import Dropzone
from erp_connectors.connectors.base import Connector, MisnamedAnswer
from erp_connectors.models import ERPConnection, ERPExport
from erp_connectors.port_types import Entry
from erp_connectors.services.acks.file_index import stored_name
from erp_connectors.services.acks.shared_folders import foreign_filenames
from erp_connectors.services.connections.ack_folders import ERROR, PROCESSED, REASON_SUFFIX

# Files that one poll looks up, and names that are stored.
LOOKED_AT, KEPT = 2000, 50
# Endings of files that are still being written. A file that keeps one for `WRITTEN_WITHIN` counts as misnamed.
UNFINISHED = (".tmp", ".part", ".partial", ".filepart", ".writing", ".uploading", ".crdownload", "~")
WRITTEN_WITHIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class MisnamedFile:
    """``export_id`` None: the name does not tell which export it answers, or no export of the org has that name."""

    name: str
    expected_name: str
    export_id: UUID | None
    since: datetime


@dataclass(frozen=True, slots=True)
class Misnamed:
    """``more``: there are more than ``count``; ``files`` are the first ones."""

    count: int = 0
    more: bool = False
    files: tuple[MisnamedFile, ...] = ()

    @property
    def amount(self) -> str:
        return f"{self.count}+" if self.more else str(self.count)


def misnamed_of(connection: ERPConnection) -> Misnamed:
    """Return the misnamed files that the last complete poll found."""
    found: Mapping[str, Any] = connection.misnamed_answers or {}
    files = tuple(
        MisnamedFile(
            name=one["name"],
            expected_name=one["expected"],
            export_id=UUID(one["export"]) if one["export"] else None,
            since=datetime.fromisoformat(one["since"]),
        )
        for one in found.get("files", ())
    )
    return Misnamed(found.get("count", 0), found.get("more", False), files)


class MisnamedFinder:
    """Find the misnamed answers of one listing. `add` runs no statement; `files` and `as_json` run a few."""

    def __init__(
        self, connection: ERPConnection, connector: Connector[object], dropzone: Dropzone, *, now: datetime
    ) -> None:
        self._connection = connection
        self._connector, self._options = connector, dropzone.format_options
        # If both folders are one, a name without a prefix is the order file itself.
        self._with_orders = dropzone.one_folder
        self._now = now
        self._candidates: list[tuple[Entry, MisnamedAnswer]] = []
        self._more = False

    def add(self, entry: Entry) -> None:
        """Add a file whose name the connector does not know as an answer, if it looks like one."""
        # Some servers do not tell a folder from a file.
        if not entry.is_file or entry.name in (PROCESSED, ERROR) or entry.name.endswith(REASON_SUFFIX):
            return
        meant = self._connector.misnamed_answer(entry.name, self._options)
        if meant is None or (self._with_orders and _begins_with_export(entry.name, meant)):
            return
        if len(self._candidates) < LOOKED_AT:
            self._candidates.append((entry, meant))
        else:
            self._more = True

    def files(self) -> list[MisnamedFile]:
        """Return the misnamed files, without those of other orgs, of answered exports, or still being written."""
        return [file for file in self._misnamed_files() if not _may_be_unfinished(file, self._now)]

    def _misnamed_files(self) -> list[MisnamedFile]:
        named = {meant.filename for _, meant in self._candidates if meant.filename}
        foreign = foreign_filenames(self._connection.org_id, named) if named else set()
        exports = self._exports(named - foreign)
        since = self._since()
        files = []
        for entry, meant in self._candidates:
            export = exports.get(meant.filename or "")
            # The export has its answer: this file is a copy, a log or a marker.
            if meant.filename in foreign or (
                export and (export.is_answered or _is_its_file(entry, meant, export))
            ):
                continue
            name = stored_name(entry.name)
            found_at = since.get(name, self._now)
            files.append(MisnamedFile(name, meant.expected_name, export.pk if export else None, found_at))
        return files

    def as_json(self) -> dict[str, Any]:
        """Return the value for `ERPConnection.misnamed_answers`; empty if there are no files."""
        files = self._misnamed_files() if self._candidates else []
        if not files:
            return {}
        shown = [file for file in files if not _may_be_unfinished(file, self._now)]
        return {
            "count": len(shown),
            "more": self._more,
            "files": [_as_json(file) for file in shown[:KEPT]],
            # All of them: one whose time is forgotten would count as young at each poll.
            "unfinished": {
                file.name: file.since.isoformat() for file in files if _is_called_unfinished(file.name)
            },
        }

    def _exports(self, names: Iterable[str]) -> dict[str, ERPExport]:
        printable = [name for name in names if name.isprintable()]
        if not printable:
            return {}
        rows = ERPExport.objects.for_org(self._connection.org_id).filter(filename__in=printable)
        return {row.filename: row for row in rows.only("id", "filename", "status", "failed_as", "size")}

    def _since(self) -> dict[str, datetime]:
        before: Mapping[str, Any] = self._connection.misnamed_answers or {}
        known = {one["name"]: one["since"] for one in before.get("files", ())}
        return {
            name: datetime.fromisoformat(at) for name, at in {**known, **before.get("unfinished", {})}.items()
        }


def first_names(files: Sequence[MisnamedFile], most: int = 3) -> str:
    """Return the first names, each with the expected one, for a report in English."""
    return ", ".join(f"{file.name!r} (expected {file.expected_name!r})" for file in files[:most])


def _begins_with_export(name: str, meant: MisnamedAnswer) -> bool:
    return bool(meant.filename) and name.lower().startswith((meant.filename or "").rpartition(".")[0])


def _is_its_file(entry: Entry, meant: MisnamedAnswer, export: ERPExport) -> bool:
    """Return whether this is the order file itself, as if one folder has two paths."""
    return _begins_with_export(entry.name, meant) and entry.size == export.size


def _is_called_unfinished(name: str) -> bool:
    return name.lower().endswith(UNFINISHED) or name.startswith(".")


def _may_be_unfinished(file: MisnamedFile, now: datetime) -> bool:
    return _is_called_unfinished(file.name) and now - file.since < WRITTEN_WITHIN


def _as_json(file: MisnamedFile) -> dict[str, Any]:
    return {
        "name": file.name,
        "expected": file.expected_name,
        "export": str(file.export_id) if file.export_id else None,
        "since": file.since.isoformat(),
    }
