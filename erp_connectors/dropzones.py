"""The dropzone that a connection's row describes."""

from dataclasses import replace

import msgspec
import structlog

from erp_connectors.common_fields import Dropzone
from erp_connectors.config_fields import ConfigError
from erp_connectors.connection_config import parse_config, parse_options
from erp_connectors.faults import (
    CONFIG_INVALID,
    CONNECTOR_UNKNOWN,
    INTERNAL_ERROR,
    Fault,
    Scope,
    exception_in,
)
from erp_connectors.models import ERPConnection
from erp_connectors.registry import UnknownConnectorType, connector_for
from erp_connectors.transports.base import ServerLimits

log = structlog.get_logger(__name__)


def dropzone_of(connection: ERPConnection) -> Dropzone:
    """Return the dropzone of a connection.

    Raises `Fault` CONFIG_UNREADABLE, CONFIG_INVALID, CONNECTOR_UNKNOWN, or INTERNAL_ERROR for a bug of a connector or
    transport.
    """
    config = connection.config
    try:
        dropzone = parse_config(connection.connector_type, config)
    except ConfigError as error:
        raise Fault(CONFIG_INVALID, error.as_message()) from None
    except UnknownConnectorType as error:
        raise Fault(CONNECTOR_UNKNOWN, error.message) from None
    except Exception as error:
        # A connector or transport of another package must not stop the work on other connections.
        log.exception("config.internal_error", connection_id=str(connection.pk))
        raise Fault(INTERNAL_ERROR, exception_in("parse", error), scope=Scope.CONNECTION) from error
    return replace(dropzone, org_slug=connection.org.slug, limits=limits_of(connection))


def options_for_names(connection: ERPConnection) -> object:
    """Return the options of the connection's connector, for names of new files; None if its config can't be read.

    A push must not fail because of a config: delivery reports it.
    """
    if not connector_for(connection.connector_type).fields():
        return None
    try:
        config = connection.config
    except Fault:
        return None
    try:
        return parse_options(connection.connector_type, config)
    except ConfigError:
        return None
    except Exception:
        log.exception("config.internal_error", connection_id=str(connection.pk))
        return None


def limits_of(connection: ERPConnection) -> ServerLimits:
    """Return the limits of the connection's server that earlier runs found."""
    return msgspec.convert(connection.server_limits, ServerLimits)
