"""Import and export: other applications' formats and Engram's own."""
