"""The only rooms that import mitmproxy."""
