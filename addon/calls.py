"""From a Responses request and the place that serves it to the exchange: which converters, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar, cast

from addon.checking import SENT_BACK, Checks, Draft, KeptExchange, Problems, checks_of, correction, problems, told_again
from addon.client_answer import ClientAnswer, Pace
from addon.compacting import SummaryExchange, Written, written
from addon.exchange import CallContext, Exchange, Record, ResponsesExchange
from addon.preceding import PrecededExchange, PrecedingCall, Said, UnheardAnswer
from addon.routing import Target
from addon.store.descriptions import Descriptions
from addon.store.recent import RecentItems
from addon.store.secret import StateError
from addon.store.thoughts import Thoughts
from addon.translate.answer_schema import compile_answer
from addon.translate.compaction import (
    Summary,
    claims_summary,
    exceeds,
    open_summary,
    retained,
    seal_summary,
    summary_items,
)
from addon.translate.errors import ApiError
from addon.translate.estimate import estimate_tokens
from addon.translate.hosted import DEFAULT_POLICY, HostedPolicy
from addon.translate.images import description_of, description_request, images_in, with_descriptions
from addon.translate.items import Seal
from addon.translate.memory import SignedMemory
from addon.translate.native_request import native_origin, to_native
from addon.translate.native_stream import NativeReader
from addon.translate.notes import Note, Notes
from addon.translate.output import NewId, ResponseBuilder, no_seal, to_totals
from addon.translate.reasoning import sealer
from addon.translate.request import check_supported, conversation, to_chat
from addon.translate.stream import StreamConverter
from addon.tries import Budget, ChangingTries, Experience, NativeCall, OneTry, ReadCall, Tries
from addon.wire.json import Json, JsonObject
from addon.wire.responses import (
    AdditionalTools,
    ApplyPatchCall,
    Compaction,
    CompactionTrigger,
    CustomToolCall,
    Event,
    FunctionCall,
    ImagePart,
    Item,
    LocalShellCall,
    Message,
    ResponsesRequest,
    ShellCall,
    Tool,
    ToolSearchOutput,
)
from addon.wire.sse import MAX_EVENT_CHARS

SomeExchange = TypeVar("SomeExchange", bound=ResponsesExchange)


@dataclass(frozen=True, slots=True)
class Vision:
    """Who describes images to models that take none."""

    name: str
    """As a client would ask for it."""
    targets: Sequence[Target]
    per_call: int
    """How many images are described before one call, at most."""

    @property
    def target(self) -> Target:
        return self.targets[0]

    @property
    def origin(self) -> str:
        return self.target.label


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call is served, and for whom."""

    targets: Sequence[Target]
    """Where it may be served, best first."""
    compactors: Sequence[Target]
    """Where summaries are written."""
    caller: str
    """Whose items these are: a hash of the client's credential."""
    hide: Callable[[str], str]
    hosted: HostedPolicy = DEFAULT_POLICY
    check_grammars: bool = False
    """Inputs of custom tools are checked before the client hears of them."""
    check_schemas: bool = False
    """So are answers that are to fit a schema."""
    vision: Vision | None = None
    conversation: str | None = None
    """Names the conversation that is to stay with the target that serves it now."""
    budget: Budget = field(default_factory=Budget)
    pace: Pace = field(default_factory=Pace)
    """When a client hears something though its provider is silent."""
    answer_bytes: int = 64 * 1024 * 1024
    """The most that is read of one answer of a provider, decoded."""
    event_chars: int = MAX_EVENT_CHARS
    """The largest event that is read of a stream."""
    losses: tuple[Note, ...] = ()
    """What has been lost before the call itself was made."""

    def losing(self, why: str) -> Place:
        """The same, when some image could not be described."""
        return replace(self, losses=(*self.losses, Note("content: input_image", why)))


@dataclass(frozen=True, slots=True)
class _Wish:
    """A request on its way to a provider, whichever that will be."""

    request: ResponsesRequest
    targets: Sequence[Target]
    """Where it may be served, best first."""
    place: Place
    client: ClientAnswer
    """What the client of it all hears."""
    more: Sequence[Json] = ()
    """Messages behind those of the request."""

    def noting(self, what: str, why: str) -> _Wish:
        """The same, with a further loss."""
        return replace(self, place=replace(self.place, losses=(*self.place.losses, Note(what, why))))

    def losing(self, why: str) -> _Wish:
        """The same, when some image could not be described."""
        return self.noting("content: input_image", why)


class Calls:
    """Makes exchanges, and keeps what they remember between calls.

    Args:
        ids, now: sources of new ids and of the time (seconds since the epoch).
        state_key: signs what clients keep for us; raises StateError where it cannot be had.
        experience: what earlier calls have taught.
    """

    def __init__(
        self, *, ids: NewId, now: Callable[[], float], state_key: Callable[[], bytes], experience: Experience
    ) -> None:
        self._ids = ids
        self._now = now
        self._clock = experience.clock
        self._experience = experience
        self._state_key = state_key
        self._recent = RecentItems()
        self._thoughts = Thoughts(now=now)
        self._descriptions = Descriptions()

    def respond(self, request: ResponsesRequest, place: Place) -> Exchange:
        """POST /v1/responses.

        Raises:
            ApiError: the request asks for what cannot be served.
            StateError: a summary is to be signed, and there is no key.
        """
        client = self._client(request, place)
        if any(isinstance(item, CompactionTrigger) for item in request.items()):
            wish = _Wish(request, place.compactors, place, client)
            return self._seeing(wish, self._answer_with_summary)
        return self._seeing(_Wish(request, place.targets, place, client), self._respond)

    def _client(self, request: ResponsesRequest, place: Place) -> ClientAnswer:
        builder = ResponseBuilder(request, ids=self._ids, now=self._now, seal=no_seal)
        return ClientAnswer(builder, stream=bool(request.stream), pace=place.pace, clock=self._clock)

    def _respond(self, wish: _Wish) -> Exchange:
        request, place = wish.request, wish.place
        tries = self._tries(wish)
        threshold = _threshold(request)
        if threshold is not None and exceeds(tries.first.body, threshold) and self._has_past(request, place):
            return self._compact_first(wish)
        return self._call(wish, tries)

    def compact(self, request: ResponsesRequest, place: Place) -> Exchange:
        """POST /v1/responses/compact: the conversation's summary behind those of its messages that are kept.

        Raises: as `respond`.
        """
        whole = request.model_copy(update={"stream": False})
        return self._seeing(_Wish(whole, place.compactors, place, self._client(whole, place)), self._compact)

    def _compact(self, wish: _Wish) -> Exchange:
        key = self._state_key()
        kept = self._kept(wish.request, wish.place)

        def shown(written: Written) -> JsonObject:
            compaction: Item = Compaction(
                type="compaction", id=self._ids("cmp"), encrypted_content=seal_summary(written.summary, key)
            )
            return {
                "id": self._ids("resp"),
                "object": "response.compaction",
                "created_at": int(self._now()),
                "output": [self._shown(item) for item in (*kept, compaction)],
                "usage": cast(JsonObject, written.usage),
            }

        return self._summarise(wish, shown)

    # --- the usual answer

    def _tries(self, wish: _Wish) -> Tries[ReadCall]:
        convert = partial(self._converted, wish)
        # Who writes its summaries, or describes its images, does not get the conversation.
        conversation = wish.place.conversation if wish.targets is wish.place.targets else None
        return ChangingTries(wish.targets, convert, self._experience, wish.place.budget, conversation)

    def _converted(self, wish: _Wish, target: Target) -> ReadCall:
        """The request as this target gets it.

        Raises:
            ApiError: it asks for what cannot be served there.
        """
        notes = Notes()
        for loss in wish.place.losses:
            notes.add(loss.what, loss.why)
        if target.native:
            return self._native(wish, target, notes)
        chat = to_chat(
            self._described(wish, target, notes),
            target.profile,
            model=target.model,
            origin=target.label,
            lookup=self._lookup(wish.place),
            notes=notes,
            summaries=self._open,
            hosted=wish.place.hosted,
            memory=self._memory(wish.place),
        )

        def reader(builder: ResponseBuilder) -> StreamConverter:
            return StreamConverter(
                builder,
                target.profile,
                chat.tools,
                provider=target.provider,
                notes=notes,
                logprobs=_wants_logprobs(wish.request),
                hide=wish.place.hide,
                prompt_estimate=lambda: estimate_tokens(chat.body),
                event_chars=wish.place.event_chars,
            )

        body = told_again(chat.body, wish.more) if wish.more else chat.body
        return ReadCall(target, body, chat.stream, notes, reader, self._sealer(wish, target.label), chat.tools)

    def _native(self, wish: _Wish, target: Target, notes: Notes) -> NativeCall:
        """The request for the provider's own Responses endpoint. Raises: as `_converted`."""
        origin = native_origin(target.label)
        native = to_native(
            self._described(wish, target, notes),
            target.profile,
            model=target.model,
            origin=origin,
            lookup=self._lookup(wish.place),
            notes=notes,
            summaries=self._open,
            hosted=wish.place.hosted,
            memory=self._memory(wish.place),
        )
        body = native.with_messages(wish.more) if wish.more else native.body

        def reader(builder: ResponseBuilder) -> NativeReader:
            return NativeReader(
                builder,
                target.profile,
                native.tools,
                provider=target.provider,
                notes=notes,
                logprobs=_wants_logprobs(wish.request),
                hide=wish.place.hide,
                prompt_estimate=lambda: estimate_tokens(body),
                event_chars=wish.place.event_chars,
            )

        return NativeCall(target, body, native.stream, notes, reader, self._sealer(wish, origin), native.tools)

    def _memory(self, place: Place) -> SignedMemory:
        return SignedMemory(key=self._reasoning_key, find=partial(self._thoughts.get, place.caller))

    def _sealer(self, wish: _Wish, origin: str) -> Seal:
        key = self._reasoning_key() if wish.request.includes("reasoning.encrypted_content") else None
        return sealer(origin, key)

    def _call(self, wish: _Wish, tries: Tries[ReadCall], *, compaction: str | None = None) -> Exchange:
        checks = _checks(wish)
        if not checks:
            return self._answer(ResponsesExchange, wish, tries, compaction)

        def follow(draft: Draft, call: ReadCall) -> Exchange:
            said = draft.result()
            found = Problems() if isinstance(said, ApiError) else problems(draft.response, checks)
            if found:
                more = correction(draft.response["output"], found, call.names)
                again = replace(wish.noting(found.where, SENT_BACK), more=more)
                return self._answer(ResponsesExchange, again, self._tries(again), compaction)
            if found.document is not None:
                call.notes.add("text.format", "the JSON was taken out of a fence or other words around it")
                wish.client.builder.text_instead(found.document)
            kept = self._answer(KeptExchange, wish, OneTry(call), compaction)
            kept.keep(said if isinstance(said, ApiError) else draft.received)
            return kept

        def new_draft(call: ReadCall) -> Draft:
            builder = self._builder(wish.request, call.seal)
            return Draft(builder, call.reader(builder))

        first = PrecedingCall(
            tries,
            self._record(wish, "draft"),
            self._context(wish),
            wish.client,
            new_answer=new_draft,
            outcome="checked",
            follow=follow,
        )
        return PrecededExchange(first, self._record(wish))

    def _answer(
        self, kind: type[SomeExchange], wish: _Wish, tries: Tries[ReadCall], compaction: str | None = None
    ) -> SomeExchange:
        if compaction is not None:
            wish.client.builder.compaction(compaction)
        return kind(
            tries,
            self._record(wish),
            self._context(wish),
            wish.client,
            remember=partial(self._remember, wish.place.caller),
        )

    def _builder(self, request: ResponsesRequest, seal: Seal) -> ResponseBuilder:
        return ResponseBuilder(request, ids=self._ids, now=self._now, seal=seal)

    def _record(self, wish: _Wish, endpoint: str = "responses") -> Record:
        return Record(endpoint, wish.request.model or "", wish.targets[0].label)

    def _context(self, wish: _Wish) -> CallContext:
        return CallContext(self._ids("req"), self._clock, wish.place.hide, wish.place.answer_bytes)

    def _reasoning_key(self) -> bytes | None:
        """Signs reasoning. Without one (no directory for state) clients get none to keep, and the bridge remembers."""
        try:
            return self._state_key()
        except StateError:
            return None

    def _remember(self, caller: str, builder: ResponseBuilder, call: ReadCall) -> None:
        self._recent.add(caller, builder.response["output"])
        kept = builder.kept()
        if kept is not None:
            self._thoughts.add(caller, kept.keys, kept.record(call.origin))

    def _lookup(self, place: Place) -> Callable[[str], Item | None]:
        return lambda item_id: self._recent.get(place.caller, item_id)

    def _open(self, encrypted_content: str) -> Summary | None:
        return open_summary(encrypted_content, self._state_key()) if claims_summary(encrypted_content) else None

    # --- summaries

    def _answer_with_summary(self, wish: _Wish) -> Exchange:
        """A `compaction_trigger`: the answer has exactly one item, the summary."""
        key = self._state_key()
        builder = wish.client.builder

        def shown(written: Written) -> Sequence[Event]:
            builder.compaction(seal_summary(written.summary, key))
            builder.complete(to_totals(written.usage))
            self._recent.add(wish.place.caller, builder.response["output"])
            return builder.take()

        return self._summarise(wish, shown)

    def _summarise(self, wish: _Wish, shown: Callable[[Written], JsonObject | Sequence[Event]]) -> SummaryExchange:
        summary = self._summary(wish)
        return SummaryExchange(
            self._tries(summary),
            self._record(summary, "compaction"),
            self._context(summary),
            summary.client,
            new_answer=partial(self._unheard, summary),
            shown=shown,
        )

    def _compact_first(self, wish: _Wish) -> Exchange:
        """`context_management`: the conversation has passed the client's threshold."""
        key = self._state_key()
        request, place = wish.request, wish.place

        def follow(answer: UnheardAnswer, call: ReadCall) -> Exchange:
            result = written(answer.result(), call.target.provider)
            if isinstance(result, ApiError):
                why = f"the conversation could not be summarised: {result.message}"
                whole = wish.noting("context_management", why)
                return self._call(whole, self._tries(whole))
            sealed = seal_summary(result.summary, key)
            shorter = [*self._kept(request, place), Compaction(type="compaction", encrypted_content=sealed)]
            short = replace(wish, request=request.model_copy(update={"input": shorter}))
            return self._call(short, self._tries(short), compaction=sealed)

        first = self._preceding(self._summary(wish), "compaction", "compacted", follow)
        return PrecededExchange(first, self._record(wish))

    def _summary(self, wish: _Wish) -> _Wish:
        """The call in which a model writes the summary: the same history and tools, so that its caches hit."""
        check_supported(wish.request)
        items = conversation(wish.request, self._lookup(wish.place), self._open)
        asking = wish.request.model_copy(
            update={
                "input": summary_items(items),
                "text": None,
                "tool_choice": "none",
                "max_output_tokens": None,
                "include": None,
                "top_logprobs": None,
                "context_management": None,
            }
        )
        return replace(wish, request=asking, targets=wish.place.compactors)

    def _kept(self, request: ResponsesRequest, place: Place) -> list[Item]:
        """What stays beside a new summary. Earlier ones are left unread, so as not to pass for the user's words."""
        return retained(conversation(request, self._lookup(place), lambda _: None))

    def _has_past(self, request: ResponsesRequest, place: Place) -> bool:
        """True if the model has said or done something that a summary could tell, and none tells yet."""
        calls = (FunctionCall, CustomToolCall, ShellCall, LocalShellCall, ApplyPatchCall)
        items = conversation(request, self._lookup(place), self._open)
        return any(
            isinstance(item, calls) or (isinstance(item, Message) and item.role == "assistant") for item in items
        )

    # --- images for models that take none

    def _seeing(self, wish: _Wish, make: Callable[[_Wish], Exchange]) -> Exchange:
        """What `make` makes, once all images have been described that the model is to be told of.

        It is made at once as well, as if none could be: a request that is refused costs no calls.
        """
        planned = make(wish)
        vision = wish.place.vision
        if vision is None:
            return planned
        unknown = self._undescribed(wish, vision)
        if not unknown:
            return planned
        if vision.target.profile.image_url == "none":
            return make(wish.losing(f"the model {vision.origin} of `vision.model` takes no images itself"))
        # The latest are those the conversation is about now; the others have their turn in the next call.
        latest = unknown[-vision.per_call :]
        if len(latest) < len(unknown):
            wish = wish.losing(f"only {vision.per_call} are described before one call (`vision.per_call`)")
        first = self._describe(latest, vision, wish, make)
        return PrecededExchange(first, planned.record) if isinstance(first, PrecedingCall) else first

    def _describe(
        self, images: Sequence[ImagePart], vision: Vision, wish: _Wish, make: Callable[[_Wish], Exchange]
    ) -> Exchange:
        """The call that describes the first image, then the others, then what `make` makes."""
        if not images:
            return make(wish)
        image, *others = images
        asking = description_request(image, vision.name)
        describing = _Wish(asking, vision.targets, replace(wish.place, losses=()), wish.client)

        def go_on(said: Said | ApiError) -> Exchange:
            description = None if isinstance(said, ApiError) else description_of(said.text)
            if description is not None:
                self._descriptions.add(vision.origin, image.image_url or "", description)
                return self._describe(others, vision, wish, make)
            why = said.message if isinstance(said, ApiError) else "it wrote nothing"
            return self._describe(others, vision, wish.losing(f"{vision.origin} did not describe it: {why}"), make)

        try:
            return self._preceding(describing, "vision", "described", lambda answer, _: go_on(answer.result()))
        except ApiError as error:
            return go_on(error)

    def _undescribed(self, wish: _Wish, vision: Vision) -> list[ImagePart]:
        if wish.targets[0].profile.image_url != "none":
            return []
        images = images_in(conversation(wish.request, self._lookup(wish.place), self._open))
        known = self._known(images, vision)
        return [image for image in images if image.image_url not in known]

    def _described(self, wish: _Wish, target: Target, notes: Notes) -> ResponsesRequest:
        """The request with the descriptions that are known in place of images, if the model takes none."""
        vision = wish.place.vision
        if vision is None or target.profile.image_url != "none":
            return wish.request
        items = conversation(wish.request, self._lookup(wish.place), self._open)
        known = self._known(images_in(items), vision)
        if not known:
            return wish.request
        notes.add("content: input_image", f"this model takes no images; {vision.origin} described them")
        return wish.request.model_copy(update={"input": with_descriptions(items, known, vision.target.model)})

    def _known(self, images: Sequence[ImagePart], vision: Vision) -> dict[str, str]:
        urls = [image.image_url for image in images if image.image_url]
        found = {url: self._descriptions.get(vision.origin, url) for url in urls}
        return {url: text for url, text in found.items() if text is not None}

    # --- calls made before another one

    def _preceding(
        self, wish: _Wish, endpoint: str, outcome: str, follow: Callable[[UnheardAnswer, ReadCall], Exchange]
    ) -> PrecedingCall[UnheardAnswer]:
        return PrecedingCall(
            self._tries(wish),
            self._record(wish, endpoint),
            self._context(wish),
            wish.client,
            new_answer=partial(self._unheard, wish),
            outcome=outcome,
            follow=follow,
        )

    def _unheard(self, wish: _Wish, call: ReadCall) -> UnheardAnswer:
        builder = self._builder(wish.request, call.seal)
        return UnheardAnswer(builder, call.reader(builder))

    def _shown(self, item: Item) -> JsonObject:
        """A kept item as /responses/compact gives it back."""
        match item:
            case Message():
                shown: JsonObject = item.model_dump(exclude_none=True)
                if isinstance(item.content, str):
                    shown["content"] = [{"type": "input_text", "text": item.content}]
                return {"id": self._ids("msg"), "status": "completed", **shown}
            case _:
                return item.model_dump(exclude_none=True)


def _checks(wish: _Wish) -> Checks:
    """What is to be checked in the answer to a request."""
    form = wish.request.text.format if wish.request.text else None
    return Checks(
        inputs=checks_of(_declared(wish.request)) if wish.place.check_grammars else {},
        answer=compile_answer(form) if wish.place.check_schemas else None,
    )


def _declared(request: ResponsesRequest) -> Iterator[Tool]:
    """The tools of the request, and those that its items bring."""
    yield from request.tools or ()
    for item in request.items():
        if isinstance(item, (AdditionalTools, ToolSearchOutput)):
            yield from item.tools


def _wants_logprobs(request: ResponsesRequest) -> bool:
    return request.includes("message.output_text.logprobs") or bool(request.top_logprobs)


def _threshold(request: ResponsesRequest) -> int | None:
    """The tokens beyond which the client wants its conversation summarised."""
    for edit in request.context_management or ():
        threshold = edit.get("compact_threshold")
        if edit.get("type") == "compaction" and isinstance(threshold, int) and not isinstance(threshold, bool):
            return threshold
    return None
