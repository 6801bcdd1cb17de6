"""Reset the second factor of a user who lost device and recovery codes, if no admin of the org can do it."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from orderflow.second_factor import services
from orderflow.tenancy.models import User


class Command(BaseCommand):
    help = (
        "Remove a person's second factor and recovery codes, and end their sessions and API tokens. Make sure first "
        "that it is they who ask."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", metavar="EMAIL")

    def handle(self, *args: Any, **options: Any) -> None:
        person = User.objects.by_email(options["email"]).first()
        if person is None:
            raise CommandError(f"Nobody here has the e-mail address {options['email']}.")
        if not services.reset(person, actor=None):
            raise CommandError(f"{person} has no second factor.")
        self.stdout.write(f"{person} has no second factor any more; sessions and API tokens have ended.")
