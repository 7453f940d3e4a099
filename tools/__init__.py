"""Tools for maintainers. Each is a separate program; the package does not contain them."""
