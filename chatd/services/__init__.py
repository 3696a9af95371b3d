"""One service a file: each handles some operations, for all connections."""
