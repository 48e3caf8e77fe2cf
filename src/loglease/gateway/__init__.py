"""The gateway: serves exactly the lines that a grant covers, redacted, on the record, and cuts when it ends.

Public: `Gateway` (an ASGI application), `Services` (what it is built on), `GatewaySettings`, `SessionProtocol` (the
uvicorn protocol it needs) and `is_ours` (which paths belong to it). All else is private.
"""

from loglease.gateway.application import Gateway
from loglease.gateway.connection import SessionProtocol
from loglease.gateway.routes import is_ours
from loglease.gateway.services import Services
from loglease.gateway.settings import GatewaySettings

__all__ = ["Gateway", "GatewaySettings", "Services", "SessionProtocol", "is_ours"]
