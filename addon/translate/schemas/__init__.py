"""A client's JSON Schema → the same schema as a provider takes it, and what that loses.

Schemas come from whatever tools a user has installed, and one that a provider cannot read fails the whole request. So
each is repaired, for everybody, and rewritten where a provider knows a subset only. A constraint that a dialect has no
keyword for is told in the description, where the model at least can read it.

The way of a schema: `inline` puts what references mean in their place, `repair` takes out what is no JSON Schema,
`merge` makes one node of several. `dialect` rewrites the nodes for a provider's subset; `gemini`, `mfjs` and
`grammar_subset` say what is in each. `keywords` and `nodes` are the vocabulary of them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from addon.translate.schemas.dialect import Dialect, Fitting
from addon.translate.schemas.gemini import GEMINI
from addon.translate.schemas.grammar_subset import GRAMMAR
from addon.translate.schemas.inline import Inlining
from addon.translate.schemas.mfjs import MFJS
from addon.translate.schemas.nodes import Losses
from addon.translate.schemas.repair import opened_up, plain_root
from addon.wire.json import JsonObject

SchemaFlavor: TypeAlias = Literal["none", "no_additional_properties", "inline_defs", "gemini", "mfjs", "grammar"]
_WITH_REFERENCES: frozenset[SchemaFlavor] = frozenset({"none", "no_additional_properties"})
_DIALECTS: dict[SchemaFlavor, Dialect] = {"gemini": GEMINI, "mfjs": MFJS, "grammar": GRAMMAR}


def fit_schema(schema: JsonObject | None, flavor: SchemaFlavor) -> tuple[JsonObject, Sequence[str]]:
    """The schema of a function's parameters, or of an answer, for a provider.

    Args:
        schema: as the client sent it, however broken.
        flavor: the provider's dialect.

    Returns:
        A schema of an object, and short words for what of the client's schema is not in it.
    """
    losses: Losses = {}
    whole = schema or {}
    if flavor not in _WITH_REFERENCES:
        whole = Inlining(whole, losses).whole()
    dialect = _DIALECTS.get(flavor)
    fitted = plain_root(whole, losses) if dialect is None else Fitting(dialect, losses).root(whole)
    return (opened_up(fitted, losses) if flavor == "no_additional_properties" else fitted), tuple(losses)
