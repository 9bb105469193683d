"""The ``parsl-diaspora`` command."""
