"""Layers that networks of several rooms share. Imports no other room."""
