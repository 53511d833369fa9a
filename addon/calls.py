"""From a Responses request and the place that serves it to the exchange: which converters, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar, cast

from addon.caching import RecordingExchange
from addon.checking import SENT_BACK, Checks, Draft, KeptExchange, Problems, checks_of, corrected, problems
from addon.client_answer import ClientAnswer
from addon.compacting import SummaryExchange, Written, written
from addon.exchange import CallContext, Exchange, Record, ResponsesExchange
from addon.place import Place, Vision, Wish
from addon.preceding import PrecededExchange, PrecedingCall, Said, UnheardAnswer
from addon.routing import Target
from addon.state import Turn
from addon.state.items import SEALED
from addon.store.descriptions import Descriptions
from addon.store.secret import StateError
from addon.store.thoughts import Thoughts
from addon.translate.answer_reader import BodyReader, ToolNames
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
from addon.translate.images import description_of, description_request, images_in, with_descriptions
from addon.translate.items import Seal
from addon.translate.memory import SignedMemory
from addon.translate.native_request import native_origin, to_native
from addon.translate.native_stream import NativeReader
from addon.translate.notes import Notes
from addon.translate.output import NewId, ResponseBuilder, no_seal, to_totals
from addon.translate.reasoning import sealer
from addon.translate.request import check_supported, conversation, to_chat
from addon.translate.stream import StreamConverter
from addon.tries import ChangingTries, Experience, NativeCall, OneTry, ReadCall, Tries
from addon.wire.json import JsonObject
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

SomeExchange = TypeVar("SomeExchange", bound=ResponsesExchange)


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
        self._thoughts = Thoughts(now=now)
        self._descriptions = Descriptions()

    def respond(self, turn: Turn, place: Place, client: ClientAnswer | None = None) -> Exchange:
        """POST /v1/responses.

        Args:
            client: who hears the answer, if it is not the client that asked.

        Raises:
            ApiError: the request asks for what cannot be served.
            StateError: a summary is to be signed, and there is no key.
        """
        client = client or self._client(turn.said, place)
        place = replace(place, losses=(*place.losses, *turn.losses))
        wish = Wish(turn.request, place.targets, place, client, turn)
        if any(isinstance(item, CompactionTrigger) for item in turn.own):
            return self._seeing(replace(wish, targets=place.compactors), self._answer_with_summary)
        return self._seeing(wish, self._respond)

    def new_builder(self, request: ResponsesRequest) -> ResponseBuilder:
        """For a new response."""
        return ResponseBuilder(request, ids=self._ids, now=self._now, seal=no_seal)

    def _client(self, request: ResponsesRequest, place: Place) -> ClientAnswer:
        return ClientAnswer(self.new_builder(request), stream=bool(request.stream), pace=place.pace, clock=self._clock)

    def _respond(self, wish: Wish) -> Exchange:
        request = wish.request
        tries = self._tries(wish)
        threshold = _threshold(request)
        if threshold is not None and exceeds(tries.first.body, threshold) and self._has_past(request):
            return self._compact_first(wish)
        return self._call(wish, tries)

    def count(self, turn: Turn, place: Place) -> tuple[int, Notes]:
        """POST /v1/responses/input_tokens: about how many tokens the provider would count, and what it would not get.

        Raises: as `respond`.
        """
        wish = Wish(turn.request, place.targets, place, self._client(turn.said, place), turn)
        call = self._tries(wish).first
        return estimate_tokens(call.body), call.notes

    def compact(self, turn: Turn, place: Place) -> Exchange:
        """POST /v1/responses/compact: the conversation's summary behind those of its messages that are kept.

        Raises: as `respond`.
        """
        whole = turn.request.model_copy(update={"stream": False})
        wish = Wish(whole, place.compactors, place, self._client(whole, place), turn)
        return self._seeing(wish, self._compact)

    def _compact(self, wish: Wish) -> Exchange:
        key = self._state_key()
        kept = self._kept(wish.request)

        def shown(written: Written, _: Notes) -> JsonObject:
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

    def _tries(self, wish: Wish) -> Tries[ReadCall]:
        convert = partial(self._converted, wish)
        # Who writes its summaries, or describes its images, does not get the conversation.
        names = _names(wish) if wish.targets is wish.place.targets else []
        return ChangingTries(wish.targets, convert, self._experience, wish.place.budget, names)

    def _converted(self, wish: Wish, target: Target) -> ReadCall:
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
            lookup=_nothing,
            notes=notes,
            summaries=self._open,
            hosted=wish.place.hosted,
            memory=self._memory(wish.place),
        )

        reader = _reader(StreamConverter, wish, target, chat.tools, chat.body, notes)
        return ReadCall(target, chat.body, chat.stream, notes, reader, self._sealer(wish, target.label))

    def _native(self, wish: Wish, target: Target, notes: Notes) -> NativeCall:
        """The request for the provider's own Responses endpoint. Raises: as `_converted`."""
        origin = native_origin(target.label)
        native = to_native(
            self._described(wish, target, notes),
            target.profile,
            model=target.model,
            origin=origin,
            lookup=_nothing,
            notes=notes,
            summaries=self._open,
            hosted=wish.place.hosted,
            memory=self._memory(wish.place),
        )
        reader = _reader(NativeReader, wish, target, native.tools, native.body, notes)
        return NativeCall(target, native.body, native.stream, notes, reader, self._sealer(wish, origin))

    def _memory(self, place: Place) -> SignedMemory:
        return SignedMemory(key=self._reasoning_key, find=partial(self._thoughts.get, place.caller))

    def _sealer(self, wish: Wish, origin: str) -> Seal:
        wanted = wish.turn.keeps or wish.turn.conversation is not None or wish.request.includes(SEALED)
        return sealer(origin, self._reasoning_key() if wanted else None)

    def _call(self, wish: Wish, tries: Tries[ReadCall], *, compaction: str | None = None) -> Exchange:
        checks = _checks(wish)
        if not checks:
            return self._once(wish, tries, compaction)
        follow = partial(self._checked, wish, checks, compaction)

        def new_draft(call: ReadCall) -> Draft:
            # With a seal in any case: the model gets its thoughts back, should it be asked again.
            builder = self._builder(wish.request, sealer(call.origin, self._reasoning_key()))
            return Draft(builder, call.reader(builder))

        known = wish.place.cache.find(tries.first) if wish.place.cache is not None else None
        if known is not None:
            draft = new_draft(tries.first)
            draft.feed(known)
            draft.end()
            return self._checked(replace(wish, cached=True), checks, compaction, draft, tries.first)
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

    def _checked(self, wish: Wish, checks: Checks, compaction: str | None, draft: Draft, call: ReadCall) -> Exchange:
        """What follows a draft: it is told as it is, or the model is asked again."""
        said = draft.result()
        if wish.place.cache is not None and not wish.cached and draft.response["status"] == "completed":
            wish.place.cache.add(call, draft.received)
        found = Problems() if isinstance(said, ApiError) else problems(draft.response, checks)
        if found:
            request = corrected(wish.request, draft.kept_output, found)
            again = replace(wish.noting(found.where, SENT_BACK), request=request, cached=False)
            return self._once(again, self._tries(again), compaction)
        if found.document is not None:
            call.notes.add("text.format", "the JSON was taken out of a fence or other words around it")
            wish.client.builder.text_instead(found.document)
        return self._told(wish, call, said if isinstance(said, ApiError) else draft.received, compaction)

    def _once(self, wish: Wish, tries: Tries[ReadCall], compaction: str | None) -> Exchange:
        """The answer from the cache, or else from a provider."""
        cache = wish.place.cache
        if cache is None:
            return self._answer(ResponsesExchange, wish, tries, compaction)
        known = cache.find(tries.first)
        if known is not None:
            return self._told(replace(wish, cached=True), tries.first, known, compaction)
        recording = self._answer(RecordingExchange, wish, tries, compaction)
        recording.keep_in(cache)
        return recording

    def _told(self, wish: Wish, call: ReadCall, result: bytes | ApiError, compaction: str | None) -> Exchange:
        """What a provider has said already, told to the client."""
        kept = self._answer(KeptExchange, wish, OneTry(call), compaction)
        kept.keep(result)
        return kept

    def _answer(
        self, kind: type[SomeExchange], wish: Wish, tries: Tries[ReadCall], compaction: str | None = None
    ) -> SomeExchange:
        if compaction is not None:
            wish.client.builder.compaction(compaction)
        return kind(
            tries,
            self._record(wish),
            self._context(wish),
            wish.client,
            remember=partial(self._remember, wish.turn),
        )

    def _builder(self, request: ResponsesRequest, seal: Seal) -> ResponseBuilder:
        return ResponseBuilder(request, ids=self._ids, now=self._now, seal=seal)

    def _record(self, wish: Wish, endpoint: str = "responses") -> Record:
        record = Record(endpoint, wish.request.model or "", wish.targets[0].label)
        if wish.place.cache is not None and endpoint == "responses":
            record.cache = "hit" if wish.cached else "miss"
        return record

    def _context(self, wish: Wish) -> CallContext:
        return CallContext(self._ids("req"), self._clock, wish.place.hide, wish.place.answer_bytes)

    def _reasoning_key(self) -> bytes | None:
        """Signs reasoning. Without one (no directory for state) clients get none to keep, and the bridge remembers."""
        try:
            return self._state_key()
        except StateError:
            return None

    def _remember(self, turn: Turn, builder: ResponseBuilder, call: ReadCall) -> bool:
        kept = builder.kept()
        if kept is not None:
            self._thoughts.add(turn.caller, kept.keys, kept.record(call.origin))
        return self._keep(turn, builder, call.notes)

    def _keep(self, turn: Turn, builder: ResponseBuilder, notes: Notes) -> bool:
        problem = turn.keep(builder.stored())
        if problem is not None:
            notes.add("store", problem)
        return problem is None

    def _conversation(self, request: ResponsesRequest) -> list[Item]:
        """The items that count, summaries opened."""
        return conversation(request, _nothing, self._open)

    def _open(self, encrypted_content: str) -> Summary | None:
        return open_summary(encrypted_content, self._state_key()) if claims_summary(encrypted_content) else None

    # --- summaries

    def _answer_with_summary(self, wish: Wish) -> Exchange:
        """A `compaction_trigger`: the answer has exactly one item, the summary."""
        key = self._state_key()
        builder = wish.client.builder

        def shown(written: Written, notes: Notes) -> Sequence[Event]:
            builder.compaction(seal_summary(written.summary, key))
            builder.complete(to_totals(written.usage))
            kept = self._keep(wish.turn, builder, notes)
            return builder.take() if kept else builder.not_stored(builder.take())

        return self._summarise(wish, shown)

    def _summarise(
        self, wish: Wish, shown: Callable[[Written, Notes], JsonObject | Sequence[Event]]
    ) -> SummaryExchange:
        summary = self._summary(wish)
        return SummaryExchange(
            self._tries(summary),
            self._record(summary, "compaction"),
            self._context(summary),
            summary.client,
            new_answer=partial(self._unheard, summary),
            shown=shown,
        )

    def _compact_first(self, wish: Wish) -> Exchange:
        """`context_management`: the conversation has passed the client's threshold."""
        key = self._state_key()
        request = wish.request

        def follow(answer: UnheardAnswer, call: ReadCall) -> Exchange:
            result = written(answer.result(), call.target.provider)
            if isinstance(result, ApiError):
                why = f"the conversation could not be summarised: {result.message}"
                whole = wish.noting("context_management", why)
                return self._call(whole, self._tries(whole))
            sealed = seal_summary(result.summary, key)
            shorter = [*self._kept(request), Compaction(type="compaction", encrypted_content=sealed)]
            short = replace(wish, request=request.model_copy(update={"input": shorter}))
            return self._call(short, self._tries(short), compaction=sealed)

        first = self._preceding(self._summary(wish), "compaction", "compacted", follow)
        return PrecededExchange(first, self._record(wish))

    def _summary(self, wish: Wish) -> Wish:
        """The call in which a model writes the summary: the same history and tools, so that its caches hit."""
        check_supported(wish.request)
        items = self._conversation(wish.request)
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

    def _kept(self, request: ResponsesRequest) -> list[Item]:
        """What stays beside a new summary. Earlier ones are left unread, so as not to pass for the user's words."""
        return retained(conversation(request, _nothing, _nothing))

    def _has_past(self, request: ResponsesRequest) -> bool:
        """True if the model has said or done something that a summary could tell, and none tells yet."""
        calls = (FunctionCall, CustomToolCall, ShellCall, LocalShellCall, ApplyPatchCall)
        items = self._conversation(request)
        return any(
            isinstance(item, calls) or (isinstance(item, Message) and item.role == "assistant") for item in items
        )

    # --- images for models that take none

    def _seeing(self, wish: Wish, make: Callable[[Wish], Exchange]) -> Exchange:
        """What `make` makes, once all images have been described that the model is to be told of.

        It is made at once as well, as if none could be: a request that is refused costs no calls.
        """
        vision = wish.place.vision
        unknown = self._undescribed(wish, vision) if vision is not None else []
        if vision is None or not unknown:
            return make(wish)
        planned = make(replace(wish, place=replace(wish.place, cache=None)))
        if vision.target.profile.image_url == "none":
            return make(wish.losing(f"the model {vision.origin} of `vision.model` takes no images itself"))
        # The latest are those the conversation is about now; the others have their turn in the next call.
        latest = unknown[-vision.per_call :]
        if len(latest) < len(unknown):
            wish = wish.losing(f"only {vision.per_call} are described before one call (`vision.per_call`)")
        first = self._describe(latest, vision, wish, make)
        return PrecededExchange(first, planned.record) if isinstance(first, PrecedingCall) else first

    def _describe(
        self, images: Sequence[ImagePart], vision: Vision, wish: Wish, make: Callable[[Wish], Exchange]
    ) -> Exchange:
        """The call that describes the first image, then the others, then what `make` makes."""
        if not images:
            return make(wish)
        image, *others = images
        asking = description_request(image, vision.name)
        describing = replace(wish, request=asking, targets=vision.targets, place=replace(wish.place, losses=()))

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

    def _undescribed(self, wish: Wish, vision: Vision) -> list[ImagePart]:
        if wish.targets[0].profile.image_url != "none":
            return []
        images = images_in(self._conversation(wish.request))
        known = self._known(images, vision)
        return [image for image in images if image.image_url not in known]

    def _described(self, wish: Wish, target: Target, notes: Notes) -> ResponsesRequest:
        """The request with the descriptions that are known in place of images, if the model takes none."""
        vision = wish.place.vision
        if vision is None or target.profile.image_url != "none":
            return wish.request
        items = self._conversation(wish.request)
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
        self, wish: Wish, endpoint: str, outcome: str, follow: Callable[[UnheardAnswer, ReadCall], Exchange]
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

    def _unheard(self, wish: Wish, call: ReadCall) -> UnheardAnswer:
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


def _checks(wish: Wish) -> Checks:
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


def _nothing(_: str) -> None:
    """Looks up what has been resolved already."""


def _names(wish: Wish) -> list[str]:
    """What the conversation may be called by later calls that are to stay with the same target."""
    names = [wish.place.conversation] if wish.place.conversation else []
    if wish.turn.keeps:
        names.append(conversation_name(wish.turn.caller, wish.client.builder.id))
    return names


def conversation_name(caller: str, name: str) -> str:
    """What the conversations of one caller are told apart by: a prompt cache key, or an id."""
    return f"{caller} {name}"


def _reader(
    kind: type[BodyReader], wish: Wish, target: Target, tools: ToolNames, body: JsonObject, notes: Notes
) -> Callable[[ResponseBuilder], BodyReader]:
    """Reads the answer to the request `body`."""
    return lambda builder: kind(
        builder,
        target.profile,
        tools,
        provider=target.provider,
        notes=notes,
        logprobs=_wants_logprobs(wish.request),
        hide=wish.place.hide,
        prompt_estimate=lambda: estimate_tokens(body),
        event_chars=wish.place.event_chars,
    )


def _wants_logprobs(request: ResponsesRequest) -> bool:
    return request.includes("message.output_text.logprobs") or bool(request.top_logprobs)


def _threshold(request: ResponsesRequest) -> int | None:
    """The tokens beyond which the client wants its conversation summarised."""
    for edit in request.context_management or ():
        threshold = edit.get("compact_threshold")
        if edit.get("type") == "compaction" and isinstance(threshold, int) and not isinstance(threshold, bool):
            return threshold
    return None
