"""The doors: a command line of a person or of a rule in; a call of one of the rooms out.

Commands for people and verbs for rules lie apart. It may import every room; nothing imports it.
"""
