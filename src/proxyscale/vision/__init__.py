"""Image models: the same stages for them as the other rooms have for text, from config to figures.

Pools of images, ensembles of ResNets, TRAK, datamodels, LDS and counterfactuals. Torch is allowed
here. It may import every room but `reporting` and `cli`.
"""
