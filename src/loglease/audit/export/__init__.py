"""Entries in the formats that leave the system. Pure: rows in, lines out."""
