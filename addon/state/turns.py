"""A call in the conversation it belongs to: what came before it, and how its answer is kept for what comes after it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, cast

from addon.state.items import stored
from addon.state.storage import Storage
from addon.store.errors import StoreError
from addon.store.losses import Losses
from addon.store.recent import RecentItems
from addon.store.records import CONTINUABLE, StoredResponse, is_running
from addon.translate.errors import ApiError
from addon.translate.notes import Note
from addon.wire.json import JsonObject
from addon.wire.responses import (
    InvalidRequest,
    Item,
    ItemReference,
    ResponseObject,
    ResponsesRequest,
    read_item,
)

logger = logging.getLogger("responses_bridge")

KEPT_HERE: Final = "it is not kept here, and cannot be retrieved or continued by its id"


class State:
    """Begins turns. What it knows of one caller is not there for another.

    Args:
        storage: where responses and conversations are.
        ids: makes an id that was never used, from a prefix.
    """

    def __init__(self, storage: Storage, ids: Callable[[str], str]) -> None:
        self.storage = storage
        self._ids = ids
        self._recent = RecentItems()
        self._losses = Losses()

    def begin(self, caller: str, request: ResponsesRequest) -> Turn:
        """The turn that a request is.

        Raises:
            ApiError: what it continues is not known.
            StoreError: nobody knows, for the store cannot be used.
        """
        parent, conversation = request.previous_response_id or None, _conversation_id(request)
        if parent is not None and conversation is not None:
            raise _both()
        own = [] if request.input == "" else list(self.resolved(caller, request.items()))
        history = self._history(caller, parent, conversation)
        keeps, losses = self._keeps(request)
        return Turn(
            caller=caller,
            request=_told(request, history, own),
            said=request.model_copy(update={"store": keeps}),
            parent=parent,
            conversation=conversation,
            keeps=keeps,
            losses=losses,
            history=history,
            own=own,
            state=self,
        )

    def resolved(self, caller: str, items: Iterable[Item]) -> Iterable[Item]:
        """References give way to the items they mean; one that leads nowhere stays. Raises: StoreError."""
        for item in items:
            yield (self._item(caller, item.id) or item) if isinstance(item, ItemReference) else item

    def stored(self, items: Sequence[Item], history: Iterable[Item] = ()) -> list[JsonObject]:
        """Items as they go into the store."""
        return stored(items, self._ids, history)

    def why_lost(self, caller: str, response_id: str) -> str:
        """A sentence on why a response is not there, if that is known: to be put behind another one."""
        if self.storage.is_off:
            return " This bridge keeps no responses: `store` is `off` in its configuration."
        reason = self._losses.reason(caller, response_id)
        return "" if reason is None else f" It could not be stored: {reason}"

    def remember_items(self, caller: str, response: ResponseObject) -> None:
        """Keep the items of an answer in memory for a while, so that they may be referred to whatever else is kept."""
        self._recent.add(caller, response["output"])

    def keep(self, turn: Turn, response: ResponseObject) -> str | None:
        """Keep the answer to a turn. Never raises: if it cannot be kept, the result says why."""
        try:
            self._keep(turn, response)
        except StoreError as error:
            self._losses.add(turn.caller, response["id"], str(error))
            return f"the answer could not be stored: {error}"
        except Exception as error:
            logger.exception("An answer could not be stored.")
            self._losses.add(turn.caller, response["id"], "The bridge failed.")
            return f"the answer could not be stored: {type(error).__name__}; the log says more"
        return None

    def _keep(self, turn: Turn, response: ResponseObject) -> None:
        if turn.said.background:
            return  # it is kept as it comes, and was so from the start
        if turn.keeps:
            self.storage.require().responses.add(turn.caller, turn.stored(response))
        elif turn.conversation is not None and response["status"] in CONTINUABLE:
            items = [*turn.input, *cast("Sequence[JsonObject]", response["output"])]
            self.storage.require().conversations.add_items(turn.caller, turn.conversation, items)

    def _keeps(self, request: ResponsesRequest) -> tuple[bool, tuple[Note, ...]]:
        """Whether the answer will be kept, and what is to be said if it will not though the client thinks it is."""
        if request.store is False:
            return False, ()
        if self.storage.find() is not None:
            return True, ()
        trouble = self.storage.trouble
        if trouble is not None:
            return False, (Note("store", f"{KEPT_HERE}: {trouble}"),)
        return False, (Note("store", KEPT_HERE),) if request.store else ()

    def _history(self, caller: str, parent: str | None, conversation: str | None) -> list[Item]:
        if parent is not None:
            return [read_item(item) for item in self._history_of(caller, parent)]
        if conversation is not None:
            items = self.storage.require().conversations.items(caller, conversation)
            if items is None:
                raise no_conversation(conversation)
            return [read_item(item) for item in items]
        return []

    def _history_of(self, caller: str, parent: str) -> Sequence[JsonObject]:
        if self.storage.is_off:
            raise self._no_predecessor(caller, parent)
        store = self.storage.require()
        found = store.responses.get(caller, parent)
        if found is not None and is_running(found.response):
            raise _still_running(parent)
        history = None if found is None else store.responses.history(caller, parent)
        if history is None:
            raise self._no_predecessor(caller, parent)
        return history

    def _no_predecessor(self, caller: str, response_id: str) -> ApiError:
        message = f"Previous response with id '{response_id}' not found.{self.why_lost(caller, response_id)}"
        return ApiError(400, message, "previous_response_not_found", param="previous_response_id")

    def _item(self, caller: str, item_id: str) -> Item | None:
        recent = self._recent.get(caller, item_id)
        if recent is not None or self.storage.is_off:
            return recent
        item = self.storage.require().responses.find_item(caller, item_id)
        return None if item is None else read_item(item)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One request, with all that came before it."""

    caller: str
    """Whose it is."""
    request: ResponsesRequest
    """What the model is to be told of: the history is in `input`, and nothing is left to look up."""
    said: ResponsesRequest
    """As the client put it, except that `store` says whether the answer will be kept."""
    parent: str | None
    """The response that it continues."""
    conversation: str | None
    keeps: bool
    """The answer will be stored, and can be retrieved and continued."""
    losses: tuple[Note, ...]
    history: Sequence[Item]
    own: Sequence[Item]
    """The request's own items, references resolved."""
    state: State
    _input: list[JsonObject] = field(default_factory=list, init=False, repr=False)

    @property
    def input(self) -> list[JsonObject]:
        """The own items as they are stored, their ids the same whenever this is asked."""
        if not self._input:
            self._input.extend(self.state.stored(self.own, self.history))
        return self._input

    def streamed(self) -> Turn:
        """The same, to be answered event by event, whatever the client wants to hear of it."""
        return replace(self, request=self.request.model_copy(update={"stream": True}))

    def stored(self, response: ResponseObject, *, runner: str | None = None) -> StoredResponse:
        """The turn with what has come of it, for the store. `runner`: the process that works on it, if it is not over.

        Args:
            response: `ResponseBuilder.stored()`.
        """
        return StoredResponse(
            response=response, input=self.input, parent=self.parent, conversation=self.conversation, runner=runner
        )

    def keep(self, response: ResponseObject) -> str | None:
        """Keep the answer, if it is to be kept; the reason if it could not be."""
        self.state.remember_items(self.caller, response)
        return self.state.keep(self, response)


def no_conversation(conversation_id: str) -> ApiError:
    return ApiError(404, f"Conversation with id '{conversation_id}' not found.", "conversation_not_found")


def _conversation_id(request: ResponsesRequest) -> str | None:
    try:
        return request.conversation_id
    except InvalidRequest as error:
        raise ApiError.bad_request(str(error), param=error.param) from None


def _told(request: ResponsesRequest, history: Sequence[Item], own: Sequence[Item]) -> ResponsesRequest:
    if history or not isinstance(request.input, str):
        return request.model_copy(
            update={"input": [*history, *own], "previous_response_id": None, "conversation": None}
        )
    return request.model_copy(update={"previous_response_id": None, "conversation": None})


def _both() -> ApiError:
    message = (
        "Mutually exclusive parameters: 'conversation' and 'previous_response_id'. Send one of them: a conversation "
        "knows its own history."
    )
    return ApiError.bad_request(message, param="previous_response_id", code="mutually_exclusive_parameters")


def _still_running(response_id: str) -> ApiError:
    message = (
        f"Previous response with id '{response_id}' is not finished yet. Continue it once its status is completed, "
        "incomplete, failed or cancelled."
    )
    return ApiError.bad_request(message, param="previous_response_id", code="previous_response_not_finished")
