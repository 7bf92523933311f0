"""Reading: tables of a study or of anybody's runs in; the report, `compare`, closing words out.

It may import `figures`, `study`, `statistics` and what lies below them, and never torch.
"""
