"""The ground: what every room stands on, and nothing that knows what a corpus or a model is.

Errors told to the user, paths and schemas of artifacts, digests of code, locks, GPUs, progress,
closed-form costs, the registration of verbs. It imports nothing of the package.
"""
