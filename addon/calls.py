"""From a Responses request and the place that serves it to the exchange: which converters, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar, cast

from addon.checking import Draft, KeptExchange, checks_of, correction, problems, told_again
from addon.compacting import SummaryExchange, Written, written
from addon.exchange import Exchange, Record, ResponsesExchange
from addon.preceding import PrecededExchange, PrecedingCall, Said, UnheardAnswer
from addon.routing import Target
from addon.store.descriptions import Descriptions
from addon.store.recent import RecentItems
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
from addon.translate.hosted import DEFAULT_POLICY, HostedPolicy
from addon.translate.images import description_of, description_request, images_in, with_descriptions
from addon.translate.notes import Note, Notes
from addon.translate.output import NewId, ResponseBuilder, to_totals
from addon.translate.reasoning import Sealed, seal
from addon.translate.request import ChatCall, check_supported, conversation, to_chat
from addon.translate.stream import StreamConverter
from addon.wire.json import JsonObject
from addon.wire.responses import (
    AdditionalTools,
    ApplyPatchCall,
    Compaction,
    CompactionTrigger,
    CustomToolCall,
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


@dataclass(frozen=True, slots=True)
class Vision:
    """Who describes images to models that take none."""

    name: str
    """As a client would ask for it."""
    target: Target
    per_call: int
    """How many images are described before one call, at most."""

    @property
    def origin(self) -> str:
        return f"{self.target.provider}/{self.target.model}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call is served, and for whom."""

    target: Target
    compactor: Target
    """Where summaries are written."""
    caller: str
    """Whose items these are: a hash of the client's credential."""
    hide: Callable[[str], str]
    hosted: HostedPolicy = DEFAULT_POLICY
    check_grammars: bool = False
    """Inputs of custom tools are checked before the client hears of them."""
    vision: Vision | None = None
    losses: tuple[Note, ...] = ()
    """What has been lost before the call itself was made."""

    def losing(self, why: str) -> Place:
        """The same, when some image could not be described."""
        return replace(self, losses=(*self.losses, Note("content: input_image", why)))


@dataclass(frozen=True, slots=True)
class _Setting:
    """One chat call on its way: at which target, for which request."""

    request: ResponsesRequest
    target: Target
    place: Place
    notes: Notes = field(default_factory=Notes)

    def __post_init__(self) -> None:
        for loss in self.place.losses:
            self.notes.add(loss.what, loss.why)

    @property
    def origin(self) -> str:
        return f"{self.target.provider}/{self.target.model}"


class Calls:
    """Makes exchanges, and keeps what they remember between calls.

    Args:
        ids, now: sources of new ids and of the time (seconds since the epoch).
        state_key: signs what clients keep for us; raises StateError where it cannot be had.
    """

    def __init__(self, *, ids: NewId, now: Callable[[], float], state_key: Callable[[], bytes]) -> None:
        self._ids = ids
        self._now = now
        self._state_key = state_key
        self._recent = RecentItems()
        self._descriptions = Descriptions()

    def respond(self, request: ResponsesRequest, place: Place) -> Exchange:
        """POST /v1/responses.

        Raises:
            ApiError: the request asks for what cannot be served.
            StateError: a summary is to be signed, and there is no key.
        """
        if any(isinstance(item, CompactionTrigger) for item in request.items()):
            return self._seeing(request, place.compactor, place, partial(self._answer_with_summary, request))
        return self._seeing(request, place.target, place, partial(self._respond, request))

    def _respond(self, request: ResponsesRequest, place: Place) -> Exchange:
        setting = _Setting(request, place.target, place)
        chat = self._chat(setting)
        threshold = _threshold(request)
        if threshold is not None and exceeds(chat.body, threshold) and self._has_past(request, place):
            return self._compact_first(setting, place)
        return self._call(setting, chat)

    def compact(self, request: ResponsesRequest, place: Place) -> Exchange:
        """POST /v1/responses/compact: the conversation's summary behind those of its messages that are kept.

        Raises: as `respond`.
        """
        return self._seeing(request, place.compactor, place, partial(self._compact, request))

    def _compact(self, request: ResponsesRequest, place: Place) -> Exchange:
        key = self._state_key()
        kept = self._kept(request, place)

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

        return self._summarise(request, place, shown)

    # --- the usual answer

    def _chat(self, setting: _Setting) -> ChatCall:
        return to_chat(
            self._described(setting),
            setting.target.profile,
            model=setting.target.model,
            origin=setting.origin,
            lookup=self._lookup(setting.place),
            notes=setting.notes,
            summaries=self._open,
            hosted=setting.place.hosted,
        )

    def _call(self, setting: _Setting, chat: ChatCall, *, compaction: str | None = None) -> Exchange:
        checks = checks_of(_declared(setting.request)) if setting.place.check_grammars else {}
        if not checks:
            return self._answer(ResponsesExchange, setting, chat, compaction)
        builder = self._builder(setting)
        draft = Draft(builder, self._converter(setting, chat, builder))

        def follow(said: Said | ApiError) -> Exchange:
            found = {} if isinstance(said, ApiError) else problems(draft.output, checks)
            if found:
                setting.notes.add("tools", "an input that did not fit its tool's grammar went back to the model once")
                again = replace(chat, body=told_again(chat.body, correction(draft.output, found, chat.tools)))
                return self._answer(ResponsesExchange, setting, again, compaction)
            kept = self._answer(KeptExchange, setting, chat, compaction)
            kept.keep(said if isinstance(said, ApiError) else draft.received)
            return kept

        first = self._preceding(setting, chat, "draft", "checked", follow, answer=draft)
        return PrecededExchange(first, self._record(setting))

    def _answer(
        self, kind: type[SomeExchange], setting: _Setting, chat: ChatCall, compaction: str | None = None
    ) -> SomeExchange:
        builder = self._builder(setting)
        if compaction is not None:
            builder.compaction(compaction)
        caller = setting.place.caller
        return kind(
            setting.target,
            chat.body,
            stream=chat.stream,
            client_stream=bool(setting.request.stream),
            builder=builder,
            converter=self._converter(setting, chat, builder),
            remember=lambda items: self._recent.add(caller, items),
            record=self._record(setting),
            request_id=self._ids("req"),
            now=self._now,
            hide=setting.place.hide,
        )

    def _builder(self, setting: _Setting) -> ResponseBuilder:
        def sealed(text: str, details: Sequence[JsonObject], /) -> str | None:
            if not text and not details:
                return None
            return seal(Sealed(text=text, details=tuple(details), origin=setting.origin))

        return ResponseBuilder(setting.request, ids=self._ids, now=self._now, seal=sealed)

    def _converter(self, setting: _Setting, chat: ChatCall, builder: ResponseBuilder) -> StreamConverter:
        request = setting.request
        return StreamConverter(
            builder,
            setting.target.profile,
            chat.tools,
            provider=setting.target.provider,
            notes=setting.notes,
            logprobs=request.includes("message.output_text.logprobs") or bool(request.top_logprobs),
            hide=setting.place.hide,
        )

    def _record(self, setting: _Setting, endpoint: str = "responses") -> Record:
        return Record(endpoint, setting.request.model or "", setting.origin, notes=setting.notes)

    def _lookup(self, place: Place) -> Callable[[str], Item | None]:
        return lambda item_id: self._recent.get(place.caller, item_id)

    def _open(self, encrypted_content: str) -> Summary | None:
        return open_summary(encrypted_content, self._state_key()) if claims_summary(encrypted_content) else None

    # --- summaries

    def _answer_with_summary(self, request: ResponsesRequest, place: Place) -> Exchange:
        """A `compaction_trigger`: the answer has exactly one item, the summary."""
        key = self._state_key()
        setting = _Setting(request, place.target, place)

        def shown(written: Written) -> ResponseBuilder:
            builder = self._builder(setting)
            builder.compaction(seal_summary(written.summary, key))
            builder.complete(to_totals(written.usage))
            self._recent.add(place.caller, builder.response["output"])
            return builder

        return self._summarise(request, place, shown)

    def _summarise(
        self,
        request: ResponsesRequest,
        place: Place,
        shown: Callable[[Written], JsonObject | ResponseBuilder],
    ) -> SummaryExchange:
        setting, chat = self._summary(request, place)
        return SummaryExchange(
            setting.target,
            chat.body,
            stream=chat.stream,
            client_stream=bool(request.stream),
            answer=self._unheard(setting, chat),
            shown=shown,
            record=self._record(setting, "compaction"),
            request_id=self._ids("req"),
            now=self._now,
            hide=place.hide,
        )

    def _compact_first(self, setting: _Setting, place: Place) -> Exchange:
        """`context_management`: the conversation has passed the client's threshold."""
        key = self._state_key()
        request = setting.request
        writing, chat = self._summary(request, place)

        def follow(said: Said | ApiError) -> Exchange:
            result = written(said, writing.target.provider)
            notes = Notes()
            if isinstance(result, ApiError):
                notes.add("context_management", f"the conversation could not be summarised: {result.message}")
                whole = _Setting(request, place.target, place, notes)
                return self._call(whole, self._chat(whole))
            sealed = seal_summary(result.summary, key)
            shorter = [*self._kept(request, place), Compaction(type="compaction", encrypted_content=sealed)]
            short = _Setting(request.model_copy(update={"input": shorter}), place.target, place, notes)
            return self._call(_Setting(request, place.target, place, notes), self._chat(short), compaction=sealed)

        first = self._preceding(writing, chat, "compaction", "compacted", follow)
        return PrecededExchange(first, self._record(_Setting(request, place.target, place)))

    def _summary(self, request: ResponsesRequest, place: Place) -> tuple[_Setting, ChatCall]:
        """The call in which a model writes the summary: the same history and tools, so that its caches hit."""
        check_supported(request)
        items = conversation(request, self._lookup(place), self._open)
        asking = request.model_copy(
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
        setting = _Setting(asking, place.compactor, place)
        return setting, self._chat(setting)

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

    def _seeing(
        self, request: ResponsesRequest, target: Target, place: Place, make: Callable[[Place], Exchange]
    ) -> Exchange:
        """What `make` makes, once all images have been described that `target` is to be told of.

        It is made at once as well, as if none could be: a request that is refused costs no calls.
        """
        planned = make(place)
        vision = place.vision
        if vision is None:
            return planned
        unknown = self._undescribed(request, target, vision, place)
        if not unknown:
            return planned
        if vision.target.profile.image_url == "none":
            return make(place.losing(f"the model {vision.origin} of `vision.model` takes no images itself"))
        # The latest are those the conversation is about now; the others have their turn in the next call.
        latest = unknown[-vision.per_call :]
        if len(latest) < len(unknown):
            place = place.losing(f"only {vision.per_call} are described before one call (`vision.per_call`)")
        first = self._describe(latest, vision, place, make)
        return PrecededExchange(first, planned.record) if isinstance(first, PrecedingCall) else first

    def _describe(
        self, images: Sequence[ImagePart], vision: Vision, place: Place, make: Callable[[Place], Exchange]
    ) -> Exchange:
        """The call that describes the first image, then the others, then what `make` makes."""
        if not images:
            return make(place)
        image, *others = images
        setting = _Setting(description_request(image, vision.name), vision.target, replace(place, losses=()))

        def follow(said: Said | ApiError) -> Exchange:
            description = None if isinstance(said, ApiError) else description_of(said.text)
            if description is not None:
                self._descriptions.add(vision.origin, image.image_url or "", description)
                return self._describe(others, vision, place, make)
            why = said.message if isinstance(said, ApiError) else "it wrote nothing"
            return self._describe(others, vision, place.losing(f"{vision.origin} did not describe it: {why}"), make)

        try:
            chat = self._chat(setting)
        except ApiError as error:
            return follow(error)
        return self._preceding(setting, chat, "vision", "described", follow)

    def _undescribed(self, request: ResponsesRequest, target: Target, vision: Vision, place: Place) -> list[ImagePart]:
        if target.profile.image_url != "none":
            return []
        images = images_in(conversation(request, self._lookup(place), self._open))
        known = self._known(images, vision)
        return [image for image in images if image.image_url not in known]

    def _described(self, setting: _Setting) -> ResponsesRequest:
        """The request with the descriptions that are known in place of images, if the model takes none."""
        vision = setting.place.vision
        if vision is None or setting.target.profile.image_url != "none":
            return setting.request
        items = conversation(setting.request, self._lookup(setting.place), self._open)
        known = self._known(images_in(items), vision)
        if not known:
            return setting.request
        setting.notes.add("content: input_image", f"this model takes no images; {vision.origin} described them")
        return setting.request.model_copy(update={"input": with_descriptions(items, known, vision.target.model)})

    def _known(self, images: Sequence[ImagePart], vision: Vision) -> dict[str, str]:
        urls = [image.image_url for image in images if image.image_url]
        found = {url: self._descriptions.get(vision.origin, url) for url in urls}
        return {url: text for url, text in found.items() if text is not None}

    # --- calls made before another one

    def _preceding(
        self,
        setting: _Setting,
        chat: ChatCall,
        endpoint: str,
        outcome: str,
        follow: Callable[[Said | ApiError], Exchange],
        answer: UnheardAnswer | None = None,
    ) -> PrecedingCall:
        return PrecedingCall(
            setting.target,
            chat.body,
            stream=chat.stream,
            answer=answer or self._unheard(setting, chat),
            outcome=outcome,
            follow=follow,
            record=self._record(setting, endpoint),
            request_id=self._ids("req"),
            now=self._now,
            hide=setting.place.hide,
        )

    def _unheard(self, setting: _Setting, chat: ChatCall) -> UnheardAnswer:
        builder = self._builder(setting)
        return UnheardAnswer(builder, self._converter(setting, chat, builder))

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


def _declared(request: ResponsesRequest) -> Iterator[Tool]:
    """The tools of the request, and those that its items bring."""
    yield from request.tools or ()
    for item in request.items():
        if isinstance(item, (AdditionalTools, ToolSearchOutput)):
            yield from item.tools


def _threshold(request: ResponsesRequest) -> int | None:
    """The tokens beyond which the client wants its conversation summarised."""
    for edit in request.context_management or ():
        threshold = edit.get("compact_threshold")
        if edit.get("type") == "compaction" and isinstance(threshold, int) and not isinstance(threshold, bool):
            return threshold
    return None
