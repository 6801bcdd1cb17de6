from tests.services.conftest import make_site as make_site
from tests.services.conftest import site as site
