"""A campaign under hundreds of kills: `make soak`."""
