"""Whom the server answers, and what its answers forbid browsers to do.

A page of another site can make a visitor's browser talk to a server on the visitor's own machine,
under a name that it has pointed there. So the server answers to the names it is known by alone, and
to pages of its own alone, for whatever is asked, the websocket included.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS_VARIABLE = "MTM_ALLOWED_HOSTS"
"""Environment variable: other names that the server answers to, separated by commas."""

OWN_NAMES = ("localhost", "127.0.0.1", "::1")
_ALL_ADDRESSES = ("0.0.0.0", "::")
_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_MOST_SHOWN = 80


@dataclass(frozen=True)
class Hosts:
    """The names that a server answers to, and the other origins whose pages may use it.

    Attributes
    ----------
    names
        In lower case; ``*.example.org`` matches all names below, ``*`` for all.
    any_address
        Whether every IP address will do: one that listens on all addresses does not know which of
        them it is reached by, and no other site can take an address for its name.
    origins
        ``(name, port)`` of the addresses that browsers see where a proxy changes ``Host``.
    """

    names: frozenset[str]
    any_address: bool = False
    origins: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def of_server(
        cls,
        address: str,
        *,
        allowed: Iterable[str] = (),
        origins: Iterable[str] = (),
    ) -> Hosts:
        """Return those of a server that listens on ``address``.

        Parameters
        ----------
        allowed
            Other names, beside those of :data:`HOSTS_VARIABLE`.
        origins
            Addresses of the server as browsers see them: ``"https://mtm.example.org"``.
        """
        named = [*allowed, *os.environ.get(HOSTS_VARIABLE, "").split(",")]
        is_everywhere = address in _ALL_ADDRESSES
        pairs = frozenset(pair for pair in map(_parts_of_origin, origins) if pair is not None)
        names = {*OWN_NAMES, *(name.strip().lower().rstrip(".").strip("[]") for name in named)}
        names |= {name for name, _ in pairs}
        if not is_everywhere:
            names.add(address.lower())
        return cls(frozenset(names - {""}), is_everywhere, pairs)

    def allow(self, host: str) -> bool:
        """Tell whether ``host``, as a request names it, is a name of this server."""
        parts = _parts_of_host(host)
        if parts is None:
            return False
        name = parts[0]
        if name in self.names or "*" in self.names:
            return True
        if self.any_address and _is_address(name):
            return True
        return any(known[:2] == "*." and name.endswith(known[1:]) for known in self.names)

    def allow_origin(self, origin: str, host: str) -> bool:
        """Tell whether a page of ``origin`` is one of this server, asked for as ``host``."""
        scheme = origin.partition(":")[0].lower()
        pair, asked = _parts_of_origin(origin), _parts_of_host(host)
        if pair is None or asked is None:
            return False
        return pair == (asked[0], asked[1] or _DEFAULT_PORTS[scheme]) or pair in self.origins


class Door:
    """ASGI middleware: turns away what is not meant for this server, and seals its answers."""

    def __init__(self, app: ASGIApp, hosts: Hosts, headers: Sequence[tuple[str, str]]) -> None:
        self._app, self._hosts = app, hosts
        self._headers = [(name.encode(), value.encode()) for name, value in headers]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def seal(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in self._headers}
                theirs = [pair for pair in message.get("headers", []) if pair[0].lower() not in own]
                message = {**message, "headers": [*theirs, *self._headers]}
            await send(message)

        refusal = self._refusal(scope)
        if not refusal:
            with suppress(ClientDisconnect):  # a tab that was closed while it sent a file
                await self._app(scope, receive, seal)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "not allowed"})
        else:
            plain = [(b"content-type", b"text/plain; charset=utf-8")]
            await seal({"type": "http.response.start", "status": 403, "headers": plain})
            await send({"type": "http.response.body", "body": refusal.encode()})

    def _refusal(self, scope: Scope) -> str:
        """Say why a request is refused; empty if it is not."""
        hosts, origins = _header(scope, b"host"), _header(scope, b"origin")
        if len(hosts) != 1 or not self._hosts.allow(hosts[0]):
            shown = _shown(hosts[0]) if hosts else "none"
            return (
                f"This server does not answer to the name {shown}. Open it by the address that "
                f"it printed when it started. The person who runs it can allow a name: mtm app "
                f"--allow-host NAME,"
                f" or {HOSTS_VARIABLE}=NAME in its environment.\n"
            )
        if origins and not all(self._hosts.allow_origin(origin, hosts[0]) for origin in origins):
            return (
                f"This server answers only its own pages, not those of {_shown(origins[0])}. "
                f"Behind a proxy, the person who runs it must list the address that browsers see "
                f"in server.corsAllowedOrigins.\n"
            )
        return ""


def security_headers(index: Path) -> list[tuple[str, str]]:
    """Return the headers of every answer.

    Parameters
    ----------
    index
        Streamlit's page, whose scripts in place are allowed by their SHA-256 and no others.
    """
    text = index.read_text(encoding="utf-8")
    inline = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in inline)
    policy = {
        "default-src": "'none'",
        # blob: the body map, whose script Streamlit hands over as one. Nothing is evaluated.
        "script-src": f"'self' blob: {hashes}".strip(),
        # Streamlit and plotly write their styles while they run.
        "style-src": "'self' 'unsafe-inline'",
        # blob: a figure that is saved as PNG.
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "connect-src": "'self'",
        "worker-src": "'self'",
        "manifest-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    return [
        ("content-security-policy", "; ".join(f"{name} {what}" for name, what in policy.items())),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ]


def look_nothing_up() -> None:
    """Keep Streamlit from asking other servers which address this machine has.

    It does so when it prints its address and when a page of another origin asks for something.
    """
    from streamlit import net_util

    def nobody(*_: object, **__: object) -> None:
        return None

    net_util.get_external_ip = nobody
    net_util.get_internal_ip = nobody
    net_util._make_blocking_http_get = nobody


def _header(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]


def _parts_of_host(host: str) -> tuple[str, str] | None:
    """Return name and port ('' without) of a ``Host`` header; ``None`` if it is none."""
    found = _HOST.fullmatch(host)
    if found is None:
        return None
    return found["name"].lower().rstrip(".").strip("[]"), found["port"] or ""


def _parts_of_origin(origin: str) -> tuple[str, str] | None:
    scheme, _, rest = origin.strip().partition("://")
    if scheme.lower() not in _DEFAULT_PORTS:
        return None
    parts = _parts_of_host(rest.rstrip("/"))
    return None if parts is None else (parts[0], parts[1] or _DEFAULT_PORTS[scheme.lower()])


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _shown(text: str) -> str:
    shown = "".join(c if " " < c <= "~" else "?" for c in text[:_MOST_SHOWN])
    return f"'{shown}'" + ("…" if len(text) > _MOST_SHOWN else "")
