"""What services say and record in English is said in German where a page shows it, without a gap."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils.translation import override

from erp_connectors.messages import in_words

ROOT = Path(__file__).resolve().parents[1]
# Where people's deeds are refused and answers are judged; other faults are worded by their own table.
SPEAKING = [
    *(ROOT / "orderflow/orders").glob("*.py"),
    *(ROOT / "erp_connectors/bulk").glob("*.py"),
    *(ROOT / "erp_connectors/connectors/dropzone_json_v1").glob("ack*.py"),
    *(ROOT / "erp_connectors/services").rglob("*.py"),
]
REFUSALS = {
    "IllegalMove", "LostRace", "NotPushable", "AlreadyStarted", "NoActiveConnection", "NothingToDismiss",
    "MarkRefused", "TooMany", "ConnectionConflict", "AckUnreadable", "Result", "RetryResult",
}  # fmt: skip


def sentences() -> Iterator[str]:
    """Each with a 7 where a value is put in."""
    for path in SPEAKING:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in REFUSALS:
                yield from (text for arg in node.args if (text := _text(arg)))


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def test_every_refusal_is_said_in_german():
    refusals = sorted(set(sentences()))
    with override("de"):
        in_english_only = [sentence for sentence in refusals if in_words(sentence) == sentence]
    with override("en"):
        changed = [sentence for sentence in refusals if in_words(sentence) != sentence]

    assert refusals
    assert (in_english_only, changed) == ([], [])


@pytest.mark.parametrize(
    ("recorded", "shown"),
    [
        ("it names no order file", "sie nennt keine Auftragsdatei"),
        (
            "it answers order files of several orgs, or unknown order files; write one file for each org",
            "sie beantwortet Auftragsdateien mehrerer Organisationen oder noch unbekannte; schreiben Sie eine Datei je "
            "Organisation",
        ),
        (
            "Order PO-1 is not ready: currency is missing; line 3: unit is missing.",
            "Auftrag PO-1 ist nicht bereit: die Währung fehlt; Position 3: Die Einheit fehlt.",
        ),
        (
            "Order PO-1 is NEEDS_REVIEW: approve it first.",
            "Auftrag PO-1 ist „Zu prüfen“: Geben Sie ihn zuerst frei.",
        ),
        (
            "ERP number 7 by ack_x.json, instead of 8",
            "ERP-Nummer 7 laut ack_x.json, statt 8",
        ),
        ('"status" is the number 3; write "ACKED" or "FAILED"',
         '"status" ist die Zahl 3; schreiben Sie "ACKED" oder "FAILED"'),
        (
            "/erp/in: a test file was written and removed; something took it meanwhile; file_mode 0640 was not "
            "applied: the file has 0600.. Each order appears exactly once, always whole.",
            "/erp/in: Eine Testdatei wurde geschrieben und gelöscht; etwas hat sie inzwischen weggenommen; "
            "file_mode 0640 wurde nicht gesetzt: Die Datei hat 0600.. Jeder Auftrag erscheint genau einmal, "
            "immer vollständig.",
        ),
        (
            "a rename over an existing file replaces it; extensions: fsync@openssh.com",
            "Umbenennen über eine vorhandene Datei ersetzt sie; Erweiterungen: fsync@openssh.com",
        ),
        ("as erp with key ssh-ed25519", "als erp mit dem Schlüssel ssh-ed25519"),
        ("what the server said", "what the server said"),
        ("", ""),
    ],
)  # fmt: skip
def test_values_stay_what_they_are(recorded, shown):
    with override("de"):
        assert in_words(recorded) == shown
