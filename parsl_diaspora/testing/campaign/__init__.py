"""A campaign that a scientist would recognise, small enough for a laptop: see :mod:`.digits`."""
