"""The audit chain: `signer` signs what was recorded, `verifier` finds what was changed since, `history_pruner` prunes.

docs/audit.md says what the chain proves.
"""
