"""A provider's refusal of a chat request → what to change about requests to this model, as overrides of its profile.

Only words tell what is wrong with a request: a status of 400 says that something is, and few providers name it in a
field. The rules know the words of the providers and servers that were met; a text that none knows changes nothing.

`refusal` is what was said and what a rule is, `names` reads the names of what is refused. The rules stand beside what
they do, in the order in which they are asked, the most specific first: `thinking`, `tools`, `messages`, `formats`,
`values`.
"""

from __future__ import annotations

from collections.abc import Sequence

from addon.providers.profile import Profile
from addon.translate.errors import UpstreamError
from addon.translate.healing import formats, messages, thinking, tools, values
from addon.translate.healing.refusal import Refusal, Remedy, Rule, bent
from addon.wire.json import JsonObject

__all__ = ["Remedy", "bent", "remedy"]

_RULES: Sequence[Rule] = (*thinking.RULES, *tools.RULES, *messages.RULES, *formats.RULES, *values.RULES)


def remedy(error: UpstreamError, profile: Profile, body: JsonObject) -> Remedy | None:
    """What may make the provider take a request that it has refused.

    A remedy always changes the profile, and only ever away from what was refused: the same words cannot bring about
    remedies without end.

    Args:
        error: what the provider said.
        profile: with which the request was made.
        body: the request.

    Returns:
        None if nothing is known that helps, or all of it was done.
    """
    refusal = Refusal.of(error, profile, body)
    if refusal.is_final:
        return None
    return next(filter(None, (rule.remedy(refusal) for rule in _RULES)), None)
