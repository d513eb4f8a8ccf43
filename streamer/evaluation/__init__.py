"""How good the poses are: ``streamer eval``. Labelled clips in, figures beside bare MediaPipe's out.

``manifest`` and ``truth`` say what is right, ``degrade`` makes harder cases of a clip, ``case`` runs the
estimators over one, ``presence``, ``people``, ``motion`` and ``trust`` measure what they gave, ``totals``
adds up, ``report`` prints, and ``run`` joins it all. docs/evaluation.md explains each figure.
"""
