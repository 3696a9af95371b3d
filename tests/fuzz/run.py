"""One fuzzing run over the decoder and both connection machines, and what it saw.

An input is handled if the decoder gives a message that encodes again to something that decodes to
the same, or raises Malformed; and if each machine gives messages, or sets one of the documented
failures, and the same however the input is split.
"""

from collections import Counter
from dataclasses import dataclass, field
from random import Random

from protocol.codec import DECODERS, HEADER, encode
from protocol.declare import MESSAGES
from protocol.errors import Malformed, RemoteProtocolError
from protocol.ops import Role
from protocol.state import MOVES, State
from tests.fuzz.mutate import corpus, mutate, pieces
from tests.protocol.helpers import feed, in_state

OPEN = [state for state in State if state is not State.CLOSED]
DOCUMENTED = frozenset(RemoteProtocolError.__subclasses__())
MAX_KEPT = 10
"""Unhandled inputs that are kept to be shown; the rest are counted."""


@dataclass
class Report:
    """What a run saw."""

    frames: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    """How often each outcome came: ``decoded``, ``received``, or an error's name."""
    unhandled: int = 0
    findings: list[str] = field(default_factory=list)
    """The first unhandled inputs: the error, and the input in hexadecimal."""


def run(frames: int, seed: int) -> Report:
    """Feed mutated frames; the same seed gives the same inputs.

    Args:
        frames: How many inputs, each of at least one frame's worth of bytes.
        seed: Of the mutations, the splits, and the states.
    """
    random, report, seeds = Random(seed), Report(), corpus()
    for _ in range(frames):
        data = mutate(random, seeds)
        report.frames += 1
        try:
            report.outcomes[decode(data)] += 1
            report.outcomes[receive(random, data)] += 1
        except Exception as error:  # noqa: BLE001  whatever it is, it is the finding
            report.unhandled += 1
            if len(report.findings) < MAX_KEPT:
                report.findings.append(f"{type(error).__name__}: {error} <- {data.hex()}")
    return report


def decode(data: bytes) -> str:
    """Decode the first body alone; the op need not be legal anywhere."""
    if len(data) < HEADER.size or data[4] not in DECODERS:
        return "no op"
    decoder = DECODERS[data[4]]
    try:
        message = decoder(data[HEADER.size :])
    except Malformed:
        return "malformed body"
    again = decoder(encode(message)[HEADER.size :])
    if again != message:
        raise AssertionError("a message changed on its way through the codec")
    return "decoded"


def receive(random: Random, data: bytes) -> str:
    """Feed one of the two machines, in any state, whole and in pieces."""
    role, state = random.choice(list(Role)), random.choice(OPEN)
    op = data[4] if len(data) > 4 else -1
    if random.random() < 0.8:  # most inputs are for the side and a state that may get them
        role = next((Role(1 - cls.SENDER) for o, cls in MESSAGES.items() if o == op), role)
        state = random.choice([s for s in OPEN if op in MOVES[s]] or OPEN)
    whole = feed(in_state(role, state), [data])
    if feed(in_state(role, state), pieces(random, data)) != whole:
        raise AssertionError(f"a split changed what {role.name} in {state.name} received")
    failure = whole[1]
    if failure is None:
        return "received"
    if failure not in DOCUMENTED:
        raise AssertionError(f"{failure.__name__} is not documented")
    return failure.code.name.lower()
