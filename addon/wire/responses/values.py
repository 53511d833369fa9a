"""How values of a client's request are read: unknown keys are kept, null text is empty text."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from addon.wire.json import dumps

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)


class _ByClass(ModelMetaclass):
    """isinstance by inheritance alone. pydantic's own asks for ABC registrations as well, and in a long history that is
    a large part of what each `match` on an item or a part costs."""

    if not TYPE_CHECKING:  # pydantic's releases declare it in different ways
        __instancecheck__ = type.__instancecheck__


class Wire(BaseModel, metaclass=_ByClass):
    """A value from a stranger: unknown keys are kept, so that they can be reported."""

    model_config = ConfigDict(extra="allow", populate_by_name=True, allow_inf_nan=False)


def kind_of(known: frozenset[str], otherwise: str) -> Callable[[Any], str | None]:
    """A discriminator by `type`: the type itself where it is known, `otherwise` for the rest of the objects."""

    def kind(value: Any) -> str | None:
        if isinstance(value, BaseModel):
            return str(getattr(value, "type", otherwise))
        if not isinstance(value, dict):
            return None
        kind = value.get("type")
        return kind if isinstance(kind, str) and kind in known else otherwise

    return kind


def _text(value: Any) -> Any:
    """Null text is empty text."""
    return "" if value is None else value


def _json_text(value: Any) -> Any:
    """Arguments are JSON in a string; some clients send the object itself."""
    return dumps(value) if isinstance(value, (dict, list)) else _text(value)


Text = Annotated[str, BeforeValidator(_text)]
JsonText = Annotated[str, BeforeValidator(_json_text)]
