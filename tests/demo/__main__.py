"""``python -m tests.demo``: play it, judge it; exit 0 only if nothing at all differs.

Needs nothing and leaves nothing: server, homes and processes live in a temporary folder, on a free
port of the loopback interface.
"""

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from tests.demo import script
from tests.demo.cast import Device, command
from tests.demo.compare import MAX_SHOWN, Judgement, judge
from tests.demo.scenes import Stage
from tests.demo.terminal import DemoFailed
from tests.server_process import ROOT, ServerFailed, ServerProcess

FEWEST = 200
"""Messages; fewer prove little."""
INTERRUPTED = 130


def _inviting(server: ServerProcess) -> Callable[[], str]:
    def invite() -> str:
        command("host", "chatd", "invite")
        config = str(server.folder / "chatd.toml")
        made = subprocess.run(
            [sys.executable, "-m", "chatd", "invite", "--config", config],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        links = [line for line in made.stdout.splitlines() if line.startswith("chatd://")]
        if not links:
            raise DemoFailed(f"chatd invite: {made.stderr}")
        return links[0]

    return invite


def _chains(judgement: Judgement, devices: list[Device], head: int) -> str:
    """Compare what each device computed itself from the entries it got."""
    ends = set()
    for device in devices:
        found = device.conversation()
        if found.broken or found.chain is None or (found.lowest, found.position) != (1, head):
            judgement.differences.append(f"{device.name}: the chain is not whole: {found}")
        ends.add(found.chain)
    if len(ends) != 1:
        judgement.differences.append("the devices' chains end differently")
    return ", ".join(end.hex() if end else "unknown" for end in ends)


def _play(folder: Path) -> Judgement:
    (folder / "server").mkdir()
    server = ServerProcess(folder / "server")
    stage = Stage(server, folder, _inviting(server))
    try:
        print("Before the play\n---------------")
        command("host", "chatd", "run")
        server.start()
        for user, peer in (("romeo", "juliet"), ("juliet", "romeo")):
            stage.enter(user, peer)
        for device in stage.everybody:
            device.open()
        for scene in script.load():
            stage.play(scene)
        stage.end()
        return _conclude(stage)
    finally:
        for device in stage.everybody:
            device.kill()
        server.kill()


def _conclude(stage: Stage) -> Judgement:
    print("\nAfter the play\n--------------")
    histories = {device.name: device.messages() for device in stage.everybody}
    judgement = judge(stage.spoken, histories)
    for device in stage.everybody:
        rows = histories[device.name]
        command(device.name, "chat", "history", device.peer, "--limit", "1000")
        own = Counter(row["state"] for row in rows if row["from"] == device.person.user)
        ticks = ", ".join(f"{count} {state}" for state, count in sorted(own.items()))
        print(f"    {len(rows)} messages; ticks behind the own ones: {ticks}")
        if set(own) != {"read"}:
            judgement.differences.append(f"{device.name}: not everything is read: {ticks}")
    end = _chains(judgement, stage.everybody, len(stage.spoken))
    print(f"    On each device the chain of all {len(stage.spoken)} entries ends in\n    {end}")
    return judgement


def _terminated(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Play; print the judgement; return the exit code."""
    signal.signal(signal.SIGTERM, _terminated)
    begun = time.monotonic()
    try:
        with TemporaryDirectory(prefix="chatd-demo-") as name:
            judgement = _play(Path(name))
    except (DemoFailed, ServerFailed) as error:
        print(f"\nthe demonstration failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return INTERRUPTED
    for line in judgement.differences[:MAX_SHOWN]:
        print(f"    {line}", file=sys.stderr)
    print(f"    {time.monotonic() - begun:.0f} seconds\n")
    print(judgement)
    return 0 if judgement.clean and judgement.acknowledged >= FEWEST else 1


if __name__ == "__main__":
    sys.exit(main())
