"""Why the gateway refuses a call. Texts quote the query and the grant, never a line or what lies outside the scope."""

from __future__ import annotations

from loglease.model.errors import LogLeaseError


class QueryInvalid(LogLeaseError):
    """The query is none, or uses what this version does not evaluate."""

    code = "query_invalid"


class UnknownParameter(LogLeaseError):
    """A parameter that is not part of this protocol and may not be ignored."""

    code = "unknown_parameter"


class CursorInvalid(LogLeaseError):
    """A resume value was not made here, or for another grant, query or person."""

    code = "invalid_cursor"


class NotAuthenticated(LogLeaseError):
    """The call carries no credential, or one that is not valid."""

    code = "not_authenticated"


class RouteUnknown(LogLeaseError):
    """The gateway has no such route; one text for all of them."""

    code = "not_found"

    def __init__(self) -> None:
        super().__init__("There is nothing here.")


class MethodNotAllowed(LogLeaseError):
    """The route takes other methods; `allowed` names them."""

    code = "method_not_allowed"

    def __init__(self, allowed: str) -> None:
        super().__init__(f"This address takes {allowed}.", next_step=f"Use {allowed}.")
        self.allowed = allowed


class NotAcceptable(LogLeaseError):
    """None of the formats that the client accepts is one of ours."""

    code = "not_acceptable"


class TooLarge(LogLeaseError):
    """The address or its parameters are larger than anybody needs."""

    code = "too_large"


class QueryLimit(LogLeaseError):
    """The query would look at more, or for longer, than one may."""

    code = "query_limit"


class RedactionUnavailable(LogLeaseError):
    """The redactor cannot vouch for the text, so nothing leaves."""

    code = "redaction_unavailable"

    def __init__(self) -> None:
        super().__init__("Redaction is not available, so nothing is shown.", next_step="Try again; tell an operator.")


class Overload(LogLeaseError):
    """This process serves as many sessions as it may."""

    code = "overload"


class Draining(LogLeaseError):
    """This process stops and opens nothing new."""

    code = "draining"


class LeaseOver(LogLeaseError):
    """This process does not know the newest revocations, so it serves nothing."""

    code = "index_stale"


class UnsupportedMediaType(LogLeaseError):
    """The body is of a type that this address does not read."""

    code = "unsupported_media_type"
