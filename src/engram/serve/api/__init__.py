"""The memory's own API: REST and MCP."""
