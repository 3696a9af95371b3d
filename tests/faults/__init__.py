"""Faults done to a live server, and whether its promises held: one scenario a file.

A scenario is a function from :class:`tests.faults.scenario.Options` to an ``Outcome``; it stands in
``tests.faults.__main__.SCENARIOS``.
"""
