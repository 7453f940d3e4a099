"""The API of the memory: REST and MCP."""
