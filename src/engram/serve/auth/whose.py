"""Whose memory a request of a model's client uses: its namespace, and its session if something names it.

Owns the order in which the names count. Also notices when several people seem to share a namespace that nobody named.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from engram.errors import InvalidEngram
from engram.serve.auth.access import Access
from engram.serve.auth.headers import (
    PLACEHOLDER,
    SESSION_HEADER,
    UPSTREAM_KEY_HEADERS,
    WEBUI_CHAT,
    WEBUI_USER,
    header_text,
    is_engram_key,
    requested_namespace,
    unfilled,
)
from engram.serve.auth.keys import check_namespace
from engram.serve.frontends.table import OPEN_WEBUI
from engram.serve.http.errors import NotRemembered, ServeError
from engram.serve.http.logs import log
from engram.serve.wire.base import Request

logger = logging.getLogger("engram.serve")

SIGN_IN_HEADERS = ("x-forwarded-user", "x-forwarded-email", "x-auth-request-user", "remote-user")
"""Headers in which a proxy with a sign-in names the person."""

USER_NAME = re.compile(
    r"\b(?:user(?:['’]s)?[ _]name|name of the user|user[ _]?name)(?: is|[ ]?[:=])[ ]?[\"'*]{0,3}(\w[\w.-]{0,40})",
    re.IGNORECASE,
)
"""The sentence of a system message that names its user."""

SYSTEM_CHARACTERS = 20_000
"""Characters of a system message that are searched for the user's name."""

ADVICE = (
    "give each a namespace: the header X-Engram-Namespace, `user` in the request, or the base URL"
    " http://HOST:PORT/ns/NAME/v1"
)


@dataclass(frozen=True, slots=True)
class Whose:
    """The place in memory that a request uses."""

    namespace: str
    session: str | None
    """None: the conversation is found by its messages."""
    is_named: bool
    """Whether the request or its key names the namespace."""


def whose(access: Access, headers: Mapping[str, str], user: str | None) -> Whose:
    """Return whose memory a request uses: by its header or path, else `user`, else Open WebUI's headers, else the key.

    user: the end user that the body names. Raises `ServeError` for a wrong name in a header or path, and
    `NotRemembered` for a wrong name or an unfilled placeholder elsewhere, which the caller gave to the model's API and
    not to Engram.
    """
    requested, session = requested_namespace(headers), header_text(headers, SESSION_HEADER)
    if requested is None:
        names = checked("user", user), foreign_name(headers, WEBUI_USER)
        requested = next((name for name in names if name is not None and access.allows(name)), None)
        if requested is not None and PLACEHOLDER.search(requested):
            raise NotRemembered(unfilled("user", requested))
    if session is None:
        session = foreign_name(headers, WEBUI_CHAT)
    is_named = requested is not None or not access.admin
    return Whose(access.namespace(requested), session, is_named)


def foreign_name(headers: Mapping[str, str], header: str) -> str | None:
    """Return the name in another program's header; None if it is missing or empty. Raises `NotRemembered`."""
    try:
        return checked(header, header_text(headers, header) or None)
    except ServeError as error:
        raise NotRemembered(error.message) from None


def checked(field: str, name: str | None) -> str | None:
    """Return `name`. Raises `NotRemembered` if it is no valid name of a namespace."""
    if name is not None:
        try:
            check_namespace(name)
        except InvalidEngram as error:
            raise NotRemembered(f"{field} names no namespace: {error}") from None
    return name


class SharingWatch:
    """Logs one warning if several people seem to share a namespace that nobody named."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], int] = {}
        """The first value of each sign in each namespace, as a hash."""
        self._warned = False

    def look(self, whose: Whose, headers: Mapping[str, str], request: Request) -> None:
        """Compare the signs of a person in a request with those of earlier requests."""
        if whose.is_named or self._warned:
            return
        for sign, value in signs(headers, request):
            if self._seen.setdefault((whose.namespace, sign), hash(value)) != hash(value):
                self._warn(whose.namespace, f"two values of: {sign}")
                return
        if WEBUI_USER not in headers and request.task == OPEN_WEBUI.name:
            self._warn(whose.namespace, "Open WebUI, which has many users, names none of them")

    def _warn(self, namespace: str, sign: str) -> None:
        self._warned = True
        message = "several people seem to share one memory"
        log(logger, logging.WARNING, message, namespace=namespace, sign=sign, advice=ADVICE)


def signs(headers: Mapping[str, str], request: Request) -> Iterator[tuple[str, str]]:
    """Yield what tells one person from another: a name for people, and the value."""
    for name in UPSTREAM_KEY_HEADERS:
        if (key := headers.get(name)) and not is_engram_key(name, key):
            yield f"the model's key in {name}", key
    for name in SIGN_IN_HEADERS:
        if person := headers.get(name):
            yield name, person
    for message in request.messages:
        if message.role == "system" and (named := USER_NAME.search(message.canonical, 0, SYSTEM_CHARACTERS)):
            yield "the user's name in the system message", named[1].casefold()
