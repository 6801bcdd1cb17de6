"""Read and parse ack files. A file that can't be understood is a result, not an error."""

from collections.abc import Collection, Container, Sequence
from datetime import timedelta

from django.conf import settings

from erp_connectors.common_fields import Dropzone
from erp_connectors.connectors.base import AckUnreadable, Connector, is_sound
from erp_connectors.dropzone_paths import join
from erp_connectors.faults import NOT_FOUND, PERMISSION_DENIED, Fault, Scope
from erp_connectors.models import ERPConnection
from erp_connectors.services.acks.connector_bugs import as_fault
from erp_connectors.services.acks.decide import ReadAck, UnreadableAck
from erp_connectors.services.acks.file_index import ListedAck
from erp_connectors.services.acks.poll_report import PollReport
from erp_connectors.services.acks.shared_folders import foreign_filenames
from erp_connectors.transports.base import Transport
from orderflow.messages import Message

# Each answer costs parameters of statements.
MAX_ANSWERS_IN_FILE = 5000


class AckReader:
    """Read the files of one ack folder. ``fault``: why the last of the unread files could not be read.

    ``expected``: order files that no export has yet; answers to them wait.
    """

    def __init__(
        self,
        connection: ERPConnection,
        connector: Connector[object],
        dropzone: Dropzone,
        transport: Transport,
        *,
        report: PollReport,
        expected: Container[str],
    ) -> None:
        self._connection = connection
        self._connector = connector
        self._options = dropzone.format_options
        self._transport = transport
        self._folder = dropzone.ack_path or ""
        self._report = report
        self._expected = expected
        self.fault: Fault | None = None

    def read(self, files: Sequence[ListedAck]) -> list[ReadAck | UnreadableAck]:
        """Read and parse files. Leave out those that are gone or could not be read for a fault of the link."""
        paths = [join(self._folder, file.entry.name) for file in files]
        bodies = self._transport.read(paths, max_bytes=settings.ACK_MAX_BYTES)
        found = [
            self._not_read(file, body) if isinstance(body, Fault) else self._parse(file, body)
            for file, body in zip(files, bodies, strict=True)
        ]
        read = [one for one in found if one]
        if inside := {ack.export_filename for one in read for ack in one.answers if ack.export_filename}:
            return self._without_foreign(read, self.foreign(inside))
        return read

    def foreign(self, filenames: Collection[str]) -> set[str]:
        """Return the names of other orgs' order files, and those that have to wait."""
        return foreign_filenames(self._connection.org_id, filenames, expected=self._expected)

    def _parse(self, file: ListedAck, body: bytes) -> ReadAck | UnreadableAck:
        try:
            with as_fault("parse_ack", file.entry.name):
                answers = self._connector.parse_ack(file.entry.name, body, self._options)
                if not 0 < len(answers) <= MAX_ANSWERS_IN_FILE:
                    most = MAX_ANSWERS_IN_FILE
                    raise AckUnreadable(Message("ack.number_of_answers", number=len(answers), most=most))
                if not all(map(is_sound, answers)):
                    raise ValueError("an answer that can't be stored")
        except AckUnreadable as error:
            patience = timedelta(seconds=settings.ACK_UNFINISHED_SECONDS if error.unfinished else 0)
            return UnreadableAck(file, body, error.why, patience)
        except Fault as fault:
            # A bug of the connector. The content is unknown, so the file stays. The other files are read.
            self.fault = fault
            return UnreadableAck(file, body, fault.as_message(), patience=None)
        return ReadAck(file, body, answers)

    def _not_read(self, file: ListedAck, fault: Fault) -> UnreadableAck | None:
        if fault.kind is NOT_FOUND:
            return None
        if fault.kind is PERMISSION_DENIED:
            # Operators often grant read access last. Until then the file stays.
            self.fault = fault
            return UnreadableAck(file, b"", fault.as_message(), patience=None)
        if fault.scope is not Scope.FILE:
            self.fault = fault
            return None
        # The ERP team reads the reason, and its paths differ from those of the connection.
        return UnreadableAck(file, b"", fault.as_message(with_path=False))

    def _without_foreign(
        self, read: Sequence[ReadAck | UnreadableAck], foreign: Container[str]
    ) -> list[ReadAck | UnreadableAck]:
        """Leave files of other orgs alone. One that answers several orgs stays, and is shown as waiting."""
        kept: list[ReadAck | UnreadableAck] = []
        several_orgs = Message("ack.several_orgs")
        for one in read:
            names = {ack.export_filename or one.file.export_filename for ack in one.answers}
            ours = [name for name in names if name not in foreign]
            if ours or not names:
                mixed = len(ours) < len(names)
                kept.append(UnreadableAck(one.file, one.body, several_orgs, patience=None) if mixed else one)
            else:
                self._report.listed -= 1
                self._report.others += 1
        return kept
