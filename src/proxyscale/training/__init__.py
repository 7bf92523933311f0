"""Language models: distributions and pool in; models, curves and per-example losses out.

The native engine, llm-foundry's, the evaluation that both share, and the export. Torch is allowed
here. It may import `data`, `statistics`, the registry and `base`.
"""
