"""Tables from outside: losses and metrics of runs that somebody else trained, read or refused.

Files become sheets (`files`, `json_layouts`, `harness`), sheets become tidy rows (`layouts`,
`columns`, `values`), rows become runs (`runs`).
"""
