"""A lean client straight on the wire, for load, faults and hostility: no SDK, no encryption.

What the SDK does for people (stores, ratchets, retries, events) would cost more than the server
that is to be loaded, and would hide the bytes that the tests are about.
"""
