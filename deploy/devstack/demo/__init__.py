"""`make demo`: the DRF sender's changes, all the way, counted, timed and compared."""
