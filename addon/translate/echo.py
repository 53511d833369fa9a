"""The part of a response object that repeats the request: all keys, always, with OpenAI's defaults."""

from __future__ import annotations

from addon.wire.json import Json, JsonObject
from addon.wire.responses import FunctionTool, ResponsesRequest, TextOptions, Tool

SERVICE_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast", "ultrafast"})
"""The tiers the SDKs know; providers have others ("on_demand", "standard"), which are told as "default"."""


def echo(request: ResponsesRequest, model: str) -> JsonObject:
    """What the response says of the request, whatever the provider made of it."""
    return {
        "background": bool(request.background),
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "max_tool_calls": request.max_tool_calls,
        "model": model,
        "parallel_tool_calls": _or(request.parallel_tool_calls, True),
        "previous_response_id": request.previous_response_id,
        "prompt_cache_key": request.prompt_cache_key,
        "prompt_cache_retention": request.prompt_cache_retention,
        "reasoning": _reasoning(request),
        "safety_identifier": request.safety_identifier,
        "service_tier": "default",
        "store": _or(request.store, True),
        "temperature": _or(request.temperature, 1.0),
        "text": _text(request.text),
        "tool_choice": _tool_choice(request),
        "tools": [_tool(tool) for tool in request.tools or ()],
        "top_logprobs": request.top_logprobs or 0,
        "top_p": _or(request.top_p, 1.0),
        "presence_penalty": request.presence_penalty or 0.0,
        "frequency_penalty": request.frequency_penalty or 0.0,
        "truncation": request.truncation or "disabled",
        "user": request.user,
        "metadata": request.metadata or {},
    }


def _or(value: Json, default: Json) -> Json:
    return default if value is None else value


def _reasoning(request: ResponsesRequest) -> JsonObject:
    options = request.reasoning
    if options is None:
        return {"effort": None, "summary": None}
    return {"effort": options.effort, "summary": options.summary or options.generate_summary}


def _text(options: TextOptions | None) -> JsonObject:
    if options is None:
        return {"format": {"type": "text"}, "verbosity": "medium"}
    form: JsonObject = {"type": "text"}
    if options.format is not None:
        form = options.format.model_dump(by_alias=True, exclude_none=True)
    return {"format": form, "verbosity": options.verbosity or "medium"}


def _tool_choice(request: ResponsesRequest) -> Json:
    choice = request.tool_choice
    if choice is None:
        return "auto"
    if isinstance(choice, str):
        return choice
    chosen: JsonObject = choice.model_dump(exclude_unset=True)
    return chosen


def _tool(tool: Tool) -> JsonObject:
    """As it was sent; a function shows description, parameters and strict even if it was sent without."""
    sent: JsonObject = tool.model_dump(exclude_unset=True)
    if isinstance(tool, FunctionTool):
        return {"type": "function", "description": None, "parameters": None, "strict": None, **sent}
    return sent
