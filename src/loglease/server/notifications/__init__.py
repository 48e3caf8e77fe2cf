"""Telling people and programs what happened: messages, channels, and the worker that sends."""
