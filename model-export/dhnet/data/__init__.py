"""Pictures and pairs: reading them, making training pairs from sharp photos, and feeding batches.

Imports no other room.
"""
