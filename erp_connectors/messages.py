"""Templates of the messages of this package, by area. Each is the key of its translations."""

from datetime import datetime, timedelta

from django.utils.formats import date_format
from django.utils.timezone import localtime

from erp_connectors.states import AckFileStatus, ExportStatus
from orderflow.durations import duration
from orderflow.messages import Message, Template, register, sentences
from orderflow.orders.messages import STATUS


def _seconds(value: int) -> str:
    return duration(timedelta(seconds=value))


def _moment(value: str) -> str:
    return date_format(localtime(datetime.fromisoformat(value)), "DATETIME_FORMAT")


def _export_status(value: str) -> str:
    return str(ExportStatus(value).label)


def _ack_status(value: str) -> str:
    return str(AckFileStatus(value).label)


# What a refusal of the ERP says: its code, its text.
_REASON = {"error_code": "Error code: %(error_code)s.", "message": "Reason: %(message)s"}
_SECONDS = {"seconds": _seconds}
_NOTE = {"note": "%(note)s"}
_TESTED = {"remarks": "%(remarks)s", "guarantee": "%(guarantee)s"}
_REMARKS = {"remarks": sentences}

register(
    {
        "sftp.server_says": "The server says: “%(text)s”.",
        "sftp.often_full": "Often the disk is full or a quota is used up.",
        "sftp.absent_then_there": "The file was first absent, and then there.",
        "sftp.not_there": "The file is not there.",
        "sftp.not_listed": "The folder could not be listed, so whether the file was renamed is not known.",
        "s3.tls": "TLS reports: %(text)s.",
        "s3.too_late": "The lease of this worker is nearly over, so it published nothing more.",
        "s3.checksum": "The server has another checksum than the bytes that were sent.",
        "s3.skew": "They differ by %(seconds)s seconds.",
        "s3.redirected": "The server redirects to %(host)s.",
        "s3.address": "The address is %(address)s.",
        "s3.no_versions": "The bucket keeps no versions, or they may not be listed: after an interruption, a file that "
        "the ERP has taken leaves no proof. Enable versioning on the bucket and allow s3:ListBucketVersions.",
        "s3.no_conditions": "The server ignores If-None-Match: it does not refuse a second file of the same name.",
        "s3.no_expiry": "The server accepts a signed request after its expiry: a worker that was frozen could write an "
        "order once more.",
        "host.needs_https": "%(host)s is %(address)s, a public address: use https.",
        "file.not_a_folder": "A file with the name of the folder exists.",
        "file.size": "Its size in bytes is %(size)s instead of %(expected)s.",
        "file.too_large": "It has more than %(most)s bytes.",
        "file.free_space": "%(free)s bytes are free.",
        "host.not_a_name": "%(host)s is not a host name.",
        "host.not_listed": "%(host)s is not one of SFTP_ALLOWED_HOSTS.",
        "host.address_not_listed": "%(host)s is %(address)s, which is not in SFTP_ALLOWED_HOSTS.",
        "host.address_refused": "%(host)s is %(address)s: %(why)s.",
        "host.not_listed_behind_hop": "%(host)s is not one of SFTP_ALLOWED_HOSTS. Behind a jump host or proxy the name "
        "itself must be listed, because OrderFlow does not know its address.",
        "host.name_refused": "%(host)s: %(why)s.",
        "address.loopback_of_hop": "it is the jump host or proxy itself",
        "address.metadata": "clouds hand out credentials at this address",
        "address.link_local": "the address is link-local, as are those where clouds hand out credentials",
        "address.unspecified": "no machine has this address",
        "address.not_single": "the address is not that of a single machine",
        "address.loopback": "it is the machine that OrderFlow itself runs on",
        "address.carries": "%(why)s (as %(address)s)",
        "render.order_missing": "The order is missing.",
        "render.lines_missing": "The order has %(lines)s lines, %(read)s were read.",
        "render.no_customer": "The order has no customer.",
        "render.not_approved": "The order is not approved.",
        "delivery.staged_at": "It was staged at %(destination)s.",
        "delivery.earlier_file": "The earlier file is %(name)s.",
        "acceptance.no_ack_folder": "The connection has no ack folder, so the test would never end.",
        "connector.unknown": "There is no connector type %(type)s; this deployment has %(known)s.",
        "config.row_unreadable": "%(kind)s %(id)s: %(why)s.",
    }
)
# What is wrong with the key of a config that is named before it.
_LIMITS = {"limits": "(%(limits)s)"}
register(
    {
        "config.problems": "%(problems)s.",
        "config.problem": "%(key)s: %(problem)s",
        "config.alternatives": "%(others)s or %(last)s",
        "config.missing": "is missing",
        "config.not_a_bucket": "must be the name of a bucket: 3 to 255 letters, digits, dots, hyphens and underscores",
        "config.not_a_region": "must be a region such as eu-central-1",
        "config.not_an_endpoint": "must be a URL of host and port, such as https://minio.example.com:9000",
        "config.needed_for_s3": "is needed in mode s3",
        "config.not_used": "is not used in mode %(mode)s",
        "config.not_boolean": "must be true or false",
        "config.not_a_date": "must be a date like 2026-12-31",
        "config.not_an_integer": Template("must be a whole number", optional=_LIMITS),
        "config.not_a_number": Template("must be a number", optional=_LIMITS),
        "config.not_a_text": Template("must be a text", optional=_LIMITS),
        "config.at_least": "at least %(n)s",
        "config.above": "above %(n)s",
        "config.at_most": "at most %(n)s",
        "config.below": "below %(n)s",
        "config.characters_at_least": "at least %(number)s characters",
        "config.characters_at_most": "at most %(number)s characters",
        "config.pattern": "pattern %(pattern)s",
        "config.of_other_mode": "applies only to mode %(modes)s",
        "config.not_a_choice": "must be %(choices)s",
        "config.of_other_choice": "applies only if %(key)s is %(choices)s",
        "config.unknown_key": "is neither a common key nor of the connector %(connector)s",
        "config.unknown_key_of_mode": "is neither a common key, of mode %(mode)s nor of the connector %(connector)s",
        "config.not_octal": "must be three octal digits, like 0640",
        "config.not_an_absolute_path": "must be an absolute path like /dropzone/in, without '..'",
        "config.not_a_host": "must be a host name or address, nothing else",
        "config.not_one_word": "must be one word, without spaces and hidden characters",
        "config.needed_for_sftp": "is needed in mode sftp",
        "config.needed_with_hop": "is needed if via is %(via)s",
        "config.hop_login_incomplete": "enter user name and password, or neither",
        "config.hop_no_credential": "enter a password, or better a key, for the jump host",
        "config.no_colon": "must have no colon, which HTTP does not allow in a user name",
        "config.too_long_for_socks": "must have at most 255 bytes, which is the limit of SOCKS",
        "config.no_credential": "enter a password, or better an ssh_key",
        "config.not_public_keys": "must be public keys like 'ssh-ed25519 AAAA…', one a line",
        "config.needed_with_dates": "is needed if its dates are set",
        "config.ends_before_start": "is before the first day",
        "config.old_key_end_missing": "is needed: until when is the old key valid?",
        "config.secret_unreadable": "can't be kept, because the stored value can't be decrypted; enter it anew",
        "config.secret_sent_elsewhere": "must be entered again, because %(fields)s changed: a stored secret is only "
        "sent to the place that it was entered for",
        "config.folder_not_allowed": "lies outside the folders that this deployment allows; choose a folder below one "
        "of DROPZONE_ROOTS",
        "config.folder_in_use": "is used by another org, or lies in one of its folders or around its ack folder; "
        "choose a folder of your own",
    }
)
register(
    {
        "event.found_published": "The temporary file was gone, so the file had already been published.",
        "event.proven_by_answer": "The ERP's answer proves that the file was published.",
        "event.not_published": "The file was not published.",
        "event.had_been_published": "The file had been published.",
        "event.newer_file_in_archive": "The archive holds a newer file of the order.",
        "event.no_answer_configured": Template(
            "No answer within %(seconds)s, as configured.", formats=_SECONDS
        ),
        "event.no_answer_learned": Template(
            "No answer within %(seconds)s, the time learned from earlier answers.", formats=_SECONDS
        ),
        "event.erp_number": "ERP number: %(number)s",
        "event.erp_number_corrected": "%(source)s changed the ERP number from %(before)s to %(number)s.",
        "event.refused": Template("", optional=_REASON),
        "event.conflict_accepted": "%(source)s accepts the order as %(number)s.",
        "event.conflict_refused": Template("%(source)s refuses the order.", optional=_REASON),
        "event.moved": "It was moved from %(source)s to %(target)s.",
        # A label and its value: the status of an ack file that was not applied, and why.
        "event.ack_not_applied": Template("%(status)s: %(reason)s", formats={"status": _ack_status}),
    }
)
register(
    {
        "remark.size_not_confirmed": "The size could not be confirmed: %(why)s.",
        "remark.file_mode_not_applied": "file_mode %(wanted)s was not applied: the file has %(mode)s.",
        "remark.file_mode_refused": "file_mode was refused: %(why)s.",
        "remark.fsync_refused": "fsync was refused: %(why)s.",
    }
)
register(
    {
        "ack.no_such_export": "No export of this org has the file name %(name)s.",
        "ack.names_no_order_file": "It names no order file.",
        "ack.export_not_written": "Its export is not written yet.",
        "ack.number_of_answers": "The file has %(number)s answers. Write 1 to %(most)s.",
        "ack.several_orgs": "The file answers order files of several orgs, or unknown order files. Write one file "
        "for each org.",
    }
)

register(
    {
        "test.roots": Template("", optional={"folders": "%(folders)s"}),
        "test.no_roots": "none",
        "test.forwarded": "Connected to %(address)s.",
        "test.connected": "Connected to %(address)s, port %(port)s.",
        "test.bucket_with_versions": "Bucket %(bucket)s, which keeps versions.",
        "test.bucket_without_versions": "Bucket %(bucket)s, which keeps no versions or does not let us list them.",
        "test.greeted": Template(
            "",
            optional={
                "server": "%(server)s,",
                "key": "%(key)s.",
                "outdated": "Warning: the server needs outdated algorithms (%(outdated)s).",
            },
        ),
        "login.key": Template("Logged in as %(user)s with key %(key)s.", optional=_NOTE),
        "login.key_and_password": Template(
            "Logged in as %(user)s with key %(key)s and password.", optional=_NOTE
        ),
        "login.password": Template("Logged in as %(user)s with password.", optional=_NOTE),
        "login.nothing": Template("Logged in as %(user)s without key or password.", optional=_NOTE),
        "login.new_key": "Logged in as %(user)s with the new key %(key)s.",
        "login.new_key_and_password": "Logged in as %(user)s with the new key %(key)s and password.",
        "login.new_key_not_accepted": "The server does not accept the new key yet.",
        "test.file_renamed": Template(
            "%(folder)s: a test file was written, renamed and removed.", optional=_TESTED, formats=_REMARKS
        ),
        "test.file_written": Template(
            "%(folder)s: a test file was written and removed.", optional=_TESTED, formats=_REMARKS
        ),
        "test.file_was_taken": "Another program removed the test file meanwhile.",
        "test.renamed_at_second_try": "The rename was refused at first, as if a virus scanner held the file.",
        "test.ack_folder": Template(
            "%(folder)s: %(n)s name listed; processed/ and error/ can be written.",
            plural="%(folder)s: %(n)s names listed; processed/ and error/ can be written.",
        ),
        "test.ack_folder_with_orders": Template(
            "%(folder)s: %(n)s name listed; processed/ and error/ can be written. "
            "Orders go to this folder, too: choose another one for the answers.",
            plural="%(folder)s: %(n)s names listed; processed/ and error/ can be written. "
            "Orders go to this folder, too: choose another one for the answers.",
        ),
        "test.server_limits": "Limits of the server: %(limits)s.",
        "test.rename_replaces": "A rename over an existing file replaces it.",
        "test.rename_refused": "A rename over an existing file is refused.",
        "test.extensions": "Extensions: %(names)s.",
        "test.no_extensions": "Extensions: none.",
        "limit.none": "none found",
        "limit.files_open": Template(
            "at most %(n)s file open at once", plural="at most %(n)s files open at once"
        ),
        "limit.channels": Template("only one channel", plural="at most %(n)s channels at once"),
        "limit.reuses_handles": "it gives two open files the same handle (a protocol violation that swaps files), so "
        "one file is written at a time",
        "guarantee.exactly_once": "Each order appears exactly once, always whole.",
        "guarantee.exactly_once_done": "Each order appears exactly once, always whole, followed by its .done marker.",
        "guarantee.at_least_once": Template(
            "Each order is written at least once.", optional={"why": "%(why)s"}
        ),
        "guarantee.no_rename": "Without rename each order is written at least once, and a reader may see part of a "
        "file.",
        "guarantee.no_rename_done": "Without rename each order is written at least once, and only one that waits for "
        "the .done marker never sees part of a file.",
        "guarantee.published_by_rename": "Each file gets its final name by a rename; the absence of its temporary "
        "file proves that it was published.",
        "guarantee.versions_as_receipt": "Each file is written by one conditional request that expires before another "
        "worker takes over; the versions in the bucket prove that it was published.",
        "guarantee.written_under_final_name": "Each file is written under its final name; after an interruption it is "
        "written again.",
    }
)
register(
    {
        "push.no_connection": "There is no active ERP connection: set one up, test it, and push again.",
        "push.no_such_order": "There is no such order.",
        "push.not_approved": Template(
            "Order %(order)s has the status “%(status)s”; only an approved order can be pushed.",
            formats=STATUS,
        ),
        "push.order_in_error": Template(
            "Order %(order)s has the status “%(status)s”: correct and approve it, or retry the push.",
            formats=STATUS,
        ),
        "push.on_its_way": "Order %(order)s is on its way: export %(export)s.",
        "push.sent_before": "Order %(order)s was sent already: export %(export)s.",
        "retry.superseded": "A newer export of the order counts: %(export)s.",
        "retry.not_in_error": Template(
            "Order %(order)s has the status “%(status)s”: only an order with an error can be retried.",
            formats=STATUS,
        ),
        "retry.no_such_export": "There is no such export.",
        "retry.sends_again": "Not sent before: the file is rendered anew and sent.",
        "retry.sends_refused": "Refused by the ERP: the file is rendered anew and sent.",
        "retry.sends_if_unpublished": "Not known if the first file reached the ERP: a new one is sent only if it did "
        "not.",
        # Titles of groups of orders; the number of orders precedes them.
        "bulk.already_ready": "Already ready.",
        "bulk.already_approved": "Already approved.",
        "bulk.already_rejected": "Already rejected.",
        "bulk.already_accepted": "Already accepted by the ERP. Nothing is sent twice.",
        "bulk.already_sent": "Already on the server with the same content. Nothing is sent twice.",
        "bulk.already_pushing": "Already being sent. Nothing is sent twice.",
        "bulk.complete": "Complete. The next step is the approval.",
        "bulk.approves": "Will be approved by you. Nothing is sent yet.",
        "bulk.rejects": "Will never be sent. This can't be undone.",
        "bulk.pushes": "New. Each is sent to the ERP once, as one file.",
        "bulk.incomplete": "Something is missing.",
        "bulk.with_warnings": "%(effect)s With warnings: check these.",
        "bulk.wrong_status": Template("Not possible with the status “%(status)s”.", formats=STATUS),
        "bulk.order_gone": "There is no such order any more, or it is not yours.",
        "bulk.pushed_before": "It was pushed before; nothing is sent twice.",
        "bulk.user_deactivated": "The user %(user)s was deactivated meanwhile.",
        "bulk.too_many_orders": "%(number)s orders were chosen; one run takes %(most)s at most.",
        "export.illegal_move": Template(
            "An export can't go from “%(status)s” to “%(to)s”.",
            formats={"status": _export_status, "to": _export_status},
        ),
        "export.payload_removed": Template(
            "The content of this file was removed by retention on %(at)s.", formats={"at": _moment}
        ),
        "export.status_changed": "The export has another status now. Load the page again.",
        "lease.lost": "Another worker holds the %(purpose)s lease of %(row)s now.",
        "action.no_longer_possible": "%(row)s is now %(status)s, so this is no longer possible.",
        "action.row_changed": "It was changed after you opened this page. Check the current state and try again.",
        "dismiss.export_has_no_alert": "This export has no answer that needs attention.",
        "dismiss.ack_has_no_alert": "This ack file needs no attention.",
        "answer.file_not_written": "Its file is not written yet, so the ERP can't have answered it.",
        "answer.export_replaced": "The order was sent again or is being changed. An answer to this export has no "
        "effect any more.",
        "answer.accepted_before": "The ERP has accepted the order as %(number)s. Cancel or change the order in the "
        "ERP.",
        "answer.note_invalid": "Write who gave the answer and what it was: 1 to %(most)s readable characters.",
        "answer.number_invalid": "Write the number that the ERP gave to the order: 1 to %(most)s readable "
        "characters.",
        "connection.active": "This connection is active: its waiting exports are sent automatically, at the latest "
        "when its fault is corrected.",
        "connection.no_other_active": "This org has no other active connection of this type. Set one up or activate "
        "one, then move the exports.",
        "connection.in_use": "A worker is still delivering over this connection. Try again in a few minutes.",
        "connection.second_active": "This org already has an active %(type)s connection. Disable it first.",
        "connection.has_staged_exports": Template(
            "%(n)s export is staged in %(folder)s and not published yet. Wait until it is sent, then change the "
            "destination.",
            plural="%(n)s exports are staged in %(folder)s and not published yet. Wait until they are sent, then "
            "change the destination.",
        ),
    }
)
NO_CONNECTION = Message("push.no_connection")
