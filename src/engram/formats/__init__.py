"""Import and export: the formats of other applications, and Engram's JSON Lines."""

MAX_UNPACKED = 1 << 30
"""Default of the bytes that one compressed file may unpack to; a document of this size is held in memory."""
