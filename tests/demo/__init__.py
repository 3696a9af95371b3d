"""The main job on real input: two people say a play to each other, and the server is killed.

Real processes throughout: ``chatd run``, ``chatd invite`` and ``chat``, each person with a home of
its own. Nothing is taken from the server to judge it: what a sender's process was told is compared
with what every device can read in the end.
"""
