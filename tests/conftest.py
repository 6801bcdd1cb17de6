"""Fixtures for every test. What the settings read from the environment is prepared in `tests/plugin.py`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import translation

from tests.parts import require_program as require_program
from tests.parts import skip_or_fail as skip_or_fail
from tests.servers.s3 import S3Server, s3_server

pytest.register_assert_rewrite("erp_connectors.testing")


@pytest.fixture(autouse=True)
def _no_session_outlives_its_test() -> Iterator[None]:
    yield
    from erp_connectors.sessions import session_pool  # noqa: PLC0415  # needs the settings that the plugin prepares

    session_pool.close()


@pytest.fixture(autouse=True)
def _no_language_outlives_its_test() -> Iterator[None]:
    """A request in German leaves its thread speaking German until the next request."""
    yield
    translation.deactivate()


@pytest.fixture(scope="session", autouse=True)
def _the_admin_knows_its_pages() -> None:
    """The URLs load them, and a test may ask the admin before its first request."""
    import orderflow.urls  # noqa: F401, PLC0415


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None, django_db_blocker: Any, request: pytest.FixtureRequest
) -> None:
    """Replace pytest-django's fixture, with which each worker runs all migrations."""
    from tests import databases  # noqa: PLC0415  # needs the settings that the plugin prepares

    worker = getattr(request.config, "workerinput", {}).get("workerid", "main")
    with django_db_blocker.unblock():
        databases.use_copy(worker)


@pytest.fixture(scope="session", autouse=True)
def _tests_see_every_org() -> Iterator[None]:
    """On PostgreSQL row-level security applies; the requests and tasks that tests start see what they claim."""
    from rest_framework.request import ForcedAuthentication  # noqa: PLC0415

    from orderflow.tenancy import scope  # noqa: PLC0415
    from orderflow.tenancy.models import User  # noqa: PLC0415

    authenticate = ForcedAuthentication.authenticate

    def become(self: ForcedAuthentication, request: Any) -> Any:
        """A test that passes the door by `force_authenticate` is let in as a token would be."""
        if isinstance(self.force_user, User):
            scope.become(scope.of_user(self.force_user))
        return authenticate(self, request)

    with pytest.MonkeyPatch.context() as patch, scope.everything():
        patch.setattr(ForcedAuthentication, "authenticate", become)
        yield


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data beside the checkout, for those who have it."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no ../shared/data beside this checkout")
    return folder
