"""Exit codes of `chatd`, the same for every command; docs/operations.md lists them."""

from chatd.admin_api import AdminCode

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
"""Usage or configuration; click's own code for usage."""
EXIT_NOT_FOUND = 3
EXIT_TEMPORARY = 75
"""Try again. Source: EX_TEMPFAIL, sysexits(3)."""

EXIT_OF_CODE: dict[AdminCode, int] = {
    "bad_request": EXIT_USAGE,
    "unknown_command": EXIT_FAILED,
    "not_found": EXIT_NOT_FOUND,
    "refused": EXIT_FAILED,
    "busy": EXIT_TEMPORARY,
    "timeout": EXIT_TEMPORARY,
    "internal": EXIT_FAILED,
}
