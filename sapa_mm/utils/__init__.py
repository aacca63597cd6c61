"""What several rooms share and is no noun of the field; no torch, no mmengine."""
