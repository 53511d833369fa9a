"""An addon for mitmproxy that serves OpenAI Responses API calls from any chat/completions provider.

The way of a call: `proxy` takes it off the wire, `exchange` leads it, `translate` decides what is said,
and `wire` knows how it is written.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("responses-bridge")
except PackageNotFoundError:
    __version__ = "0+unpackaged"
    """Run from a checkout that was never installed, as in `mitmdump -s addon/bridge.py`."""

__all__ = ["__version__"]
