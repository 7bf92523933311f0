"""The study: a config in; runs, every job's slice of the config, costs and needs out.

No job's numbers are made here, and torch is never imported: `snakemake -n` passes through this
room. It may import `selection`, `training`'s names, `figures`, `data`, `statistics`, the registry
and `base`.
"""
