"""Which names are accepted: user names in their prepared form, others as they can be shown."""

from typing import Final

from precis_i18n import get_profile

from protocol.text import clean

_user_names: Final = get_profile("UsernameCaseMapped")


def valid_user_name(name: str) -> bool:
    """Whether a user name is in its prepared form. Source: RFC 8265 §3.3."""
    try:
        return str(_user_names.enforce(name)) == name
    except UnicodeEncodeError:
        return False


def valid_name(name: str) -> bool:
    """Whether a display or device name can be shown as it is."""
    return clean(name) == name and name == name.strip()
