"""Output items for what a provider has done itself: its web search."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from addon.translate.items import Emit, Ending, OutputItemState, Write
from addon.wire.responses import Status, WebSearchCallItem


class WebSearchState(OutputItemState):
    """A search that the provider made before it answered. Nobody tells what it looked for, only what it found."""

    def __init__(self, item_id: str, urls: Sequence[str]) -> None:
        super().__init__(item_id)
        self._urls = urls

    def blank(self) -> WebSearchCallItem:
        return {
            "id": self.id,
            "type": "web_search_call",
            "status": "in_progress",
            "action": {"type": "search", "query": "", "sources": []},
        }

    def snapshot(self, status: Status) -> WebSearchCallItem:
        item = self.blank()
        item["status"] = "completed"
        item["action"]["sources"] = [{"type": "url", "url": url} for url in self._urls]
        return item

    def write(self, operation: Write, emit: Emit, announce: Callable[[], int]) -> None:
        """There is nothing to add to it."""

    def close(self, ending: Ending, emit: Emit, announce: Callable[[], int]) -> Status | None:
        index = announce()
        for stage in ("in_progress", "searching", "completed"):
            emit(f"response.web_search_call.{stage}", item_id=self.id, output_index=index)
        return "completed"
