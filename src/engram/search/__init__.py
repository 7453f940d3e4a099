"""Search: indexes, which are derived from a store so that recall is fast. An index can be deleted and rebuilt."""
