"""The part of a response object that repeats the request: all keys, always, with OpenAI's defaults.

Values that the SDKs' types do not have (requests are read tolerantly) are told as if they had not been sent.
"""

from __future__ import annotations

from addon.wire.json import Json, JsonObject, dumps
from addon.wire.responses import FunctionTool, NamespaceTool, ResponsesRequest, TextFormat, TextOptions, Tool

SERVICE_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"})
"""The tiers the SDKs know; providers have others ("on_demand", "standard"), which are told as "default"."""

_EFFORTS = frozenset({"none", "minimal", "low", "medium", "high", "xhigh", "max"})
_SUMMARIES = frozenset({"auto", "concise", "detailed"})
_VERBOSITIES = frozenset({"low", "medium", "high"})
_RETENTIONS = frozenset({"in_memory", "24h"})
_CHOICES = frozenset({"none", "auto", "required"})
_CHOSEN = frozenset(
    {
        "allowed_tools", "function", "mcp", "custom", "programmatic_tool_calling", "apply_patch", "shell",
        "file_search", "web_search_preview", "web_search_preview_2025_03_11", "computer", "computer_use",
        "computer_use_preview", "image_generation", "code_interpreter",
    }
)  # fmt: skip
_TOOLS = frozenset(
    {
        "function", "custom", "namespace", "tool_search", "file_search", "computer", "computer_use_preview", "mcp",
        "web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11",
        "image_generation", "code_interpreter", "programmatic_tool_calling", "local_shell", "shell", "apply_patch",
    }
)  # fmt: skip


def echo(request: ResponsesRequest, model: str) -> JsonObject:
    """What the response says of the request, whatever the provider made of it."""
    return {
        "background": bool(request.background),
        "conversation": None if request.conversation_id is None else {"id": request.conversation_id},
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "max_tool_calls": request.max_tool_calls,
        "model": model,
        "parallel_tool_calls": _or(request.parallel_tool_calls, True),
        "previous_response_id": request.previous_response_id,
        "prompt_cache_key": request.prompt_cache_key,
        "prompt_cache_retention": _known(request.prompt_cache_retention, _RETENTIONS),
        "reasoning": _reasoning(request),
        "safety_identifier": request.safety_identifier,
        "service_tier": "default",
        "store": _or(request.store, True),
        "temperature": _or(request.temperature, 1.0),
        "text": _text(request.text),
        "tool_choice": _tool_choice(request),
        "tools": [_tool(tool) for tool in request.tools or () if tool.type in _TOOLS],
        "top_logprobs": request.top_logprobs or 0,
        "top_p": _or(request.top_p, 1.0),
        "presence_penalty": request.presence_penalty or 0.0,
        "frequency_penalty": request.frequency_penalty or 0.0,
        "truncation": "auto" if request.truncation == "auto" else "disabled",
        "user": request.user,
        "metadata": {key: _text_of(value) for key, value in (request.metadata or {}).items()},
    }


def _or(value: Json, default: Json) -> Json:
    return default if value is None else value


def _known(value: str | None, known: frozenset[str]) -> str | None:
    return value if value in known else None


def _text_of(value: Json) -> str:
    return value if isinstance(value, str) else dumps(value)


def _reasoning(request: ResponsesRequest) -> JsonObject:
    options = request.reasoning
    if options is None:
        return {"effort": None, "summary": None}
    summary = options.summary or options.generate_summary
    return {"effort": _known(options.effort, _EFFORTS), "summary": _known(summary, _SUMMARIES)}


def _text(options: TextOptions | None) -> JsonObject:
    if options is None:
        return {"format": {"type": "text"}, "verbosity": "medium"}
    return {"format": _format(options.format), "verbosity": _known(options.verbosity, _VERBOSITIES) or "medium"}


def _format(wanted: TextFormat | None) -> JsonObject:
    if wanted is None or wanted.type not in ("json_schema", "json_object"):
        return {"type": "text"}
    form: JsonObject = wanted.model_dump(by_alias=True, exclude_none=True)
    return {"name": "", "schema": {}, **form} if wanted.type == "json_schema" else form


def _tool_choice(request: ResponsesRequest) -> Json:
    choice = request.tool_choice
    if choice is None:
        return "auto"
    if isinstance(choice, str):
        return _known(choice, _CHOICES) or "auto"
    if choice.type not in _CHOSEN:
        return "auto"
    chosen: JsonObject = choice.model_dump(exclude_unset=True)
    return chosen


def _tool(tool: Tool) -> JsonObject:
    """As it was sent; a function shows description, parameters and strict even if it was sent without."""
    sent: JsonObject = tool.model_dump(exclude_unset=True)
    if isinstance(tool, FunctionTool):
        return {"type": "function", "description": None, "parameters": None, "strict": None, **sent}
    if isinstance(tool, NamespaceTool):
        return {**sent, "description": tool.description or ""}
    return sent
