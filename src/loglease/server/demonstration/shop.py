"""A small web shop that logs like many do: JSON lines with customers' addresses, card numbers and tokens in them.

It is a service of its own, in its own process; LogLease only reads its log files. Run as ``python -m``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import logging.handlers
import traceback
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

_ROTATE_BYTES = 2 << 20
_KEPT_FILES = 3
_DECLINED_ABOVE = 400


class _JsonLines(logging.Formatter):
    """One JSON object a line, with everything the caller put into `extra`."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname.lower().replace("warning", "warn"),
            "service": self._service,
            "msg": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["stack"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line)


def _logger(service: str, path: Path) -> logging.Logger:
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=_ROTATE_BYTES, backupCount=_KEPT_FILES)
    handler.setFormatter(_JsonLines(service))
    logger = logging.getLogger(service)
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    return logger


def shop(log: logging.Logger, billing: str) -> Starlette:
    """Return the shop: it takes orders and asks billing for the money."""
    client = httpx2.AsyncClient(timeout=5)

    async def checkout(request: Request) -> Response:
        order = await request.json()
        fields = {
            "order": order["order"],
            "email": order["email"],
            "client_ip": order["ip"],
            "authorization": request.headers.get("authorization", ""),
        }
        log.debug("checkout started", extra={"fields": {**fields, "cart": order["cart"]}})
        answer = await client.post(f"{billing}/charges", json={**order, "currency": "EUR"})
        if answer.status_code != httpx2.codes.OK:
            log.error(
                "checkout failed: billing said %s for card %s",
                answer.status_code,
                order["card"],
                extra={"fields": fields},
            )
            return JSONResponse({"status": "declined"}, status_code=402)
        log.info("order paid", extra={"fields": {**fields, "amount": order["amount"]}})
        return JSONResponse({"status": "paid"})

    async def sign_in(request: Request) -> Response:
        account = await request.json()
        if len(account["password"]) % 3 == 0:
            log.warning("sign-in failed for %s password=%s", account["email"], account["password"])
            return JSONResponse({"status": "no"}, status_code=401)
        log.info("signed in", extra={"fields": {"email": account["email"], "phone": account["phone"]}})
        return JSONResponse({"status": "ok"})

    return Starlette(
        routes=[Route("/checkout", checkout, methods=["POST"]), Route("/sign-in", sign_in, methods=["POST"])]
    )


def billing(log: logging.Logger) -> Starlette:
    """Return the billing service: it declines large amounts, with a stack trace as billing services have."""

    async def charges(request: Request) -> Response:
        charge = await request.json()
        fields = {"order": charge["order"], "card": charge["card"], "iban": charge["iban"]}
        try:
            _require_limit(charge["email"], charge["amount"])
        except PermissionError:
            log.exception("charge declined", extra={"fields": fields})
            return JSONResponse({"status": "declined"}, status_code=402)
        log.info("charged", extra={"fields": {**fields, "amount": charge["amount"]}})
        return JSONResponse({"status": "charged"})

    return Starlette(routes=[Route("/charges", charges, methods=["POST"])])


def _require_limit(email: str, amount: int) -> None:
    if amount > _DECLINED_ABOVE:
        raise PermissionError(f"limit of {email} exceeded")


def main() -> None:
    """Serve one of the two services until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("service", choices=["shop", "billing"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--billing", default="")
    arguments = parser.parse_args()
    log = _logger(arguments.service, arguments.log)
    app = shop(log, arguments.billing) if arguments.service == "shop" else billing(log)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.run(app, host="127.0.0.1", port=arguments.port, log_level="critical", lifespan="off")


if __name__ == "__main__":
    main()
