"""Numbers: tidy tables of losses and runs in; one table of statistics with intervals, verdict out.

It reads tables alone, ours or anybody's, and knows nothing of how they came about: numpy, scipy
and pyarrow. It may import `base` and the registry.
"""
