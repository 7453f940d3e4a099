"""Tools for maintainers: each is run on its own; none is part of the package."""
