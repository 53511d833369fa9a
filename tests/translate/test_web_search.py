"""What a provider's own web search found: citations of the text, and an item for the search."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.translate.answers import Answer
from tests.translate.answers import answer_to as converted


def answer_to(chunks: list[dict[str, Any]]) -> Answer:
    return converted([f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks])


TEXT = {"choices": [{"index": 0, "delta": {"content": "It rains [1]."}}]}
STOP = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
PAGE, TITLE = "https://weather.test/today", "Today"


def cited(url: str, title: str) -> dict[str, Any]:
    return {"type": "url_citation", "url": url, "title": title, "start_index": 0, "end_index": 0}


@pytest.mark.parametrize(
    ("beside", "title"),
    [
        pytest.param({"citations": [PAGE, PAGE]}, "", id="list of URLs"),
        pytest.param({"search_results": [{"title": TITLE, "url": PAGE}], "citations": [PAGE]}, TITLE, id="Perplexity"),
        pytest.param({"web_search": [{"title": TITLE, "link": PAGE, "content": "rain"}]}, TITLE, id="Zhipu"),
        pytest.param({"search_info": {"search_results": [{"title": TITLE, "url": PAGE}]}}, TITLE, id="DashScope"),
    ],
)
def test_pages_beside_the_text_become_citations_and_a_search(beside: dict[str, Any], title: str) -> None:
    message, search = answer_to([{**TEXT, **beside}, {**STOP, **beside}]).response["output"]
    assert message["content"][0]["annotations"] == [cited(PAGE, title)]
    assert search["type"] == "web_search_call"
    assert search["action"]["sources"] == [{"type": "url", "url": PAGE}]


def test_citations_in_the_text_are_not_repeated() -> None:
    annotation = {
        "type": "url_citation",
        "url_citation": {"url": PAGE, "title": TITLE, "start_index": 9, "end_index": 12},
    }
    chunk = {"choices": [{"index": 0, "delta": {"annotations": [annotation]}}], "citations": [PAGE]}
    message, search = answer_to([TEXT, chunk, STOP]).response["output"]
    assert message["content"][0]["annotations"] == [{**cited(PAGE, TITLE), "start_index": 9, "end_index": 12}]
    assert search["action"]["sources"] == [{"type": "url", "url": PAGE}]


@pytest.mark.parametrize("beside", [{"citations": None}, {"citations": ["ftp://x", 7, {}]}, {"web_search": "no"}])
def test_what_is_no_page_makes_no_search(beside: dict[str, Any]) -> None:
    (message,) = answer_to([{**TEXT, **beside}, STOP]).response["output"]
    assert message["content"][0]["annotations"] == []


def test_a_broken_answer_tells_of_no_search() -> None:
    items = answer_to([{**TEXT, "citations": [PAGE]}, {"error": {"message": "boom"}}]).response["output"]
    assert [item["type"] for item in items] == ["message"]
