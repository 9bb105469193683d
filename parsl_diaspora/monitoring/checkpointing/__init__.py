"""States of running tasks, seen from the submit side: their names, what workers are told, when they go."""
