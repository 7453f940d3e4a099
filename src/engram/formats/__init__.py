"""Import and export: the formats of other applications, and Engram's JSON Lines."""
