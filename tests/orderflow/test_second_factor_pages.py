"""Setting up a second factor, its recovery codes, turning it off, being made to have one, and being helped out."""

import re
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from erp_connectors.services.connections import key_rotation
from orderflow.accounts.models import Token
from orderflow.audit.models import Action, AuditLog
from orderflow.second_factor import codes, services
from orderflow.second_factor.models import RecoveryCode, SecondFactor
from orderflow.second_factor.sealing import opened, sealed
from orderflow.tenancy.roles import Role
from tests import factories
from tests.second_factors import code, set_up, unused, wrong

pytestmark = pytest.mark.django_db
OWN, CODES, OFF = ("/admin/second-factor/", "/admin/second-factor/codes/", "/admin/second-factor/off/")


@pytest.fixture
def org():
    return factories.org()


@pytest.fixture
def person(org):
    return factories.user(org, Role.OPS)


def client_of(user):
    client = Client()
    client.force_login(user)
    return client


def is_in(client):
    return client.get("/admin/").status_code == 200


def shown_secret(page):
    """What somebody reads there, and what the form brings back."""
    (key,) = re.findall(r'id="second-factor-key">([A-Z2-7]+)<', page)
    (hidden,) = re.findall(r'name="sealed" value="([^"]+)"', page)
    return key, hidden


def recovery_codes(page):
    return re.findall(r"<code>([A-Z2-7]{4}(?:-[A-Z2-7]{4}){3})</code>", page)


def entries(person, action):
    return list(AuditLog.objects.filter(entity_type="User", entity_id=str(person.pk), action=action))


def set_up_by_page(client, person):
    """Set it up as a user would; return the secret, the code that was typed, and the answer."""
    key, hidden = shown_secret(client.get(OWN).content.decode())
    secret = opened(hidden, person.pk)
    assert codes.as_text(secret) == key
    typed = code(secret)
    return secret, typed, client.post(OWN, {"sealed": hidden, "code": typed})


def says_of_second_factor(page):
    return re.search(r'field-second_factor.*?class="readonly">([^<]*)<', page, re.DOTALL)[1]


def reset_page(person):
    return reverse("admin:tenancy_user_second_factor", args=[person.pk])


def test_it_is_set_up_with_a_first_code_and_ten_recovery_codes_are_shown(person):
    client = client_of(person)

    secret, _, answer = set_up_by_page(client, person)

    made = recovery_codes(answer.content.decode())
    assert len(set(made)) == 10
    assert opened(SecondFactor.objects.get(pk=person.pk).secret, person.pk) == secret
    (entry,) = entries(person, Action.SECOND_FACTOR_SET_UP)
    assert (entry.actor, entry.org, entry.before, entry.after) == (person, person.org, None, None)
    again = client.get(OWN).content.decode()
    assert "10 of 10" in again
    assert not recovery_codes(again)
    assert codes.as_text(secret) not in again


def test_the_picture_says_what_the_text_says_and_nothing_in_it_breaks_the_policy(person):
    page = client_of(person).get(OWN).content.decode()

    key, _ = shown_secret(page)
    secret = codes.address(b"x" * 20, "a b@example.com")
    assert secret.startswith("otpauth://totp/OrderFlow%3Aa%20b%40example.com?secret=PB4HQ6DY")
    assert len(key) == 32
    assert "<svg" in page
    assert "style=" not in page


def test_the_code_of_the_first_time_is_used_up(person):
    _, used, answer = set_up_by_page(client_of(person), person)
    assert recovery_codes(answer.content.decode())
    client = Client()
    client.post("/admin/login/", {"username": person.email, "password": factories.PASSWORD})

    client.post("/admin/login/code/", {"code": used})

    assert not is_in(client)


def test_with_a_wrong_first_code_nothing_is_set_up_and_the_same_picture_stays(person):
    client = client_of(person)
    key, hidden = shown_secret(client.get(OWN).content.decode())

    page = client.post(OWN, {"sealed": hidden, "code": wrong(opened(hidden, person.pk))}).content.decode()

    assert "This code is wrong" in page
    assert shown_secret(page)[0] == key
    assert not SecondFactor.objects.exists()


def test_a_secret_that_another_person_was_shown_is_not_taken(person, org):
    secret = codes.new_secret()

    client_of(person).post(OWN, {"sealed": sealed(secret, factories.user(org).pk), "code": code(secret)})

    assert not SecondFactor.objects.exists()


def test_looking_at_the_page_stores_nothing(person):
    client_of(person).get(OWN)

    assert not SecondFactor.objects.exists()


def test_setting_it_up_ends_what_was_let_in_without_it_but_not_where_it_is_done(person):
    elsewhere, here = client_of(person), client_of(person)
    Token.objects.create(person)

    set_up_by_page(here, person)

    assert is_in(here)
    assert not is_in(elsewhere)
    assert not Token.objects.exists()


def test_who_has_one_gets_no_second(person):
    client = client_of(person)
    _, hidden = shown_secret(client.get(OWN).content.decode())
    first, _ = set_up(person)
    client = client_of(person)

    client.post(OWN, {"sealed": hidden, "code": code(opened(hidden, person.pk))})
    with pytest.raises(services.NotSetUp):
        services.set_up(person, first, code(first))

    assert opened(SecondFactor.objects.get().secret, person.pk) == first


def test_new_recovery_codes_ask_for_a_code_and_end_the_old_ones(person):
    secret, old = set_up(person)
    client = client_of(person)

    refused = client.post(CODES, {"code": wrong(secret)})
    assert RecoveryCode.objects.filter(digest=codes.digest(old[0])).exists()
    made = recovery_codes(client.post(CODES, {"code": code(secret)}).content.decode())

    assert not recovery_codes(refused.content.decode())
    assert len(set(made) - set(old)) == 10
    kept = set(RecoveryCode.objects.values_list("digest", flat=True))
    assert kept == {codes.digest(one) for one in made}
    assert len(entries(person, Action.RECOVERY_CODES_RENEWED)) == 1


def test_turning_it_off_asks_for_a_code(person):
    secret, _ = set_up(person)
    client = client_of(person)

    client.post(OFF)
    client.post(OFF, {"code": wrong(secret)})
    assert services.has_one(person)
    client.post(OFF, {"code": code(secret)})

    assert not services.has_one(person)
    assert not RecoveryCode.objects.exists()
    assert len(entries(person, Action.SECOND_FACTOR_REMOVED)) == 1


@pytest.mark.parametrize("page", [CODES, OFF])
def test_in_a_session_codes_can_be_guessed_as_little_as_at_the_login(person, page):
    secret, _ = set_up(person)
    client = client_of(person)

    answers = [client.post(page, {"code": wrong(secret)}).status_code for _ in range(6)]

    assert answers == [200, 200, 200, 200, 429, 429]
    assert client.post(page, {"code": code(secret)}).status_code == 429
    assert services.has_one(person)


@pytest.mark.parametrize("page", [CODES, OFF])
def test_who_has_none_is_led_to_where_it_is_set_up(person, page):
    assert client_of(person).get(page).url == OWN


REQUIRED = [
    ("none", Role.ADMIN, False), ("none", None, False),
    ("admins", Role.ADMIN, True), ("admins", None, True), ("admins", Role.OPS, False), ("admins", Role.VIEWER, False),
    ("all", Role.ADMIN, True), ("all", None, True), ("all", Role.OPS, True), ("all", Role.VIEWER, True),
]  # fmt: skip


@pytest.mark.parametrize(("required", "role", "led"), REQUIRED)
def test_who_must_have_one_is_led_there_and_nowhere_else(org, settings, required, role, led):
    settings.REQUIRE_SECOND_FACTOR = required
    client = client_of(factories.user(org if role else None, role))

    for path in (
        "/admin/",
        "/admin/orders/draftorder/",
        "/admin/password_change/",
        "/admin/no/",
        CODES,
        "/metrics",
    ):
        answer = client.get(path)
        assert (answer.status_code == 302 and answer["Location"] == OWN) == (led or path == CODES), path
    answer = client.get("/api/v1/me")
    assert answer.status_code == (403 if led else 200)
    if led:
        assert answer.json()["error"]["code"] == "SECOND_FACTOR_MISSING"
    page = client.get(OWN)
    assert page.status_code == 200
    assert ("is required" in page.content.decode()) == led
    assert client.post("/admin/logout/").status_code == 200


def test_once_it_is_set_up_they_go_anywhere(person, settings):
    settings.REQUIRE_SECOND_FACTOR = "all"
    client = client_of(person)

    set_up_by_page(client, person)

    assert is_in(client)
    assert client.get("/api/v1/me").status_code == 200


def test_an_admin_resets_it_after_being_asked(org, person):
    set_up(person)
    admin, theirs = client_of(factories.user(org, Role.ADMIN)), client_of(person)
    Token.objects.create(person)
    change = reverse("admin:tenancy_user_change", args=[person.pk])
    page = admin.get(change).content.decode()
    assert reset_page(person) in page
    assert says_of_second_factor(page) == "yes"

    assert admin.get(reset_page(person)).status_code == 200
    assert services.has_one(person)
    admin.post(reset_page(person), follow=True)

    assert not services.has_one(person)
    assert not is_in(theirs)
    assert not Token.objects.exists()
    (entry,) = entries(person, Action.SECOND_FACTOR_RESET)
    assert entry.actor.role == Role.ADMIN
    page = admin.get(change).content.decode()
    assert reset_page(person) not in page
    assert says_of_second_factor(page) == "no"


def test_the_persons_page_says_that_only_recovery_codes_are_taken(org, person):
    set_up(person)
    SecondFactor.objects.update(wrong_in_a_row=codes.MAX_WRONG)
    admin = client_of(factories.user(org, Role.ADMIN))

    page = admin.get(reverse("admin:tenancy_user_change", args=[person.pk])).content.decode()

    assert says_of_second_factor(page) == "yes; after too many wrong codes only recovery codes"


@pytest.mark.parametrize(
    ("who", "may"),
    [
        ("staff", True),
        ("INTEGRATOR", False),
        ("OPS", False),
        ("VIEWER", False),
        ("stranger", False),
        ("self", False),
    ],
)
def test_others_may_not_reset_it_nor_anybody_their_own(org, who, may):
    person = factories.user(org, Role.ADMIN if who == "self" else Role.OPS)
    set_up(person)
    actor = {
        "staff": lambda: factories.user(None),
        "stranger": lambda: factories.user(factories.org(), Role.ADMIN),
        "self": lambda: person,
    }.get(who, lambda: factories.user(org, Role(who)))()

    client_of(actor).post(reset_page(person))

    assert services.has_one(person) == (not may)


def test_the_command_resets_it(person):
    set_up(person)
    theirs, out = client_of(person), StringIO()

    call_command("reset_second_factor", person.email.upper(), stdout=out)

    assert "no second factor any more" in out.getvalue()
    assert not services.has_one(person)
    assert not is_in(theirs)
    (entry,) = entries(person, Action.SECOND_FACTOR_RESET)
    assert entry.actor is None


def test_the_command_says_what_it_can_not_do(person):
    with pytest.raises(CommandError, match="has no second factor"):
        call_command("reset_second_factor", person.email)
    with pytest.raises(CommandError, match="Nobody here"):
        call_command("reset_second_factor", "nobody@example.com")


def test_a_new_master_key_seals_it_too(person, settings):
    secret, _ = set_up(person)
    staff = factories.user(None)
    set_up(staff)
    settings.ENCRYPTION_PREVIOUS_KEYS = [settings.ENCRYPTION_MASTER_KEY]
    settings.ENCRYPTION_MASTER_KEY = "0123456789abcdef" * 4

    report = key_rotation.rotate()

    settings.ENCRYPTION_PREVIOUS_KEYS = []
    assert (report.resealed, report.finished) == (2, True)
    assert opened(SecondFactor.objects.get(pk=person.pk).secret, person.pk) == secret
    rotated = AuditLog.objects.filter(action=Action.KEYS_ROTATED)
    assert {(row.entity_type, row.org) for row in rotated} == {
        ("SecondFactor", person.org),
        ("SecondFactor", None),
    }
    unused(person)
    client = Client()
    client.post("/admin/login/", {"username": person.email, "password": factories.PASSWORD})
    assert client.post("/admin/login/code/", {"code": code(secret)}).status_code == 302


def test_one_that_no_key_opens_is_named_with_what_to_do(person, settings):
    set_up(person)
    settings.ENCRYPTION_MASTER_KEY = "0123456789abcdef" * 4

    (lost,) = key_rotation.rotate().unreadable

    assert (lost.kind, lost.row_id) == ("Second factor", person.pk)
    assert lost.remedy


def test_the_user_menu_leads_to_it(person):
    assert f'href="{OWN}"' in client_of(person).get("/admin/").content.decode()
