"""A login in two steps: nobody is in before the code, no code works twice, and none can be guessed."""

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.db import connection
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from orderflow.accounts import users
from orderflow.audit.models import Action, AuditLog
from orderflow.second_factor import codes, services
from orderflow.second_factor.login import WAITING, WAITS_SECONDS
from orderflow.second_factor.models import RecoveryCode, SecondFactor
from orderflow.tenancy import scope
from orderflow.tenancy.roles import Role
from tests import factories
from tests.second_factors import code, set_up, unused, wrong

pytestmark = pytest.mark.django_db
LOGIN, CODE, HOME = "/admin/login/", "/admin/login/code/", "/admin/"
RFC_SECRET = b"12345678901234567890"


@pytest.fixture
def person(db):
    return factories.user(factories.org(), Role.OPS)


@pytest.fixture
def secret(person):
    return set_up(person)[0]


def password(person, client=None, next_page="", **extra):
    client = client or Client()
    sent = {"username": person.email, "password": factories.PASSWORD, "next": next_page}
    return client, client.post(LOGIN, sent, **extra)


def at_the_code(person, **extra):
    client, _ = password(person, **extra)
    return client


def is_in(client):
    return client.get(HOME).status_code == 200


def entries(person, action):
    return AuditLog.objects.filter(entity_id=str(person.pk), action=action)


def factory_request():
    return RequestFactory().post(CODE, REMOTE_ADDR="10.0.0.1")


# RFC 6238, appendix B, SHA-1; of its eight digits the last six.
@pytest.mark.parametrize(
    ("second", "shown"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (20000000000, "353130")],
)
def test_codes_are_those_of_the_rfc(second, shown):
    now = datetime.fromtimestamp(second, UTC)

    assert codes.matching_step(RFC_SECRET, shown, now=now) == second // 30


@pytest.mark.parametrize(("steps", "taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_clock_may_be_wrong_by_one_step(steps, taken):
    now = datetime.fromtimestamp(59 + 30 * steps, UTC)

    assert (codes.matching_step(RFC_SECRET, "287082", now=now) is not None) == taken


@pytest.mark.parametrize(
    "odd", ["", "28708", "2870822", "28708x", "٢٨٧٠٨٢", "-28708", "+28708", "287 82", "2" * 40]
)
def test_what_is_no_code_is_none(odd):
    assert codes.matching_step(RFC_SECRET, odd, now=datetime.fromtimestamp(59, UTC)) is None


def test_without_a_second_factor_the_password_is_enough(person):
    client, answer = password(person, next_page="/admin/orders/draftorder/")

    assert answer.url == "/admin/orders/draftorder/"
    assert is_in(client)


def test_the_password_alone_logs_nobody_in(person, secret):
    client, answer = password(person)

    assert answer.url == CODE
    assert not is_in(client)
    assert "_auth_user_id" not in client.session
    assert not entries(person, Action.LOGIN_SUCCEEDED).exists()
    assert client.get("/api/v1/me").status_code == 401


def test_the_code_logs_in_with_a_new_session_and_leads_where_one_wanted_to_go(person, secret):
    client = at_the_code(person, next_page="/admin/orders/draftorder/")
    before = client.session.session_key

    answer = client.post(CODE, {"code": f" {code(secret)[:3]} {code(secret)[3:]}"})

    assert answer.url == "/admin/orders/draftorder/"
    assert is_in(client)
    assert client.session.session_key != before
    assert WAITING not in client.session
    assert entries(person, Action.LOGIN_SUCCEEDED).count() == 1


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_it_leads_nowhere_else(person, secret, elsewhere):
    client = at_the_code(person, next_page=elsewhere)

    assert client.post(CODE, {"code": code(secret)}).url == HOME


def test_who_was_logged_in_there_before_is_out_after_the_password(person, secret):
    other = factories.user(person.org)
    client, _ = password(other)
    assert is_in(client)

    password(person, client)

    assert not is_in(client)


def test_a_code_works_once(person, secret):
    shown = code(secret)
    assert at_the_code(person).post(CODE, {"code": shown}).status_code == 302

    again = at_the_code(person)
    answer = again.post(CODE, {"code": shown})

    assert "was already used" in answer.content.decode()
    assert not is_in(again)


def test_after_a_code_those_before_it_are_over_too(person, secret):
    at_the_code(person).post(CODE, {"code": code(secret, steps=1)})
    client = at_the_code(person)

    client.post(CODE, {"code": code(secret)})

    assert not is_in(client)


@pytest.mark.django_db(transaction=True)
def test_a_code_that_two_send_at_once_lets_one_in(person, secret):
    shown, let_in, at_once = code(secret), [], threading.Barrier(2)

    @scope.everything()
    def send():
        at_once.wait()
        let_in.append(services.passes(person, shown, factory_request()))
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(let_in) == [False, True]


def test_wrong_codes_lock_as_wrong_passwords_do(person, secret):
    client = at_the_code(person)
    answers = [client.post(CODE, {"code": wrong(secret)}) for _ in range(6)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429, 429]
    assert 0 < int(answers[-1]["Retry-After"]) <= 15 * 60
    assert client.post(CODE, {"code": code(secret)}).status_code == 429
    assert not is_in(client)
    assert password(person)[1].status_code == 429
    failed = entries(person, Action.LOGIN_FAILED)
    assert {entry.after["step"] for entry in failed.exclude(after__step=None)} == {"code"}


def test_a_right_password_in_between_forgets_no_wrong_code(person, secret):
    for _ in range(2):
        client = at_the_code(person)
        for _ in range(2):
            client.post(CODE, {"code": wrong(secret)})

    assert at_the_code(person).post(CODE, {"code": wrong(secret)}).status_code == 429


def test_wrong_passwords_and_wrong_codes_are_counted_together(person, secret):
    for _ in range(3):
        Client().post(LOGIN, {"username": person.email, "password": "wrong"})
    client = at_the_code(person)

    assert [client.post(CODE, {"code": wrong(secret)}).status_code for _ in range(2)] == [200, 429]


@pytest.mark.django_db(transaction=True)
def test_many_wrong_codes_at_once_are_counted_one_by_one(person, secret):
    at_once = threading.Barrier(8)
    checked = []

    @scope.everything()
    def send():
        request = factory_request()
        at_once.wait()
        services.passes(person, wrong(secret), request)
        checked.append(request.axes_locked_out)
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # Four are told that they are wrong, the fifth closes the lock, the others were not looked at.
    assert sorted(checked) == [False] * 4 + [True] * 4
    assert AccessAttempt.objects.get().failures_since_start == 5


@pytest.mark.deep
def test_after_a_hundred_wrong_codes_from_wherever_only_a_recovery_code_is_taken(person, settings):
    settings.AXES_FAILURE_LIMIT = settings.LOGIN_FAILURES_PER_ADDRESS = 1_000
    settings.LOGIN_FAILURES_PER_ACCOUNT = 1_000
    secret, made = set_up(person)
    for n in range(codes.MAX_WRONG - 1):
        services.passes(person, wrong(secret), RequestFactory().post(CODE, REMOTE_ADDR=f"10.0.{n}.1"))
    assert services.passes(person, code(secret), factory_request())
    unused(person)
    for n in range(codes.MAX_WRONG):
        services.passes(person, wrong(secret), RequestFactory().post(CODE, REMOTE_ADDR=f"10.0.{n}.1"))

    client = at_the_code(person)
    answer = client.post(CODE, {"code": code(secret)})
    assert "only a recovery code is accepted" in answer.content.decode()
    assert client.post(CODE, {"code": made[0]}).status_code == 302
    assert at_the_code(person).post(CODE, {"code": code(secret)}).status_code == 302


def test_elsewhere_the_code_still_works_while_somebody_guesses(person, secret):
    client = at_the_code(person, REMOTE_ADDR="10.0.0.1")
    for _ in range(6):
        client.post(CODE, {"code": wrong(secret)}, REMOTE_ADDR="10.0.0.1")

    client = at_the_code(person, REMOTE_ADDR="10.0.0.2")

    assert client.post(CODE, {"code": code(secret)}, REMOTE_ADDR="10.0.0.2").status_code == 302


def test_a_right_code_forgets_the_wrong_ones_before_it(person, secret):
    client = at_the_code(person)
    client.post(CODE, {"code": wrong(secret)})
    client.post(CODE, {"code": code(secret)})

    assert not AccessAttempt.objects.exists()


def test_the_code_is_waited_for_five_minutes(person, secret):
    client = at_the_code(person)
    session = client.session
    session[WAITING] = {**session[WAITING], "until": timezone.now().timestamp() - 1}
    session.save()

    assert WAITS_SECONDS == 300
    assert client.post(CODE, {"code": code(secret)}).url == LOGIN
    assert not is_in(client)


@pytest.mark.parametrize("end", ["password", "switched off", "ended"])
def test_what_ends_sessions_ends_the_waiting_too(person, secret, end):
    client = at_the_code(person)
    if end == "password":
        person.set_password("ein anderes Kennwort")
        person.save()
    elif end == "switched off":
        type(person).objects.filter(pk=person.pk).update(is_active=False)
    else:
        users.end_access(person)

    assert client.post(CODE, {"code": code(secret)}).url == LOGIN


def test_without_a_password_before_it_there_is_no_code_to_type(db):
    client: Any = Client()

    assert client.get(CODE).url == LOGIN
    assert client.post(CODE, {"code": "123456"}).url == LOGIN


def test_a_recovery_code_works_once_however_it_is_typed(person):
    _, made = set_up(person)
    client = at_the_code(person)

    answer = client.post(CODE, {"code": made[3].replace("-", " ").lower()}, follow=True)

    assert "9 are left" in answer.content.decode()
    (entry,) = entries(person, Action.RECOVERY_CODE_USED)
    assert (entry.actor, entry.after) == (person, {"left": 9})
    again = at_the_code(person)
    again.post(CODE, {"code": made[3]})
    assert not is_in(again)


def test_another_persons_recovery_code_opens_nothing(person, secret):
    _, others = set_up(factories.user(person.org))
    client = at_the_code(person)

    client.post(CODE, {"code": others[0]})

    assert not is_in(client)


def test_neither_secret_nor_recovery_codes_lie_in_the_database(person):
    secret, made = set_up(person)

    stored = str([*SecondFactor.objects.values(), *RecoveryCode.objects.values()])
    for plain in (
        codes.as_text(secret),
        secret.hex(),
        repr(secret)[2:-1],
        *made,
        *map(codes.written_plainly, made),
    ):
        assert plain not in stored
    assert RecoveryCode.objects.count() == 10


def test_a_secret_moved_to_another_person_is_worth_nothing(person, secret):
    other = factories.user(person.org)
    set_up(other)
    SecondFactor.objects.filter(pk=other.pk).update(secret=SecondFactor.objects.get(pk=person.pk).secret)

    client = at_the_code(other)
    client.post(CODE, {"code": code(secret)})

    assert not is_in(client)


def test_with_a_lost_master_key_a_recovery_code_still_works(person, settings):
    secret, made = set_up(person)
    settings.ENCRYPTION_MASTER_KEY, settings.ENCRYPTION_PREVIOUS_KEYS = "ab" * 31 + "cd", []
    client = at_the_code(person)

    assert client.post(CODE, {"code": code(secret)}).status_code == 200
    assert client.post(CODE, {"code": made[0]}).status_code == 302


def test_what_was_typed_is_neither_kept_with_the_failures_nor_shown_again(person, secret):
    page = at_the_code(person).post(CODE, {"code": "ABCD-EFGH-IJKL-MNO"})

    assert AccessAttempt.objects.exists()
    assert "ABCD" not in str(list(AccessAttempt.objects.values()))
    assert "ABCD" not in page.content.decode()


def test_the_page_for_the_code_has_a_way_back_and_names_nobody(person, secret):
    page = at_the_code(person).get(CODE).content.decode()

    assert reverse("admin:login") in page
    assert person.email not in page
    assert 'autocomplete="one-time-code"' in page


def test_time_that_passed_brings_the_next_code(person, secret):
    at_the_code(person).post(CODE, {"code": code(secret)})
    unused(person)
    client = at_the_code(person)

    client.post(CODE, {"code": code(secret)})

    assert is_in(client)
