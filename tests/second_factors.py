"""Second factors for tests, and the codes that an authenticator app would show."""

from django_otp.oath import totp

from orderflow.second_factor import codes, services
from orderflow.second_factor.models import SecondFactor
from orderflow.tenancy.models import User


def code(secret: bytes, *, steps: int = 0) -> str:
    """Of now, or of so many steps later."""
    return f"{totp(secret, t0=-steps * 30):06}"


def wrong(secret: bytes) -> str:
    near = {code(secret, steps=steps) for steps in range(-3, 4)}
    return next(text for text in (f"{n:06}" for n in range(10)) if text not in near)


def set_up(person: User) -> tuple[bytes, list[str]]:
    """The secret, and the recovery codes."""
    secret = codes.new_secret()
    made = services.set_up(person, secret, code(secret))
    unused(person)
    return secret, made


def unused(person: User) -> None:
    """As if half a minute had gone by since the last code."""
    SecondFactor.objects.filter(pk=person.pk).update(last_step=0)
