"""How fast and how small the server is, measured from outside by clients on the wire."""
