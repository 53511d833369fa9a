"""Carries out an exchange without a proxy around it: one call of a provider after the other, blocking."""

from __future__ import annotations

import ssl
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from urllib.parse import urlsplit

from addon.actions import Action, Answer, Attempt, Cancel, Data, End, Head
from addon.exchange import Exchange

PORTION = 64 * 1024


class DirectCaller:
    """Makes the calls of an exchange itself. Proxies that the environment names are not used.

    Args:
        timeout: seconds a provider may be silent.
        trust: the certificate authorities that servers are checked against.
    """

    def __init__(self, *, timeout: float, trust: ssl.SSLContext) -> None:
        self._timeout = timeout
        self._trust = trust

    def answer(self, exchange: Exchange) -> Answer:
        """What the client of this exchange hears, put together to one answer."""
        client = _Client()
        attempt = client.take(exchange.begin())
        while attempt is not None:
            attempt = self._perform(attempt, exchange, client)
        return client.answer()

    def _perform(self, attempt: Attempt, exchange: Exchange, client: _Client) -> Attempt | None:
        """One call of a provider, until the answer is complete or another call takes this one's place."""
        with closing(self._upstream(attempt, exchange)) as happenings:
            for actions in happenings:
                following = client.take(actions)
                if following is not None or exchange.over:
                    return following
        return None

    def _upstream(self, attempt: Attempt, exchange: Exchange) -> Generator[Sequence[Action], None, None]:
        """What follows from each thing that happens on the connection, which is closed with this iterator."""
        try:
            with closing(self._connection(attempt.url)) as connection:
                connection.connect()
                exchange.upstream_connected()
                response = _sent(connection, attempt)
                headers = {name.lower(): value for name, value in response.getheaders()}
                yield exchange.upstream_head(response.status, headers)
                for data in _portions(response):
                    yield exchange.upstream_data(data)
        except (OSError, HTTPException) as error:
            yield exchange.upstream_lost(str(error) or type(error).__name__)
        else:
            yield exchange.upstream_end()

    def _connection(self, url: str) -> HTTPConnection:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme == "https":
            return HTTPSConnection(host, parts.port, timeout=self._timeout, context=self._trust)
        return HTTPConnection(host, parts.port, timeout=self._timeout)


def _sent(connection: HTTPConnection, attempt: Attempt) -> HTTPResponse:
    headers = dict(attempt.headers)
    if attempt.credential is not None:
        headers.update([attempt.credential.header()])
    parts = urlsplit(attempt.url)
    connection.request("POST", parts._replace(scheme="", netloc="").geturl() or "/", attempt.body, headers)
    return connection.getresponse()


def _portions(response: HTTPResponse) -> Iterator[bytes]:
    """The body as it comes. `read1` is of no use where the length is known: Python 3.11 does not count with it."""
    read = response.read1 if response.length is None else response.read
    while data := read(PORTION):
        yield data
    if response.length:
        raise IncompleteRead(b"", response.length)


class _Client:
    """Hears what an exchange has to say."""

    def __init__(self) -> None:
        self._status = 0
        self._headers: Mapping[str, str] = {}
        self._body = bytearray()
        self._whole: Answer | None = None

    def take(self, actions: Sequence[Action]) -> Attempt | None:
        """Hear these; the call that is to be made next, if there is one."""
        following = None
        for action in actions:
            match action:
                case Attempt():
                    following = action
                case Head():
                    self._status, self._headers = action.status, action.headers
                case Data():
                    self._body += action.data
                case Answer():
                    self._whole = action
                case Cancel() | End():  # the connection is closed with its call
                    pass
        return following

    def answer(self) -> Answer:
        return self._whole or Answer(self._status, self._headers, bytes(self._body))
