"""The wire formats of three APIs: what their requests and replies hold, and how notes are put into a request.

Bytes in, data out, and bytes again. Knows nothing of memory, of connections, nor of where a body comes from. `table`
lists the formats and is where callers start.
"""
