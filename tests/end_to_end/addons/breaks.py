"""Breaks the bridge itself: the method that $BREAKS names (module:Class.method) raises from now on."""

import functools
import importlib
import os


def _raise(*args: object, **kwargs: object) -> None:
    raise RuntimeError("broken on purpose")


_module, _, _path = os.environ["BREAKS"].partition(":")
_class, _, _method = _path.partition(".")
_owner = getattr(importlib.import_module(_module), _class)
setattr(_owner, _method, functools.wraps(getattr(_owner, _method))(_raise))
