"""Files and folders: ``streamer analyze``. Videos and pictures in, annotated ones and landmarks out.

``run`` decides what is done in which order; ``pool`` has the processes that do it. A video is planned
(``planning``), worked through in one or more segments (``segment``) and joined (``joining``).
"""
