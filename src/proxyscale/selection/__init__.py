"""Choosing: candidates, target examples and scores in; training distributions out.

A method scores the candidates, one sampler takes the best. It may import `data`, `statistics`, the
registry and `base`.
"""
