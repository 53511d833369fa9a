"""What is answered without a provider: models, what is remembered of earlier calls, and what nobody serves."""

from __future__ import annotations

from addon.endpoints.fixed import (
    drop_traces,
    input_tokens,
    list_models,
    no_websocket,
    retrieve_model,
    unmatched,
)
from addon.endpoints.inquiry import Inquiry
from addon.endpoints.query import Query
from addon.endpoints.routes import find

__all__ = [
    "Inquiry",
    "Query",
    "drop_traces",
    "find",
    "input_tokens",
    "list_models",
    "no_websocket",
    "retrieve_model",
    "unmatched",
]
