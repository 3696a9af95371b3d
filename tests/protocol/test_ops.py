"""The numbers of operations: in their areas, and never changed."""

from protocol.ops import Op, Role

FROZEN = (
    (0x01, "HELLO WELCOME REGISTER SCRAM_FIRST SCRAM_CHALLENGE SCRAM_FINAL LOGIN ACCEPTED"),
    (0x09, "PING PONG BYE GOAWAY OK ERROR"),
    (0x10, "SEND SENT EVENT ACK READ RECEIPT TYPING TYPING_EVENT HISTORY HISTORY_PAGE"),
    (0x1A, "SYNC SYNC_PAGE RESYNC"),
    (0x20, "LIST_DEVICES DEVICE_LIST RENAME_DEVICE REVOKE_DEVICE PROVE CHANGE_PASSWORD"),
    (0x26, "DELETE_ACCOUNT PROVED GET_PROFILE PROFILE SET_DISPLAY_NAME CREATE_INVITE INVITE"),
)
"""What version 1 was published with; later numbers may only be added."""


def test_published_numbers_keep_their_meaning() -> None:
    for first, names in FROZEN:
        for number, name in enumerate(names.split(), first):
            assert Op(number).name == name


def test_op_fits_its_byte() -> None:
    assert all(0 < op < 256 for op in Op)


def test_roles_are_each_others_opposite() -> None:
    assert [Role(1 - role) for role in Role] == [Role.SERVER, Role.CLIENT]
