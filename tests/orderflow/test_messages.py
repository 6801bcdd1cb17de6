"""Messages are data: each code that the program uses has a template, and each template is used."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from django.utils.translation import override

from erp_connectors.fault_records import as_api, cause_of, hint_of
from erp_connectors.faults import DISK_FULL, FAULT_KINDS, REFUSED_BY_ERP, Fault
from erp_connectors.models import ERPExportEvent
from erp_connectors.outbox.delivery_errors import MESSAGES
from erp_connectors.services.exports.push import push
from orderflow.messages import (
    FOREIGN_TEXT,
    MAX_TEXT,
    SEVERAL,
    TEMPLATES,
    Message,
    Template,
    english,
    foreign,
    register,
    several,
    text,
)
from tests import factories

NOW = datetime(2026, 11, 30, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]
BUILT_IN = {FOREIGN_TEXT, SEVERAL}
NAMED = {"FOREIGN_TEXT": ast.Constant(FOREIGN_TEXT), "SEVERAL": ast.Constant(SEVERAL)}
PLACE = re.compile(r"%\((\w+)\)s")


@cache
def trees() -> list[tuple[Path, ast.Module]]:
    paths = [path for package in ("orderflow", "erp_connectors") for path in (ROOT / package).rglob("*.py")]
    return [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in paths]


# Their codes come from a table of the fault kinds, of the SFTP engine's texts, or from stored data.
OTHER_TABLES = {"faults.py", "ssh_messages.py", "session.py", "keys.py", "texts.py", "delivery_errors.py"}


def codes_of(node: ast.expr, scope: dict[str, ast.expr]) -> list[str]:
    """Return each code that the expression can be; empty if it can't be read here."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.IfExp):
        return codes_of(node.body, scope) + codes_of(node.orelse, scope)
    if isinstance(node, ast.Name) and node.id in scope:
        return codes_of(scope[node.id], scope)
    if isinstance(node, ast.Subscript):
        return codes_of(node.value, scope)
    if isinstance(node, ast.Dict):
        return [code for value in node.values for code in codes_of(value, scope)]
    return []


def assigned(tree: ast.AST) -> dict[str, ast.expr]:
    return {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def calls(tree: ast.Module) -> Iterator[tuple[ast.Call, list[str]]]:
    """Yield each call that makes a message or a text of the SFTP engine, with its codes."""
    module = assigned(ast.Module([node for node in tree.body if isinstance(node, ast.Assign)], []))
    inner: dict[int, dict[str, ast.expr]] = {}
    for scope in ast.walk(tree):
        if isinstance(scope, ast.FunctionDef):
            names = assigned(scope)
            inner |= {id(call): names for call in ast.walk(scope) if isinstance(call, ast.Call)}
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") in ("Message", "Text") and call.args:
            yield call, codes_of(call.args[0], {**NAMED, **module, **inner.get(id(call), {})})


@cache
def all_calls() -> list[tuple[Path, ast.Call, list[str]]]:
    return [(path, call, codes) for path, tree in trees() for call, codes in calls(tree)]


def uses() -> Iterator[tuple[str, frozenset[str] | None, str]]:
    """Yield each code of a message of the program, its parameters if all are named, and the place."""
    for path, call, codes in all_calls():
        named = frozenset(word.arg for word in call.keywords if word.arg)
        complete = len(named) == len(call.keywords)
        for code in codes:
            yield code, named if complete else None, f"{path.name}:{call.lineno}"


def needed(template: Template) -> set[str]:
    return {
        *PLACE.findall(template.text),
        *PLACE.findall(template.plural),
        *(["n"] if template.plural else []),
    }


def optional(template: Template) -> set[str]:
    return {name for part in template.optional.values() for name in PLACE.findall(part)}


def literals() -> set[str]:
    """Return each text in the sources that is a registered code."""
    found: Counter[str] = Counter()
    for _, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in TEMPLATES:
                found[node.value] += 1
    # Once where it is registered, and once more where it is used.
    return {code for code, times in found.items() if times > 1}


def test_each_code_that_is_used_is_registered_with_its_parameters():
    used = list(uses())
    unknown = [f"{where}: {code}" for code, _, where in used if code not in TEMPLATES]
    wrong = [
        f"{where}: {code} takes {sorted(needed(TEMPLATES[code]))}"
        for code, given, where in used
        if code in TEMPLATES and given is not None
        if not needed(TEMPLATES[code]) <= given or given - needed(TEMPLATES[code]) - optional(TEMPLATES[code])
    ]
    assert (unknown, wrong) == ([], [])


def test_the_code_of_each_message_is_known_before_the_program_runs():
    unread = {path.name for path, _, codes in all_calls() if not codes}

    assert unread - OTHER_TABLES == set()


def test_each_registered_code_is_used():
    assert sorted({*TEMPLATES} - BUILT_IN - {*FAULT_KINDS} - {*MESSAGES.values()} - literals()) == []


def test_a_code_has_one_template():
    with pytest.raises(ValueError, match="registered twice"):
        register({FOREIGN_TEXT: "another"})


def test_json_keeps_a_message_with_messages_in_it():
    message = Message("a", n=3, name="x", why=Message("b"), all=(Message("c", m=None), foreign("d")))

    assert Message.from_json(message.as_json()) == message


def test_a_fault_is_shown_in_the_readers_language_with_path_and_detail_as_they_are():
    message = Fault(DISK_FULL, "No space left on device", path="/in").as_message()

    assert message == Message("DISK_FULL", path="/in", detail=foreign("No space left on device"))
    assert english(message) == f"/in: {DISK_FULL.meaning} No space left on device"
    with override("de"):
        assert str(message) == english(message)
        assert text(message) != english(message)
        assert text(message).startswith("/in: ")
        assert text(message).endswith(" No space left on device")


def test_a_message_of_a_removed_connector_shows_its_code_and_parameters():
    assert text(Message("gone.code", n=1, name="x")) == "gone.code (n: 1, name: x)"
    assert text(Message("event.erp_number")) == "ERP number: ?"


def test_several_messages_are_one():
    remarks = [foreign("one"), foreign("two")]

    assert (several([]), several(remarks[:1])) == (None, remarks[0])
    assert text(several(remarks) or foreign("")) == "one two"


def test_a_recorded_fault_holds_code_and_parameters_and_the_api_shows_it_with_its_texts():
    record = Fault(DISK_FULL, "No space left", path="/in").as_error(stage="stage", attempt=2, at=NOW)
    shown = as_api(record)

    assert record == {
        "code": "DISK_FULL", "params": {"path": "/in", "detail": foreign("No space left").as_json()}, "stage": "stage",
        "attempt": 2, "time": NOW.isoformat(),
    }  # fmt: skip
    assert shown == {
        **record, "message": f"/in: {DISK_FULL.meaning} No space left", "hint": DISK_FULL.hint, "doc_url": None,
    }  # fmt: skip
    with override("de"):
        assert cause_of(record) != shown["message"]
        assert hint_of(record) != DISK_FULL.hint


def test_a_refusal_of_the_erp_is_shown_in_its_own_words():
    record = {"code": "REFUSED_BY_ERP", "params": {"error_code": "E7", "message": "Unknown customer"}}
    silent = {"code": "REFUSED_BY_ERP", "params": {}}

    assert (cause_of(record), cause_of(silent)) == ("Unknown customer", REFUSED_BY_ERP.meaning)
    assert [as_api(one)["error_code"] for one in (record, silent)] == ["E7", None]
    assert (as_api(None), cause_of(None), hint_of(None)) == (None, "", "")


def stored_event(message):
    org = factories.org()
    factories.connection(org, {"mode": "filesystem", "export_path": "/srv/in"})
    export = push(factories.draft(org).pk, actor=None).export
    event = ERPExportEvent.objects.create(export=export, stage="stage", what="staged", message=message)
    event.refresh_from_db()
    return event.message


@pytest.mark.every_database
def test_text_of_another_program_is_stored_as_far_as_databases_can_hold_it(db):
    message = stored_event(Message("remark.fsync_refused", why="a\0b\ud800c" + "x" * 1_000_000))

    assert message.params["why"] == ("a\ufffdb\ufffdc" + "x" * MAX_TEXT)[:MAX_TEXT]
    stored = Fault(DISK_FULL, "a\0b\ud800").as_message().as_json()
    assert stored["params"]["detail"] == foreign("a\ufffdb\ufffd").as_json()


def test_the_text_of_another_program_in_a_fault_is_shortened_also_if_it_is_not_stored():
    fault = Fault(DISK_FULL, "a\0b\ud800" + "x" * 1_000_000)

    assert fault.detail == foreign(("a\ufffdb\ufffd" + "x" * MAX_TEXT)[:MAX_TEXT])
    assert len(fault.message) < MAX_TEXT + 200


def test_a_text_that_was_stored_instead_of_a_message_is_shown_as_it_is(db):
    assert text(stored_event("A remark.")) == "A remark."


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ({"code": "event.not_published"}, "The file was not published."),
        ({"code": "gone.code", "params": {"names": ["a", "b"], "n": 1}}, "gone.code (names: a; b, n: 1)"),
        ({"code": "event.no_answer_learned", "params": {"seconds": None}},
         "No answer within , the time learned from earlier answers."),
        ({"code": "export.illegal_move", "params": {"status": "NEW", "to": "SENT"}},
         "An export can't go from “NEW” to “Sent”."),
    ],
)  # fmt: skip
def test_a_row_of_another_version_is_shown_with_gaps_instead_of_an_error(stored, shown):
    assert text(Message.from_json(stored)) == shown


def test_an_events_message_is_a_sentence_or_a_label():
    """A reader sees it alone: on the timeline, in the proof of delivery, in the API."""
    events = {code: one for code, one in TEMPLATES.items() if code.startswith("event.")}
    texts = [part for one in events.values() for part in (one.text, *one.optional.values()) if part]

    assert [part for part in texts if not re.match(r"(%\(|[A-Z])", part)] == []
    assert [part for part in texts if not (part.endswith(".") or ": " in part)] == []
