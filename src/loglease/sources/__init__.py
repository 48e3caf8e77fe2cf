"""Readers: they take a scope that we built and give lines. No text of a requester reaches a store."""
