"""A mail server for tests. It accepts, rejects or drops messages as configured, and prints each event
as a line of JSON. It exits when its standard input is closed, so that it never outlives its test.
"""

import argparse
import asyncio
import json
import logging
import ssl
import sys
import warnings

from aiosmtpd.smtp import SMTP, AuthResult

UNKNOWN_USER = "550 5.1.1 no such user here"
# The replies to the first deliveries, after their message.
REPLIES = {
    "busy": "550 5.7.0 Requested action not taken: too many emails per second",
    "defer": "451 4.3.0 try again later",
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    modes = ["accept", "busy", "refuse", "hang", "drop", "defer"]
    parser.add_argument("--mode", choices=modes, default="accept")
    parser.add_argument(
        "--times", type=int, default=1, help="how many deliveries fail in the modes busy, defer and drop"
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--certificate", help="offers STARTTLS")
    parser.add_argument("--key")
    parser.add_argument("--tls", choices=["offered", "required", "implicit"], default="offered")
    parser.add_argument("--user", help="rejects messages from other users")
    parser.add_argument("--password", default="")
    options = parser.parse_args()
    if options.tls != "offered" and not options.certificate:
        parser.error(f"`--tls {options.tls}` needs `--certificate`")
    return options


def emit(**event):
    print(json.dumps(event), flush=True)


class Handler:
    """The callbacks of aiosmtpd, shared by all connections because it counts deliveries."""

    def __init__(self, options):
        self.options = options
        self.left = options.times

    def fails(self, *modes):
        """Returns whether this delivery fails because of one of these modes."""
        fails = self.options.mode in modes and self.left > 0
        self.left -= fails
        return fails

    def authenticate(self, _server, _session, _envelope, _mechanism, given):
        known = (self.options.user or "").encode(), self.options.password.encode()
        right = self.options.user is not None and (given.login, given.password) == known
        return AuthResult(success=right, handled=False, auth_data=given)

    async def handle_RCPT(self, _server, _session, envelope, address, _options):
        if self.options.mode == "refuse":
            return UNKNOWN_USER
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.fails(*REPLIES):
            return REPLIES[self.options.mode]
        emit(
            **{"from": envelope.mail_from},
            to=envelope.rcpt_tos,
            tls=server.transport.get_extra_info("sslcontext") is not None,
            user=session.auth_data.login.decode() if session.auth_data else None,
            options=envelope.mail_options,
            content=envelope.content.decode("latin-1"),
        )
        return "250 OK"


class Server(SMTP):
    """One connection."""

    async def push(self, status):
        reply = status if isinstance(status, str) else status.decode()
        if reply.startswith(("4", "5")):
            emit(refused=reply)
        await super().push(status)
        if reply.startswith("354") and self.event_handler.fails("drop"):
            await self._reader.read(1)
            emit(dropped=True)
            self.transport.abort()
            # Read nothing more, not even received data. The lost connection cancels this.
            await asyncio.Event().wait()


class Mute(asyncio.Protocol):
    """A connection on which the server sends nothing, not even a TLS handshake."""

    def connection_made(self, _transport):
        emit(connected=True)


async def serve(options):
    context = None
    if options.certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options.certificate, options.key)
    implicit = context if options.tls == "implicit" and options.mode != "hang" else None
    handler = Handler(options)

    def connection():
        if options.mode == "hang":
            return Mute()
        return Server(
            handler,
            hostname="localhost",
            enable_SMTPUTF8=True,
            tls_context=None if implicit else context,
            require_starttls=options.tls == "required",
            authenticator=handler.authenticate,
            auth_required=options.user is not None,
            auth_require_tls=options.user is None,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(connection, options.host, options.port, ssl=implicit)
    emit(port=server.sockets[0].getsockname()[1])
    await asyncio.to_thread(sys.stdin.read)


# Tests use passwords without TLS and certificates that the client rejects.
warnings.simplefilter("ignore")
logging.getLogger("mail.log").setLevel(logging.CRITICAL)
asyncio.run(serve(arguments()))
