"""The form an answer is to have → what of it a provider takes: a parameter, instructions to the model, or both.

A ladder: `json_schema` holds the model to the schema, `json_object` holds it to JSON and tells it the schema, and
where neither can be had, all of it is told. The same form makes the same words, so that providers' caches hit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from addon.providers.profile import Profile
from addon.translate.notes import Notes
from addon.translate.parameters import refused
from addon.translate.schemas import fit_schema
from addon.wire.json import JsonObject, dumps
from addon.wire.responses import TextFormat

Level: TypeAlias = Literal["json_schema", "json_object", "prompt", "none"]


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """The form of the answer as parameters, as instructions, or as both."""

    parameters: JsonObject
    instructions: str | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What else is in the call, as far as the form of the answer depends on it."""

    tools: bool
    thinking: bool
    says_json: bool
    """The word "JSON" stands where providers look for it that take `json_object` with it only."""


FREE = OutputFormat({})
ONLY_JSON = "Answer with a single JSON object and nothing else: no Markdown fence, no words around it."


def output_format(
    wanted: TextFormat | None, profile: Profile, notes: Notes, surroundings: Surroundings, *, name: str
) -> OutputFormat:
    """The best a provider can do for the form a client wants.

    Args:
        wanted: as the client said it; None: it said nothing.
        profile: of the provider and its model.
        notes: told what the provider does not hold the model to.
        surroundings: the rest of the call.
        name: what the client calls the parameter, for the notes.
    """
    if wanted is None or wanted.type == "text":
        return FREE
    if wanted.type not in ("json_object", "json_schema"):
        notes.add(name, f"{wanted.type!r} is not known here; the answer is plain text")
        return FREE
    level = _level(surroundings, profile, notes, name)
    if level == "none":
        notes.add(name, "this model can neither be held to a format nor told about it")
        return FREE
    if wanted.type == "json_object" or not wanted.schema_:
        return _any_json(level, surroundings, profile, notes, name)
    if level == "json_schema":
        return _by_schema(wanted, wanted.schema_, profile, notes, name)
    return _by_instructions(wanted, wanted.schema_, level, notes, name)


def _level(surroundings: Surroundings, profile: Profile, notes: Notes, name: str) -> Level:
    if profile.response_format in ("prompt", "none"):
        return profile.response_format
    if "response_format" in refused(profile, thinking=surroundings.thinking):
        return "prompt"
    if surroundings.tools and not profile.response_format_with_tools:
        notes.add(name, "only told in the instructions: this provider takes no response_format with tools")
        return "prompt"
    return profile.response_format


def _any_json(level: Level, surroundings: Surroundings, profile: Profile, notes: Notes, name: str) -> OutputFormat:
    if level == "prompt":
        notes.add(name, "told in the instructions; this provider does not enforce it")
        return OutputFormat({}, ONLY_JSON)
    needed = profile.json_needs_word and not surroundings.says_json
    return OutputFormat({"response_format": {"type": "json_object"}}, ONLY_JSON if needed else None)


def _by_schema(wanted: TextFormat, schema: JsonObject, profile: Profile, notes: Notes, name: str) -> OutputFormat:
    fitted_schema, losses = fit_schema(schema, profile.schema_flavor)
    if losses:
        notes.add(name, f"schema simplified for this provider ({', '.join(losses)})")
    named: JsonObject = {"name": wanted.name or "response"}
    if wanted.description:
        named["description"] = wanted.description
    named["schema"] = fitted_schema
    if wanted.strict is not None:
        named["strict"] = wanted.strict
    return OutputFormat({"response_format": {"type": "json_schema", "json_schema": named}})


def _by_instructions(wanted: TextFormat, schema: JsonObject, level: Level, notes: Notes, name: str) -> OutputFormat:
    """A model reads any schema, so it is told as the client wrote it."""
    notes.add(name, "the schema is told in the instructions; this provider does not enforce it")
    about = f" ({wanted.description})" if wanted.description else ""
    told = f"{ONLY_JSON} It must be valid against this JSON Schema{about}:\n{dumps(schema)}"
    return OutputFormat({"response_format": {"type": "json_object"}} if level == "json_object" else {}, told)
