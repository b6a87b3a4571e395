"""Questions asked of a store: tables, transfer matrices, best checkpoints, where the time went."""
