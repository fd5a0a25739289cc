"""Record sets: how they are made of sources of photos, and how they become batches of canvases."""
