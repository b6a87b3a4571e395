"""Optuna by ask and tell: one study per search, in memory, rebuilt from the store."""
