"""Power cuts in the middle of traffic: what was not synced is gone, in whole or in part.

``kill -9`` leaves the operating system's cache alone, and so cannot tell a server that syncs before
it answers from one that does not. This one can: see :mod:`tests.faults.lossy`.
"""

from tests.faults import kill
from tests.faults.scenario import Options, Outcome


def run(options: Options) -> Outcome:
    """Cut the power once a round."""
    return kill.run(options, program="tests.faults.lossy")
