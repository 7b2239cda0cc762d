"""A mail server for tests: it takes, refuses or loses mail as it is told to, and prints what
happened, one line of JSON for each event. It must never outlive its test: it ends with its
standard input.
"""

import argparse
import asyncio
import json
import logging
import ssl
import sys
import warnings

from aiosmtpd.smtp import SMTP, AuthResult

NOBODY = "550 5.1.1 no such user here"
# what the first deliveries get at the end of their message
REPLIES = {
    "busy": "550 5.7.0 Requested action not taken: too many emails per second",
    "defer": "451 4.3.0 try again later",
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    modes = ["accept", "busy", "refuse", "hang", "drop", "defer"]
    parser.add_argument("--mode", choices=modes, default="accept")
    parser.add_argument(
        "--times", type=int, default=1, help="how many deliveries fail: busy, defer, drop"
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--certificate", help="offers STARTTLS")
    parser.add_argument("--key")
    parser.add_argument("--tls", choices=["offered", "required", "implicit"], default="offered")
    parser.add_argument("--user", help="refuses mail from anybody else")
    parser.add_argument("--password", default="")
    told = parser.parse_args()
    if told.tls != "offered" and not told.certificate:
        parser.error(f"`--tls {told.tls}` needs `--certificate`")
    return told


def tell(**event):
    print(json.dumps(event), flush=True)


class Manners:
    """What aiosmtpd asks how to answer; one for all connections, since it counts."""

    def __init__(self, told):
        self.told = told
        self.left = told.times

    def fails(self, *modes):
        """Whether this delivery is one of those that go wrong in one of these modes."""
        fails = self.told.mode in modes and self.left > 0
        self.left -= fails
        return fails

    def authenticate(self, _server, _session, _envelope, _mechanism, given):
        known = (self.told.user or "").encode(), self.told.password.encode()
        right = self.told.user is not None and (given.login, given.password) == known
        return AuthResult(success=right, handled=False, auth_data=given)

    async def handle_RCPT(self, _server, _session, envelope, address, _options):
        if self.told.mode == "refuse":
            return NOBODY
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.fails(*REPLIES):
            return REPLIES[self.told.mode]
        tell(
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
            tell(refused=reply)
        await super().push(status)
        if reply.startswith("354") and self.event_handler.fails("drop"):
            await self._reader.read(1)
            tell(dropped=True)
            self.transport.abort()
            # Nothing more is read, even what has come: the lost connection cancels this.
            await asyncio.Event().wait()


class Mute(asyncio.Protocol):
    """A connection on which nobody speaks, not even of TLS."""

    def connection_made(self, _transport):
        tell(connected=True)


async def serve(told):
    context = None
    if told.certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(told.certificate, told.key)
    implicit = context if told.tls == "implicit" and told.mode != "hang" else None
    manners = Manners(told)

    def connection():
        if told.mode == "hang":
            return Mute()
        return Server(
            manners,
            hostname="localhost",
            enable_SMTPUTF8=True,
            tls_context=None if implicit else context,
            require_starttls=told.tls == "required",
            authenticator=manners.authenticate,
            auth_required=told.user is not None,
            auth_require_tls=told.user is None,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(connection, told.host, told.port, ssl=implicit)
    tell(port=server.sockets[0].getsockname()[1])
    await asyncio.to_thread(sys.stdin.read)


# A password without TLS, or a client that does not believe a certificate, is what a test wants.
warnings.simplefilter("ignore")
logging.getLogger("mail.log").setLevel(logging.CRITICAL)
asyncio.run(serve(arguments()))
