"""The demo provider: a small but real /chat/completions server on loopback, so that a first run needs no key.

It is a demonstration, not a model: it repeats what it was told, calls the first tool it is offered with
arguments made from the tool's schema, and quotes the result. The same request always gets the same answer.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeAlias

from pydantic import BaseModel, JsonValue, ValidationError, model_validator

JsonObject: TypeAlias = dict[str, JsonValue]

MODEL = "demo"
"""The one model `GET /v1/models` lists. Any other name is answered all the same."""

BODY_LIMIT = 64 * 2**20
"""Bytes of a request body; more is answered with 413."""


# --- what a client may ask -------------------------------------------------------------------------------------------


class Part(BaseModel):
    """One piece of a message's content."""

    type: str
    text: str = ""


class Message(BaseModel):
    """One turn of the history."""

    role: str
    content: str | list[Part] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.text)
        return self.content or ""

    @property
    def images(self) -> int:
        return sum(part.type == "image_url" for part in self.content) if isinstance(self.content, list) else 0


class Function(BaseModel):
    """A function the client can run."""

    name: str
    parameters: JsonObject | None = None


class Tool(BaseModel):
    """An offered tool; the demo knows functions only."""

    type: str
    function: Function | None = None


class JsonSchema(BaseModel):
    """The schema a structured answer has to fit."""

    json_schema: JsonObject

    @model_validator(mode="before")
    @classmethod
    def _unwrap(cls, value: JsonValue) -> JsonValue:
        """Pydantic reserves the attribute `schema`: take it by another name."""
        return {"json_schema": value.get("schema") or {}} if isinstance(value, dict) else value


class ResponseFormat(BaseModel):
    """How the answer's text is to be shaped."""

    type: str
    json_schema: JsonSchema | None = None


class StreamOptions(BaseModel):
    """What a stream carries beside the answer."""

    include_usage: bool | None = None


class ChatRequest(BaseModel):
    """The part of a /chat/completions request that the demo looks at."""

    model: str
    messages: list[Message]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[Tool] | None = None
    tool_choice: str | Tool | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    response_format: ResponseFormat | None = None

    @property
    def question(self) -> str:
        """What the user said last."""
        return next((message.text for message in reversed(self.messages) if message.role == "user"), "")

    @property
    def tool_results(self) -> list[str]:
        """What the tools answered to the assistant's last turn."""
        results: list[str] = []
        for message in reversed(self.messages):
            if message.role == "assistant":
                break
            if message.role == "tool":
                results.append(message.text)
        return results[::-1]

    @property
    def function_to_call(self) -> Function | None:
        """The function the client insists on, or the first it offers."""
        if self.tool_choice == "none":
            return None
        functions = [tool.function for tool in self.tools or [] if tool.function]
        if isinstance(self.tool_choice, Tool) and self.tool_choice.function:
            wanted = self.tool_choice.function.name
            return next((function for function in functions if function.name == wanted), None)
        return functions[0] if functions else None

    @property
    def token_limit(self) -> int | None:
        return self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens


# --- values that fit a schema ----------------------------------------------------------------------------------------

_HARMLESS = {
    "cmd": "echo Hello from the demo provider",
    "command": "echo Hello from the demo provider",
    "commands": "echo Hello from the demo provider",
    "script": "echo Hello from the demo provider",
    "code": "print('Hello from the demo provider')",
    "input": "// Hello from the demo provider",
}
"""For fields a client is likely to execute. The user's own words must never become a command."""

_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T12:00:00Z",
    "time": "12:00:00Z",
    "email": "demo@example.com",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_DEEP = 4
"""Nesting from which optional branches are left out, so that recursive schemas come to an end."""


@dataclass(frozen=True)
class SchemaFiller:
    """Makes a plausible value for a JSON schema."""

    root: JsonObject
    subject: str
    """What strings are about."""

    def fill(self) -> JsonValue:
        return self._value(self.root, "", 0)

    def _value(self, schema: JsonValue, name: str, depth: int) -> JsonValue:
        if not isinstance(schema, dict):
            return self.subject
        if depth > 2 * _DEEP:
            return None
        match schema:
            case {"const": constant}:
                return constant
            case {"enum": [first, *_]}:
                return first
            case {"$ref": str(reference)}:
                return self._value(self._resolve(reference), name, depth + 1)
            case {"anyOf": [*options]} | {"oneOf": [*options]} if options:
                return self._value(options[-1 if depth >= _DEEP else 0], name, depth)
            case {"allOf": [first, *_]}:
                return self._value(first, name, depth)
            case {"type": [first, *_]}:
                return self._value({**schema, "type": first}, name, depth)
            case {"type": "object"} | {"properties": _}:
                return self._object(schema, depth)
            case {"type": "array"}:
                return self._array(schema, name, depth)
            case {"type": "integer" | "number"}:
                return _number(schema)
            case {"type": "boolean"}:
                return True
            case {"type": "null"}:
                return None
            case _:
                return self._string(schema, name)

    def _resolve(self, reference: str) -> JsonValue:
        """Follow a pointer within the document (`#/$defs/City`); what leads nowhere allows anything."""
        value: JsonValue = self.root
        for key in reference.removeprefix("#").strip("/").split("/"):
            if key:
                value = value.get(key) if isinstance(value, dict) else None
        return value

    def _object(self, schema: JsonObject, depth: int) -> JsonObject:
        properties, required = schema.get("properties"), schema.get("required")
        if not isinstance(properties, dict) or not isinstance(required, list):
            return {}
        return {str(name): self._value(properties.get(str(name)), str(name), depth + 1) for name in required}

    def _array(self, schema: JsonObject, name: str, depth: int) -> list[JsonValue]:
        match schema:
            case {"minItems": int(length)}:
                pass
            case _:
                length = 0 if depth >= _DEEP else 1
        return [self._value(schema.get("items"), name, depth + 1) for _ in range(min(length, 10))]

    def _string(self, schema: JsonObject, name: str) -> str:
        match schema:
            case {"format": str(form)} if form in _FORMATS:
                return _FORMATS[form]
        text = _HARMLESS.get(name, self.subject)
        match schema:
            case {"minLength": int(shortest)}:
                text = text.ljust(shortest, ".")
        match schema:
            case {"maxLength": int(longest)}:
                text = text[:longest]
        return text


def _number(schema: JsonObject) -> int | float:
    """1, or what comes nearest to it within the bounds."""
    value: int | float = 1
    match schema:
        case {"minimum": int() | float() as least}:
            value = max(value, least)
        case {"exclusiveMinimum": int() | float() as below}:
            value = max(value, below + 1)
    match schema:
        case {"maximum": int() | float() as most}:
            value = min(value, most)
    return value


def _subject(text: str) -> str:
    """What a sentence is about: a name in it (`the weather in New York?`), else its first words."""
    names = re.findall(r"(?<=[a-z,;:] )[A-Z]\w+(?: [A-Z]\w+)*", text)
    if names:
        return str(names[-1])
    return " ".join(text.split()[:4]).rstrip(".,;:!?") or "demo"


# --- the answer ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """A function the client shall run."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Answer:
    """What the assistant says, before it is cut into chunks or put into one completion."""

    id: str
    model: str
    reasoning: str
    text: str = ""
    call: Call | None = None
    prompt_tokens: int = 0
    cut: bool = False
    """The token limit was reached."""

    @property
    def finish_reason(self) -> str:
        if self.cut:
            return "length"
        return "tool_calls" if self.call else "stop"

    @property
    def usage(self) -> JsonObject:
        thought = len(_words(self.reasoning))
        said = thought + len(_words(self.text)) + (len(_words(self.call.arguments)) if self.call else 0)
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": said,
            "total_tokens": self.prompt_tokens + said,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": thought},
        }

    def within(self, limit: int | None) -> Answer:
        """This answer, broken off after `limit` words, as a model does at its token limit."""
        if limit is None:
            return self
        reasoning, limit = _first_words(self.reasoning, limit)
        text, limit = _first_words(self.text, limit)
        call = self.call
        if call is not None:
            arguments, limit = _first_words(call.arguments, limit)
            call = replace(call, arguments=arguments) if arguments else None
        shortened = replace(self, reasoning=reasoning, text=text, call=call)
        return replace(shortened, cut=shortened != self)


def answer(request: ChatRequest) -> Answer:
    """Decide what to say: a call while a tool is offered and unanswered, text otherwise."""
    digest = hashlib.sha256(request.model_dump_json().encode()).hexdigest()[:16]
    blank = Answer(
        id=f"chatcmpl-demo-{digest}",
        model=request.model,
        reasoning="",
        prompt_tokens=sum(len(_words(message.text)) for message in request.messages),
    )
    function = request.function_to_call
    if function and not request.tool_results:
        said = _call_answer(blank, function, request.question, f"call_{digest}")
    else:
        said = replace(blank, reasoning=_reasoning(request), text=_structured_text(request) or _prose(request))
    return said.within(request.token_limit)


def _call_answer(blank: Answer, function: Function, question: str, call_id: str) -> Answer:
    arguments = SchemaFiller(function.parameters or {"type": "object"}, _subject(question)).fill()
    return replace(
        blank,
        reasoning=f"The user said {_quote(question)}. The tool {function.name} may know more, so I call it.",
        call=Call(call_id, function.name, json.dumps(arguments, ensure_ascii=False)),
    )


def _reasoning(request: ChatRequest) -> str:
    if request.tool_results:
        return "The tool has answered. I can tell the user now."
    return f"The user said {_quote(request.question)}. No tool is needed for that."


def _structured_text(request: ChatRequest) -> str | None:
    """The answer as JSON, if the client asked for that."""
    match request.response_format:
        case ResponseFormat(type="json_schema", json_schema=JsonSchema() as wrapped):
            value = SchemaFiller(wrapped.json_schema, _subject(request.question)).fill()
        case ResponseFormat(type="json_object"):
            value = {"answer": _prose(request)}
        case _:
            return None
    return json.dumps(value, ensure_ascii=False)


def _prose(request: ChatRequest) -> str:
    sentences = []
    if results := request.tool_results:
        sentences.append(f"The tool answered {' and '.join(_quote(result) for result in results)}.")
    else:
        sentences.append(f"Hello from the demo provider! You said {_quote(request.question)}.")
    if images := sum(message.images for message in request.messages):
        sentences.append(f"You sent {images} image{'s' if images > 1 else ''}.")
    sentences.append("Configure a provider to get real answers.")
    return " ".join(sentences)


def _quote(text: str) -> str:
    return f"“{textwrap.shorten(text, 200, placeholder=' …').rstrip('.')}”"


def _words(text: str) -> list[str]:
    """`text` in pieces that together are the text again; the demo counts each as one token."""
    return re.split(r"(?<=\s)(?=\S)", text) if text else []


def _first_words(text: str, limit: int) -> tuple[str, int]:
    words = _words(text)
    return "".join(words[:limit]), max(0, limit - len(words))


# --- the answer as the API writes it ---------------------------------------------------------------------------------


def completion(said: Answer) -> JsonObject:
    """The whole answer in one object."""
    message: JsonObject = {"role": "assistant", "content": said.text or None, "reasoning_content": said.reasoning}
    if said.call:
        message["tool_calls"] = [_call_object(said.call, said.call.arguments)]
    choice: JsonObject = {"index": 0, "message": message, "logprobs": None, "finish_reason": said.finish_reason}
    return {**_envelope(said, "chat.completion"), "choices": [choice], "usage": said.usage}


def chunks(said: Answer, include_usage: bool = False) -> Iterator[JsonObject]:
    """The same answer in pieces, word by word."""
    envelope = _envelope(said, "chat.completion.chunk")
    for delta in _deltas(said):
        yield {**envelope, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**envelope, "choices": [{"index": 0, "delta": {}, "finish_reason": said.finish_reason}]}
    if include_usage:
        yield {**envelope, "choices": [], "usage": said.usage}


def _deltas(said: Answer) -> Iterator[JsonObject]:
    yield {"role": "assistant", "content": ""}
    for word in _words(said.reasoning):
        yield {"reasoning_content": word}
    for word in _words(said.text):
        yield {"content": word}
    if said.call:
        yield {"tool_calls": [{"index": 0, **_call_object(said.call, "")}]}
        for word in _words(said.call.arguments):
            yield {"tool_calls": [{"index": 0, "function": {"arguments": word}}]}


def _call_object(call: Call, arguments: str) -> JsonObject:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _envelope(said: Answer, kind: str) -> JsonObject:
    """`created` is fixed: equal requests get equal bytes."""
    return {"id": said.id, "object": kind, "created": 0, "model": said.model}


# --- the server ------------------------------------------------------------------------------------------------------


class Refusal(Exception):
    """An error in OpenAI's shape."""

    def __init__(self, status: HTTPStatus, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code

    @property
    def body(self) -> JsonObject:
        error: JsonObject = {
            "message": self.message,
            "type": "invalid_request_error",
            "param": self.param,
            "code": self.code,
        }
        return {"error": error}


class DemoServer(ThreadingHTTPServer):
    """The demo provider, bound to loopback and to nothing else.

    Args:
        port: 0 takes a free one; `base_url` tells which.
        api_key: if set, callers must send it as a bearer token.
        delay: seconds between two chunks of a stream, so that a person can watch it.
    """

    daemon_threads = True

    def __init__(self, port: int = 0, *, api_key: str | None = None, delay: float = 0.0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.api_key = api_key
        self.delay = delay

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no news; anything else keeps its traceback."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    server: DemoServer

    def do_GET(self) -> None:
        self._answer({"/v1/models": self._models})

    def do_POST(self) -> None:
        self._answer({"/v1/chat/completions": self._chat})

    def log_message(self, format: str, *args: object) -> None:
        """Keep the terminal for the bridge's own lines."""

    def _answer(self, routes: dict[str, Callable[[bytes], None]]) -> None:
        try:
            body = self._body()
            self._check_key()
            path = self.path.partition("?")[0]
            if path not in routes:
                raise Refusal(HTTPStatus.NOT_FOUND, f"The demo provider does not serve {self.command} {path}.")
            routes[path](body)
        except Refusal as refusal:
            self._send_json(refusal.status, refusal.body)

    def _body(self) -> bytes:
        """The body, read even when it is not wanted: the next request of this connection comes after it."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            self.close_connection = True
            raise Refusal(HTTPStatus.LENGTH_REQUIRED, "Send the body with a Content-Length.")
        if int(length) > BODY_LIMIT:
            self.close_connection = True
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body has more than {BODY_LIMIT} bytes.")
        return self.rfile.read(int(length))

    def _check_key(self) -> None:
        key = self.server.api_key
        if key is not None and self.headers.get("Authorization") != f"Bearer {key}":
            raise Refusal(HTTPStatus.UNAUTHORIZED, "Incorrect API key provided.", code="invalid_api_key")

    def _models(self, body: bytes) -> None:
        model: JsonObject = {"id": MODEL, "object": "model", "created": 0, "owned_by": "responses-bridge"}
        self._send_json(HTTPStatus.OK, {"object": "list", "data": [model]})

    def _chat(self, body: bytes) -> None:
        request = _parse(body)
        said = answer(request)
        if request.stream:
            self._send_stream(said, bool(request.stream_options and request.stream_options.include_usage))
        else:
            self._send_json(HTTPStatus.OK, completion(said))

    def _send_json(self, status: HTTPStatus, value: JsonObject) -> None:
        body = json.dumps(value, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_stream(self, said: Answer, include_usage: bool) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in chunks(said, include_usage):
            self._send_event(json.dumps(chunk, ensure_ascii=False))
            time.sleep(self.server.delay)
        self._send_event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def _send_event(self, data: str) -> None:
        event = f"data: {data}\n\n".encode()
        self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))


def _parse(body: bytes) -> ChatRequest:
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in problem["loc"])
        message = f"{where}: {problem['msg']}" if where else problem["msg"]
        raise Refusal(HTTPStatus.BAD_REQUEST, message, param=where or None) from error


def serve(port: int, *, api_key: str | None = None, delay: float = 0.0, until_stdin_closes: bool = False) -> None:
    """Serve until interrupted, and tell on standard output where.

    Args:
        port: 0 takes a free one.
        api_key: as for `DemoServer`.
        delay: as for `DemoServer`.
        until_stdin_closes: end with the process that holds the other end of standard input, however that one ends.
    """
    with DemoServer(port, api_key=api_key, delay=delay) as server:
        if until_stdin_closes:
            threading.Thread(target=_shut_down_after_stdin, args=(server,), daemon=True).start()
        print(server.base_url, flush=True)
        try:
            server.serve_forever(poll_interval=0.1)
        except KeyboardInterrupt:
            return


def _shut_down_after_stdin(server: DemoServer) -> None:
    sys.stdin.buffer.read()
    server.shutdown()
