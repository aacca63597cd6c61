"""Looking at models: what they cost, what their upsamplers do, how they compare."""
