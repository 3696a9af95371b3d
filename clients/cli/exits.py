"""Exit codes of ``chat``: stable, documented in docs/client.md, one table for both."""

from typing import Final

from clients.sdk.errors import ChatError

OK: Final = 0
REFUSED: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
NO_ACCOUNT: Final = 4
AUTHENTICATION: Final = 5
UNREACHABLE: Final = 69
TEMPORARY: Final = 75
INTERRUPTED: Final = 130
OUTPUT_CLOSED: Final = 141
TERMINATED: Final = 143

MEANINGS: Final[dict[int, str]] = {
    OK: "done",
    REFUSED: "refused: by the server, or by a rule that the message names",
    USAGE: "wrong usage, or an argument that cannot be used",
    NOT_FOUND: "no such user, device or conversation",
    NO_ACCOUNT: "no account in this home, or it cannot be used any more or be unlocked",
    AUTHENTICATION: "wrong password, or the server is not the one of the link",
    UNREACHABLE: "the server cannot be reached",
    TEMPORARY: "may work later; a message is queued and leaves with the next connection",
    INTERRUPTED: "interrupted (Ctrl-C)",
    OUTPUT_CLOSED: "whoever read the output has gone",
    TERMINATED: "terminated (SIGTERM)",
}

_BY_CODE: Final[dict[str, int]] = {
    "invalid_input": USAGE,
    "not_found": NOT_FOUND,
    "authentication_failed": AUTHENTICATION,
    "server_not_trusted": AUTHENTICATION,
    "temporary": TEMPORARY,
    "quota_reached": TEMPORARY,
    "client_closed": TEMPORARY,
    "store_locked": TEMPORARY,
    "unreachable": UNREACHABLE,
    "server_broke_protocol": UNREACHABLE,
    "no_account": NO_ACCOUNT,
    "no_key": NO_ACCOUNT,
    "wrong_key": NO_ACCOUNT,
    "session_replaced": NO_ACCOUNT,
    "device_revoked": NO_ACCOUNT,
    "account_closed": NO_ACCOUNT,
    "device_restored": NO_ACCOUNT,
    "stopped": NO_ACCOUNT,
}


class Failed(Exception):
    """A command failed: what to tell, and how to exit. ``code`` is an SDK error's code."""

    def __init__(self, code: str, text: str, exit_code: int | None = None) -> None:
        super().__init__(code, text)
        self.code, self.text = code, text
        self.exit_code = _BY_CODE.get(code, REFUSED) if exit_code is None else exit_code

    def __str__(self) -> str:
        return self.text


def failed(error: ChatError) -> Failed:
    """Return how the command line tells an error of the SDK."""
    return Failed(error.code, str(error))
