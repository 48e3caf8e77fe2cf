"""The commands, one file a group; each is loaded only when it is run."""
