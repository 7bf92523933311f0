"""Text: files, hub and installed packages in; corpora, tokenizer, packed pool and tasks out.

Documents are read, split and counted, tokenized and packed into rows, an example each; records
become test items, items become tokens. It may import `base` and the registry.
"""
