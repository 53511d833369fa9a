"""What the soak test is made of: kinds of calls, the provider that serves them, and the client that makes them."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

HOST = "api.openai.com"
WORDS = 20
"""Portions of a usual answer."""
STALL_S = 1.0
SLOW_PORTIONS = 60
SLOW_PORTION = "x" * 8 * 1024

SOLO, FLAKY, SPARE = "127.0.0.1", "127.0.0.2", "127.0.0.3"
"""Where the provider listens: as the only target of a call, the first of two, and the second."""


class Reply:
    """The connection of one request to the provider."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int, *, stream: bool):
        self.number = number
        self.stream = stream
        self._reader = reader
        self._writer = writer

    async def head(self, status: int = 200, content_type: str = "text/event-stream", **more: str) -> None:
        fields = {"content-type": content_type, "transfer-encoding": "chunked", **more}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
        await self._write(f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode())

    async def send(self, data: bytes) -> None:
        await self._write(b"%x\r\n%s\r\n" % (len(data), data))

    async def say(self, text: str) -> None:
        await self.send(_event({"choices": [{"index": 0, "delta": {"content": text}}]}))

    async def say_words(self, first: int = 0, end: int = WORDS) -> None:
        for number in range(first, end):
            await self.say(word(self.number, number))

    async def end(self) -> None:
        stop = _event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        await self.send(stop + b"data: [DONE]\n\n")
        await self._write(b"0\r\n\r\n")

    async def whole(self, status: int, body: object, **more: str) -> None:
        await self.head(status, "application/json", **more)
        await self.send(json.dumps(body).encode())
        await self._write(b"0\r\n\r\n")

    def reset(self) -> None:
        """As a machine does that has crashed."""
        connection = self._writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()
        raise ConnectionResetError

    async def gone(self) -> float:
        """Waits until the other side has gone; when it did."""
        with suppress(ConnectionError):
            while await self._reader.read(65536):
                pass
        return time.perf_counter()

    async def _write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()


def word(number: int, position: int) -> str:
    """A word that belongs to one call alone."""
    return f"{number}.{position} "


def text_of(number: int, words: int = WORDS) -> str:
    return "".join(word(number, position) for position in range(words))


def _event(chunk: object) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


# --- what the provider does


async def answers(reply: Reply) -> None:
    if reply.stream:
        await reply.head()
        await reply.say_words()
        await reply.end()
    else:
        message = {"role": "assistant", "content": text_of(reply.number)}
        await reply.whole(200, {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})


async def fails(reply: Reply) -> None:
    await reply.whole(500, {"error": {"message": "all is lost"}})


async def is_busy(reply: Reply) -> None:
    await reply.whole(429, {"error": {"message": "later"}}, retry_after="1")


async def resets(reply: Reply) -> None:
    reply.reset()


async def resets_after_headers(reply: Reply) -> None:
    await reply.head()
    reply.reset()


async def cuts(reply: Reply) -> None:
    await reply.head()
    await reply.say_words(0, 5)
    await asyncio.sleep(0.05)  # a reset overtakes what was sent just before
    reply.reset()


async def talks_garbage(reply: Reply) -> None:
    await reply.whole(200, "<html>It works!</html>")


async def stammers(reply: Reply) -> None:
    await reply.head()
    await reply.say_words(0, 5)
    await reply.send(b"data: {bad json\n\n")
    await reply.say_words(5)
    await reply.end()


async def errs_in_the_stream(reply: Reply) -> None:
    await reply.head()
    await reply.say_words(0, 5)
    await reply.send(_event({"error": {"message": "all is lost", "code": 500}}))
    await reply.end()


async def stalls(reply: Reply) -> None:
    await reply.head()
    await reply.say_words(0, 5)
    await asyncio.sleep(STALL_S)
    await reply.say_words(5)
    await reply.end()


async def says_much(reply: Reply) -> None:
    await reply.head()
    for _ in range(SLOW_PORTIONS):
        await reply.say(SLOW_PORTION)
    await reply.end()


@dataclass(frozen=True)
class Kind:
    """One kind of call."""

    name: str
    share: int
    """Of 100 calls."""
    behave: Callable[[Reply], Awaitable[None]]
    expected: str
    """The outcome, as `Caller.call` tells it."""
    stream: bool = True
    pair: bool = False
    """There is a second target, which behaves well."""
    slow: bool = False
    leaves: str = ""
    """When the client goes: "before" the headers, or in the "midst" of the stream."""


KINDS = (
    Kind("stream", 43, answers, "completed"),
    Kind("whole", 12, answers, "completed", stream=False),
    Kind("error 500", 3, fails, "error 502"),
    Kind("error 429", 2, is_busy, "error 429"),
    Kind("reset before headers", 3, resets, "error 502"),
    Kind("reset after headers", 3, resets_after_headers, "error 502"),
    Kind("cut in the stream", 4, cuts, "failed"),
    Kind("garbage", 3, talks_garbage, "error 502"),
    Kind("a broken chunk", 3, stammers, "completed"),
    Kind("error in the stream", 3, errs_in_the_stream, "failed"),
    Kind("stall", 3, stalls, "completed"),
    Kind("slow client", 3, says_much, "completed", slow=True),
    Kind("client leaves before headers", 3, answers, "left", leaves="before"),
    Kind("client leaves in the stream", 3, answers, "left", leaves="midst"),
    Kind("error 500, second target", 3, fails, "completed", pair=True),
    Kind("reset, second target", 3, resets, "completed", pair=True),
    Kind("garbage, second target", 3, talks_garbage, "completed", pair=True),
)
_SCHEDULE = [kind for position in range(43) for kind in KINDS if position < kind.share]
assert len(_SCHEDULE) == 100


def kind_of(number: int) -> Kind:
    return _SCHEDULE[number * 37 % 100]


@dataclass
class Provider:
    """Serves each call as its number says."""

    port: int = 0
    left: dict[int, float] = field(default_factory=dict)
    """When clients have left, by the numbers of their calls."""
    noticed_s: list[float] = field(default_factory=list)
    """Seconds from then until the provider's connection was closed."""
    open: int = 0
    reached: dict[int, asyncio.Event] = field(default_factory=dict)
    """Set when the call whose client will leave has come."""
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        with socket.create_server((SOLO, 0)) as probe:
            self.port = probe.getsockname()[1]
        hosts = [SOLO, FLAKY, SPARE]
        self._server = await asyncio.start_server(self._serve, hosts, self.port, backlog=1024, limit=4 * 1024 * 1024)

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                body = json.loads(await reader.readexactly(int(_field(head, b"content-length"))))
                number = int(body["model"].rpartition("-")[2])
                reply = Reply(reader, writer, number, stream=bool(body.get("stream")))
                await self._answer(kind_of(number), reply, spare=_field(head, b"host").startswith(SPARE))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def _answer(self, kind: Kind, reply: Reply, *, spare: bool) -> None:
        if kind.leaves:
            if kind.leaves == "midst":
                await reply.head()
                await reply.say_words(0, 5)
            self.reached.setdefault(reply.number, asyncio.Event()).set()
            self.noticed_s.append(await reply.gone() - self.left.get(reply.number, 0))
            raise ConnectionResetError
        await (answers if spare else kind.behave)(reply)


def _field(head: bytes, name: bytes) -> str:
    for line in head.split(b"\r\n"):
        if line.startswith(name + b":"):
            return line.partition(b":")[2].strip().decode()
    return "0"


# --- the client


class Caller:
    """One client: a connection that it uses again as long as it stands."""

    def __init__(self, proxy_port: int, trust: ssl.SSLContext, provider: Provider) -> None:
        self._port = proxy_port
        self._trust = trust
        self._provider = provider
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter | None = None

    async def call(self, number: int) -> str:
        """One call; its outcome in a word or two. Whatever is not as it should be is told in a sentence."""
        kind = kind_of(number)
        if self._writer is None:
            await self._connect()
        await self._ask(kind, number)
        if kind.leaves:
            return await self._leave(kind, number)
        status, headers = await self._read_head()
        body = await self._read_body(headers, slow=kind.slow)
        if headers.get("connection") == "close":
            self.close()
        if status != 200:
            return f"error {status}" if _is_error(body) else f"{status} without an error: {body[:100]!r}"
        wanted = SLOW_PORTION * SLOW_PORTIONS if kind.behave is says_much else text_of(number)
        return _stream_outcome(body, wanted) if kind.stream else _whole_outcome(json.loads(body), wanted)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    async def _connect(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(f"CONNECT {HOST}:443 HTTP/1.1\r\nhost: {HOST}:443\r\n\r\n".encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head, head
        await self._writer.start_tls(self._trust, server_hostname=HOST)

    async def _ask(self, kind: Kind, number: int) -> None:
        model = f"{'pair' if kind.pair else 'solo'}-{number}"
        body = json.dumps({"model": model, "input": "Hi", "stream": kind.stream, "store": False}).encode()
        fields = f"host: {HOST}\r\nauthorization: Bearer any\r\ncontent-length: {len(body)}\r\n"
        assert self._writer is not None
        self._writer.write(f"POST /v1/responses HTTP/1.1\r\n{fields}\r\n".encode() + body)

    async def _leave(self, kind: Kind, number: int) -> str:
        if kind.leaves == "midst":
            await self._reader.readuntil(b"output_text.delta")
        await self._provider.reached.setdefault(number, asyncio.Event()).wait()
        self._provider.left[number] = time.perf_counter()
        assert self._writer is not None
        self._writer.transport.abort()
        self._writer = None
        return "left"

    async def _read_head(self) -> tuple[int, Mapping[str, str]]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        status, *lines = head.strip().split("\r\n")
        headers = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return int(status.split()[1]), headers

    async def _read_body(self, headers: Mapping[str, str], *, slow: bool) -> bytes:
        if "chunked" not in headers.get("transfer-encoding", ""):
            return await self._reader.readexactly(int(headers["content-length"]))
        portions = []
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            portions.append((await self._reader.readexactly(size + 2))[:-2])
            if slow:
                await asyncio.sleep(0.01)
        await self._reader.readexactly(2)
        return b"".join(portions)


def _is_error(body: bytes) -> bool:
    return set(json.loads(body)["error"]) == {"message", "type", "param", "code"}


def _whole_outcome(response: Mapping[str, object], wanted: str) -> str:
    output = response["output"]
    assert isinstance(output, list)
    text = "".join(part["text"] for item in output for part in item["content"])
    return str(response["status"]) if text == wanted else f"{response['status']} with another text: {text[:100]}"


def _stream_outcome(body: bytes, wanted: str) -> str:
    """What the stream ends with, if it is whole, and every word belongs to this call."""
    lines = body.decode().splitlines()
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    types = [event["type"] for event in events]
    terminal = [each for each in types if each in ("response.completed", "response.incomplete", "response.failed")]
    if types[0] != "response.created" or terminal != types[-1:]:
        return f"a stream from {types[0]} to {types[-1]} with the ends {terminal}"
    if [event["sequence_number"] for event in events] != list(range(len(events))):
        return "a stream with events missing"
    outcome = terminal[0].removeprefix("response.")
    text = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    right = text == wanted if outcome == "completed" else wanted.startswith(text)
    return outcome if right else f"{outcome} with another text: {text[:100]}"
