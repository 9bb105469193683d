"""Where tries go.

routing.py     where tasks may go, and where they had best go
apps.py        what is known of each app
needs.py       the modules that an app imports
learning.py    what tries teach
memory.py      what runs learn is shared
quarantines.py places that get no work for a while
"""
