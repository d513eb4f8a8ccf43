"""A folder of labelled clips for ``streamer eval``, made of what package registries carry.

Real clips, and clips put together: people are cut out of single-person clips (``cutouts``) and set into
other places (``scenes``, ``staging``), so that it is known in each frame who is where and how much of
them can be seen. ``recipes`` has the list; ``python -m tests.rigs.labelled DIR`` makes it.
"""
