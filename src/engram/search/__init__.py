"""Search: what is derived from a store so that recall is fast. It can be thrown away and built again."""
