"""Attribution: models and examples in; features, scores, datamodels and their LDS out.

Torch is allowed here. It may import `training`, `selection` and what lies below them.
"""
