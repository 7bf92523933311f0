"""Pictures: tidy tables in; figures as PDF, SVG and CSV, and tables of costs out.

It may import `statistics`, `data`, the registry and `base`, and never torch.
"""
