"""The HTTP face: a proxy that gives any model a memory, REST and MCP for the memory itself, and what guards them.

Asynchronous at its edge only: everything that touches a memory runs in threads.
"""
