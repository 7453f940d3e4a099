"""The times that a query means, and how near moments are to them."""
