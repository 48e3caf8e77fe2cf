"""The use cases, one a file, and the only writer of state. Doors call these functions and decide nothing themselves."""
