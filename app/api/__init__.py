"""The JSON door: routes as data, one way through the door for all of them, acts, and documents.

docs/dev/decisions/0074 and 0075 say why.
"""
