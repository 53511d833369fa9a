"""One client call goes in, a `Plan` comes out: a whole answer, an exchange with a provider, or leave to pass.

This is the bridge without a proxy around it: no mitmproxy, no sockets.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TypeAlias
from urllib.parse import unquote, urlsplit

from addon import endpoints
from addon.actions import Answer
from addon.background import Jobs, Start
from addon.caching import AnswerCache
from addon.calls import Calls, conversation_name
from addon.chat_exchange import ChatExchange
from addon.client_answer import Pace
from addon.config import Config, ConfigError, LiveConfig
from addon.config.model import Limits
from addon.exchange import CallContext, ClientCall, Exchange, Record
from addon.observe.redact import Redactor
from addon.place import Place, Vision
from addon.routing import Router, RoutingError, Target, UnknownModel
from addon.sharing import Sharing
from addon.state import OpenStore, State, Storage, Turn, limits_of, nothing_kept, store_trouble
from addon.store.errors import StoreError
from addon.store.secret import StateError, key_from
from addon.translate.chat_fold import ChatFold
from addon.translate.errors import ApiError
from addon.translate.hosted import HostedPolicy
from addon.translate.images import images_in
from addon.translate.notes import Notes
from addon.translate.passthrough import fit
from addon.tries import Budget, ChangingTries, ChatCall, Experience
from addon.wire.encoding import BadEncoding, TooLarge, UnknownEncoding, decode
from addon.wire.json import MAX_DEPTH, JsonError, JsonObject, depth, loads
from addon.wire.responses import InvalidRequest, ResponsesRequest, read_request

logger = logging.getLogger("responses_bridge")


class Forward:
    """The call may go on to its original host."""


Plan: TypeAlias = Answer | Exchange | Forward

NewId: TypeAlias = Callable[[str], str]


class Service:
    """What the bridge does with calls, under the configuration in force.

    Args:
        live: the configuration; looked at anew for every call.
        ids, now: sources of new ids and of the time (seconds since the epoch).
        state_key: signs what clients keep for us, unless the configuration or other bridges have another key; raises
            StateError where it cannot be had.
        experience: what earlier calls have taught.
        open_store: opens the store that the configuration names.
        start: carries out what is made in the background; None: nothing is.
    """

    def __init__(
        self,
        live: LiveConfig,
        *,
        ids: NewId,
        now: Callable[[], float],
        state_key: Callable[[], bytes],
        experience: Experience,
        open_store: OpenStore = nothing_kept,
        start: Start | None = None,
    ) -> None:
        self._live = live
        self._ids = ids
        self._now = now
        self.clock = experience.clock
        self._experience = experience
        self._own_key = state_key
        self._calls = Calls(ids=ids, now=now, state_key=self._signing_key, experience=experience)
        self._state = State(Storage(open_store, experience.clock), ids)
        self.jobs = Jobs(self._state.storage, ids=ids, clock=experience.clock, start=start)
        self._sharing = Sharing(self._state.storage, experience, now)
        self._generation = -1
        self._router: Router | None = None
        self._redactor = Redactor()

    def refresh(self) -> Config | None:
        """Take up a configuration that has changed, and tell of one that could not be."""
        self._live.refresh()
        report = self._live.take_report()
        if report is not None:
            kept = "Calls are refused until it is mended." if self._live.current is None else "The last good one holds."
            logger.error("Configuration: %s %s", report, kept)
        config = self._live.current
        if config is not None and self._generation != self._live.generation:
            if self._generation >= 0 or self._router is not None:
                logger.info("Configuration: taken up anew.")
                self._experience.selection.health.forget()
            self._generation = self._live.generation
            self._router = Router(config)
            self._redactor = Redactor(config.secrets())
            for warning in config.warnings:
                logger.warning("Configuration: %s", warning)
            self._use_store(config)
        return config

    def _use_store(self, config: Config) -> None:
        """A warning, where it fails: at the start mitmproxy would end after an error, and most calls need no store."""
        storage = self._state.storage
        storage.use(config.store.get_secret_value(), limits_of(config.store_limits))
        self._sharing.is_on = config.store_is_server
        self.jobs.configure(config.background, config.keepalive)
        if storage.trouble is not None:
            logger.warning("Store: %s Until then nothing is kept.", self.hide(storage.trouble))

    async def share(self) -> None:
        """Hear what other bridges have found out, and tell them."""
        await self._sharing.refresh()

    def _signing_key(self) -> bytes:
        config = self._live.current
        if config is not None and config.state_key is not None:
            return key_from(config.state_key.get_secret_value())
        return self._sharing.signing_key(self._own_key)

    @property
    def config(self) -> Config | None:
        """The configuration in force."""
        return self._live.current

    @property
    def limits(self) -> Limits:
        """The limits in force."""
        config = self._live.current
        return config.limits if config is not None else Limits()

    def plan(self, call: ClientCall) -> Plan:
        """What becomes of a call. Never raises: whatever goes wrong is an answer that says so."""
        try:
            self.refresh()
            plan = self._plan(call, self._live.require())
        except ApiError as error:
            plan = Answer.error(error)
        except ConfigError as error:
            message = f"The bridge has no valid configuration, so it serves nothing. {error}"
            plan = Answer.error(ApiError.bridge(self.hide(message), code="bridge_misconfigured", status=503))
        except StateError as error:
            plan = Answer.error(ApiError.bridge(str(error), code="state_unavailable", status=503))
        except StoreError as error:
            plan = Answer.error(store_trouble(error))
        except RoutingError as error:
            plan = Answer.error(_routing(error))
        except Exception:
            logger.exception("A call could not be planned; it was answered with an error.")
            message = "The bridge failed while it prepared this call; its log says why. This is a bug of the bridge."
            plan = Answer.error(ApiError.bridge(message, code="bridge_error"))
        if isinstance(plan, Answer):
            plan = replace(plan, headers={"x-request-id": self._ids("req"), **plan.headers})
            path = printable(urlsplit(call.path).path)
            logger.info("%s %s -> %d %s", printable(call.method), path, plan.status, plan.code)
        return plan

    def too_large(self) -> Answer:
        """The answer to a body that is not read to its end."""
        return Answer.error(_too_large(self.limits.body_bytes), {"connection": "close"})

    def head_too_large(self) -> Answer:
        """The answer to a request whose headers are not read to their end."""
        message = f"The request's headers are larger than {self.limits.header_bytes} bytes (limits.header_bytes)."
        return Answer.error(ApiError(431, message, "headers_too_large"), {"connection": "close"})

    def hide(self, text: str) -> str:
        """The text without any key."""
        return self._redactor.redact(text)

    def report(self, exchange: Exchange) -> None:
        """The log lines of an exchange that is over: one for each provider's call."""
        for record in exchange.records:
            logger.info("%s", self.hide(_line(record)))

    # --- which endpoint

    def _plan(self, call: ClientCall, config: Config) -> Plan:
        path = urlsplit(call.path).path
        below = next((rest for base in config.base_paths if (rest := _below(path, base)) is not None), None)
        if below is None:
            return self._unmatched(call, config)
        if below == "/responses" and _is_upgrade(call):
            return endpoints.no_websocket()
        match call.method, below:
            case "POST", "/traces/ingest":
                return Forward() if config.traces == "forward" else endpoints.drop_traces()
            case "POST", "/responses":
                self._admit(call, config)
                return self._responses(call, config)
            case "POST", "/responses/compact":
                self._admit(call, config)
                return self._compact(call, config)
            case "POST", "/responses/input_tokens":
                self._admit(call, config)
                return self._count(call, config)
            case "POST", "/chat/completions":
                self._admit(call, config)
                return self._chat(call, config)
            case (("GET" | "HEAD"), "/models"):
                self._admit(call, config)
                return endpoints.list_models(self._routes())
            case (("GET" | "HEAD"), model) if model.startswith("/models/"):
                self._admit(call, config)
                return endpoints.retrieve_model(self._routes(), unquote(model.removeprefix("/models/")))
        serve = endpoints.find(call.method, below)
        if serve is not None:
            self._admit(call, config)
            return serve(self._inquiry(call, config))
        return self._unmatched(call, config)

    def _inquiry(self, call: ClientCall, config: Config) -> endpoints.Inquiry:
        """A call about what is remembered."""
        return endpoints.Inquiry(
            caller=_caller(call),
            query=endpoints.Query.of(urlsplit(call.path).query if call.method != "HEAD" else ""),
            read_body=lambda: _json_object(_shallow(_decoded(call, config), config)),
            state=self._state,
            jobs=self.jobs,
            ids=self._ids,
            now=self._now,
        )

    def _unmatched(self, call: ClientCall, config: Config) -> Plan:
        if config.unmatched == "forward":
            return Forward()
        return endpoints.unmatched(call.method, urlsplit(call.path).path)

    def _admit(self, call: ClientCall, config: Config) -> None:
        if not config.clients.accepts(call.bearer):
            message = (
                "This bridge serves only callers that present one of its own keys (`clients.keys` in bridge.yaml) "
                "as their OpenAI key. Ask whoever runs it for one."
            )
            raise ApiError(401, message, "invalid_api_key", "authentication_error")

    # --- the two that need a provider

    def _responses(self, call: ClientCall, config: Config) -> Plan:
        turn = self._turn(call, config)
        if turn.request.background:
            return self._respond_later(turn, self._place(turn, config))
        return self._calls.respond(turn, self._place(turn, config))

    def _respond_later(self, turn: Turn, place: Place) -> Plan:
        """The client gets the response that is to be made, or a stream of it that it may leave and come back to."""
        job = self.jobs.submit(
            turn,
            partial(self._calls.new_builder, turn.said),
            partial(self._calls.respond, turn.streamed(), place),
        )
        if turn.request.stream:
            return self.jobs.follow(turn.caller, job.response, after=-1)
        return Answer.json(job.response, headers={"x-request-id": self._ids("req")})

    def _compact(self, call: ClientCall, config: Config) -> Exchange:
        turn = self._turn(call, config)
        return self._calls.compact(turn, self._place(turn, config))

    def _count(self, call: ClientCall, config: Config) -> Answer:
        turn = self._turn(call, config)
        return endpoints.input_tokens(*self._calls.count(turn, self._place(turn, config)))

    def _turn(self, call: ClientCall, config: Config) -> Turn:
        return self._state.begin(_caller(call), self._request(call, config))

    def _request(self, call: ClientCall, config: Config) -> ResponsesRequest:
        try:
            request = read_request(_shallow(_decoded(call, config), config))
        except InvalidRequest as error:
            raise ApiError.bad_request(str(error), param=error.param) from None
        count, most = 0 if isinstance(request.input, str) else len(request.input), config.limits.items
        if count > most:
            message = f"The request has {count} input items; the bridge takes {most} (limits.items)."
            raise ApiError.bad_request(message, param="input", code="too_many_items")
        return request

    def _place(self, turn: Turn, config: Config) -> Place:
        name = turn.request.prompt_cache_key or turn.conversation or turn.parent
        conversation = conversation_name(turn.caller, name) if name else None
        targets = self._targets(turn.request.model, conversation)
        compactor = config.compaction.model
        place = Place(
            targets=targets,
            compactors=self._targets(compactor, conversation) if compactor is not None else targets,
            caller=turn.caller,
            conversation=conversation,
            hide=self.hide,
            hosted=HostedPolicy(dict(config.hosted_tools.items())),
            check_grammars=config.check_grammars,
            check_schemas=config.check_schemas,
            budget=_budget(config),
            pace=_pace(config),
            answer_bytes=config.limits.answer_bytes,
            event_chars=config.limits.event_chars,
            cache=self._cache(turn.caller, config),
        )
        return self._seeing(place, turn.request, config)

    def _cache(self, caller: str, config: Config) -> AnswerCache | None:
        if config.cache is None:
            return None
        return AnswerCache(self._state.storage, "" if config.cache.shared else caller, config.cache.ttl_s)

    def _seeing(self, place: Place, request: ResponsesRequest, config: Config) -> Place:
        """The place with the model that describes images, if there are any for a model that takes none.

        That such a model is configured and cannot be called is no reason to refuse the call.
        """
        name = config.vision.model
        blind = "none" in (place.targets[0].profile.image_url, place.compactors[0].profile.image_url)
        if name is None or not blind or not images_in(request.items()):
            return place
        try:
            return replace(place, vision=Vision(name, self._targets(name), config.vision.per_call))
        except RoutingError as error:
            return place.losing(str(error))

    def _chat(self, call: ClientCall, config: Config) -> Exchange:
        body = _json_object(_shallow(_decoded(call, config), config))
        asked = body.get("model")
        targets = self._targets(asked if isinstance(asked, str) else None)

        def fitted(target: Target) -> ChatCall:
            notes = Notes()
            fitting, stream = fit(body, target.profile, model=target.model, notes=notes)
            fold = partial(
                ChatFold,
                target.profile,
                provider=target.provider,
                notes=notes,
                event_chars=config.limits.event_chars,
            )
            folds = stream and body.get("stream") is not True
            return ChatCall(target, fitting, stream, notes, fold if folds else None)

        return ChatExchange(
            ChangingTries(targets, fitted, self._experience, _budget(config)),
            Record("chat/completions", str(asked or ""), targets[0].label),
            CallContext(self._ids("req"), self.clock, self.hide, config.limits.answer_bytes),
            _pace(config),
        )

    def _targets(self, model: str | None, conversation: str | None = None) -> list[Target]:
        """Where a model is served, best first."""
        if not model:
            raise ApiError.bad_request(
                "The request names no model. Send the name of one in `model`.",
                param="model",
                code="missing_required_parameter",
            )
        return self._experience.selection.candidates(self._routes().route(model), conversation)

    def _routes(self) -> Router:
        if self._router is None:
            raise ConfigError("no configuration was loaded")
        return self._router


def _budget(config: Config) -> Budget:
    return Budget(attempts=config.failover.attempts, seconds=config.failover.seconds)


def _pace(config: Config) -> Pace:
    wanted = config.keepalive
    return Pace(early_headers_after=wanted.early_headers_after_s, json_after=wanted.json_after_s, every=wanted.every_s)


def _below(path: str, base: str) -> str | None:
    """The rest of `path` below a base path, without a slash at its end; None if it is not below it."""
    if base and path != base and not path.startswith(f"{base}/"):
        return None
    return path.removeprefix(base).rstrip("/") or "/"


def _is_upgrade(call: ClientCall) -> bool:
    """A WebSocket handshake: RFC 6455 over HTTP/1.1, RFC 8441 (extended CONNECT) over HTTP/2."""
    return "websocket" in call.headers.get("upgrade", "").lower() or call.method == "CONNECT"


def _decoded(call: ClientCall, config: Config) -> bytes:
    """The body without its Content-Encoding."""
    limit = config.limits.body_bytes
    encoding = call.headers.get("content-encoding", "")
    try:
        body = decode(call.body, encoding, limit=limit)
    except UnknownEncoding as error:
        message = f"The request body has the content-encoding {error}; the bridge reads gzip, deflate, br and zstd."
        raise ApiError(415, message, "unsupported_content_encoding") from None
    except BadEncoding as error:
        message = f"The request body is not what its content-encoding ({encoding}) says: {error}."
        raise ApiError.bad_request(message, code="invalid_content_encoding") from None
    except TooLarge:
        raise _too_large(limit) from None
    if not body.strip():
        raise ApiError.bad_request("The request has no body.", code="missing_required_parameter")
    return body


def _shallow(body: bytes, config: Config) -> bytes:
    """The body, unless it is nested too deeply. Deeper than MAX_DEPTH none is read, whatever is configured."""
    most = config.limits.json_depth
    if most < MAX_DEPTH and depth(body) > most:
        raise ApiError.bad_request(f"The body is nested deeper than {most} levels (limits.json_depth).")
    return body


def _too_large(limit: int) -> ApiError:
    message = (
        f"The request body is larger than the {limit} bytes (decoded) that the bridge accepts. Shorten the "
        "conversation, or raise `limits.body_bytes` in bridge.yaml."
    )
    return ApiError(413, message, "request_too_large")


def _json_object(body: bytes) -> JsonObject:
    try:
        content = loads(body)
    except JsonError as error:
        raise ApiError.bad_request(f"The body is not valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise ApiError.bad_request("The body must be a JSON object.")
    return content


def _caller(call: ClientCall) -> str:
    """Whose items these are: a hash of the key and project the client presents, never the key."""
    names = ("authorization", "openai-organization", "openai-project", "api-key")
    parts = (call.headers.get(name, "") for name in names)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _routing(error: RoutingError) -> ApiError:
    """404 for a name nobody serves, which is the client's to change; 503 for what only the operator can mend."""
    if isinstance(error, UnknownModel):
        return ApiError(404, str(error), error.code, param="model")
    return ApiError.bridge(str(error), code=error.code, status=503)


def _line(record: Record) -> str:
    """One exchange in one line, without anything that was said in it."""
    return " ".join(_words(record))


def _words(record: Record) -> Iterator[str]:
    yield f"{record.endpoint} {printable(record.model)} -> {record.target} {record.status} {record.outcome}"
    if record.tried:
        yield f"tried=[{', '.join(record.tried)}]"
    if record.input_tokens is not None:
        yield f"tokens={record.input_tokens}+{record.output_tokens}"
    if record.first_event_s is not None and record.total_s is not None:
        yield f"first={record.first_event_s:.2f}s total={record.total_s:.2f}s"
    if record.notes:
        yield f"notes=[{'; '.join(map(str, record.notes))}]"


def printable(text: str) -> str:
    """What a client sent, fit for one line of a log: nothing in it can look like another line."""
    shown = "".join(char if char.isprintable() else "?" for char in text[:120])
    return shown if len(text) <= 120 else f"{shown}..."


def lower_case(headers: Mapping[str, str]) -> dict[str, str]:
    """Header names as `ClientCall` wants them."""
    return {name.lower(): value for name, value in headers.items()}
