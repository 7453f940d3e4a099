"""The wire formats of three APIs: what their requests and replies hold, and how notes are put into a request.

Bytes in, data out, and bytes again. Does not know memory, connections, or the origin of a body. `table`
lists the formats and is where callers start.
"""
