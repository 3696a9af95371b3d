"""The demonstration holds what it says, as its user sees it."""

import os
import re
import subprocess
import sys

from tests.demo import script
from tests.demo.script import Direction, Speech
from tests.e2e.chat_process import ROOT

LIMIT_S = 120
"""Promised: well under two minutes."""


def test_demonstration_ends_without_a_difference() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.demo"],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    lines = sum(len(p.lines) for s in script.load() for p in s.parts if isinstance(p, Speech))
    assert lines >= 240
    last = done.stdout.splitlines()[-1]
    assert last == f"acknowledged {lines}, lost 0, duplicated 0, reordered 0", done
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("$ kill -9") == 2
    shown = re.findall(r"might touch that cheek! (.*)", done.stdout)
    assert shown == ["✓", "✓✓", "✓✓ read"]


def test_script_is_read_as_scenes_of_speeches_and_directions() -> None:
    (scene,) = script.parse("# note\n== One\n[x goes]\n\nROMEO\nO!\nAh!\nJULIET\nAy me!\n")
    assert scene.title == "One"
    assert scene.parts == [
        Direction("x goes"),
        Speech("romeo", ["O!", "Ah!"]),
        Speech("juliet", ["Ay me!"]),
    ]
