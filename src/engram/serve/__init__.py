"""The HTTP server: a proxy that gives any model a memory, and REST and MCP for the memory itself.

Asynchronous at its edges only: everything that reads or writes a memory runs in threads.
"""
