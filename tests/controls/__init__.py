"""Every control that protects the service, and the proof that some test holds it.

Each ``*.toml`` here lists controls. ``python -m tests.controls`` (``make controls``) takes away one after the
other in a copy of the tree and runs the tests that claim to hold it there; it fails when none notices.
To add one, write one more ``[[control]]`` and then say ``python -m tests.controls --document``::

    [[control]]
    name = "Host allow-list"
    file = "streamer/server/guard.py"
    search = "..."     # stands there exactly once, or the rig refuses to run
    replace = "..."    # what is left without the control: still sound Python
    tests = ["tests/integration/test_http.py::test_request_under_a_foreign_name_is_refused"]
"""
